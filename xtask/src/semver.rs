use anyhow::{Context, Result, ensure};
use bellwether_programs::on_path;
use clap::Args;

use crate::step::{cargo, command, output, run as run_step};
use bellwether_programs::ELECTION;

#[derive(Args)]
pub(crate) struct Options {
    /// The commit or tag to compare with, instead of the version that was published last
    revision: Option<String>,
}

/// Compares the election crate's interface with an earlier one, and the difference with that of the
/// versions.
pub(crate) async fn run(options: Options) -> Result<()> {
    ensure!(
        on_path("cargo-semver-checks").is_some(),
        "cargo-semver-checks is missing; install it, which takes some minutes: cargo install cargo-semver-checks"
    );
    let mut check = cargo(["semver-checks", "--package", ELECTION, "--all-features"]);
    if let Some(revision) = options.revision {
        check.args(["--baseline-rev", &revision]);
    } else {
        output(command("cargo").args(["info", "--quiet", "--registry", "crates-io", ELECTION]))
            .await
            .context("the crate was never published, or the registry cannot be reached; name a commit to compare with")?;
    }
    run_step(&mut check).await
}
