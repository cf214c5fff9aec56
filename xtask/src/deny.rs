use std::path::Path;

use anyhow::Result;
use tokio::process::Command;

use crate::provision;
use crate::step::{command, output, run as run_step, say};

const WORKSPACE: &str = "Cargo.toml";
const ELECTION: &str = "crates/election/Cargo.toml";

/// Checks everything the workspace depends on against `deny.toml`.
pub(crate) async fn run() -> Result<()> {
    let cargo_deny = provision::cargo_deny().await?;
    let mut what = vec!["bans", "licenses", "sources"];
    if let Err(error) = output(deny(&cargo_deny, WORKSPACE).arg("fetch")).await {
        say(format_args!(
            "NOT CHECKED: known vulnerabilities. Their list cannot be had from here: {error:#}"
        ));
    } else {
        what.push("advisories");
    }
    let quietly = ["check", "--hide-inclusion-graph"];
    run_step(deny(&cargo_deny, WORKSPACE).args(quietly).args(what)).await?;
    // A user of the election crate gets all its dependencies, and must not get one twice.
    let strictly = ["--deny", "duplicate", "bans"];
    run_step(deny(&cargo_deny, ELECTION).args(quietly).args(strictly)).await
}

fn deny(program: &Path, manifest: &str) -> Command {
    let mut deny = command(program);
    deny.args(["--manifest-path", manifest, "--all-features"]);
    deny
}
