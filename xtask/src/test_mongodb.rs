//! The suites that depend on MongoDB most, on a second version of it.

use anyhow::Result;
use clap::Args;

use crate::provision;
use crate::step::{cargo, run as run_step};

/// Suites for everything that a new version of MongoDB could break: errors and their fields,
/// transactions, snapshots, the fence.
const SUITES: [&str; 4] = ["pipeline", "neighbours", "kill_at_every_step", "replay"];

#[derive(Args)]
pub(crate) struct Options {
    /// Run only tests whose names contain this
    filter: Option<String>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let mongod = provision::second_mongod().await?;
    let suites = SUITES.iter().flat_map(|suite| ["--test", suite]);
    run_step(
        cargo(["test", "--no-fail-fast", "--package", "bellwether-tests"])
            .args(suites)
            .args(options.filter)
            .env("BELLWETHER_MONGOD", mongod),
    )
    .await
}
