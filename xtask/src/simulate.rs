use anyhow::Result;
use clap::Args;

use crate::step::{cargo, run as run_step};

/// The test that knows every fault; the others look at one situation each.
const EVERY_FAULT: &str = "scenarios::safety::every_fault_and_then_agreement";

#[derive(Args)]
pub(crate) struct Options {
    /// Number of seeds, each a cluster of its own
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Which test of the simulation: its path, or a part of it for all that contain it
    #[arg(long, default_value = EVERY_FAULT)]
    test: String,
}

/// Runs the tests. The last line of each test states the amount of simulation and its time; a
/// failure names the command that shows it again.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut test = cargo([
        "test",
        "--package",
        "bellwether-election",
        "--test",
        "simulation",
        "--",
    ]);
    test.args([&options.test, "--nocapture"])
        .env("BELLWETHER_SEEDS", options.seeds.to_string())
        .env("BELLWETHER_FIRST_SEED", options.first.to_string());
    run_step(&mut test).await
}
