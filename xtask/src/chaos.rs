//! The chaos suite: builds what it runs, and proves it with planted bugs.

use std::path::Path;

use anyhow::Result;
use bellwether_tests::target_dir;
use clap::Args;
use tokio::process::Command;

use crate::provision;
use crate::step::{cargo, command, run as run_step};

mod planted;

#[derive(Args)]
pub(crate) struct Options {
    /// Build servers and suite with optimisation
    #[arg(long)]
    release: bool,

    /// Plant these bugs in the servers, or all there are, one by one, and expect each to be caught
    #[arg(long, value_name = "NAME", num_args = 0.., value_delimiter = ',', conflicts_with = "args")]
    planted: Option<Vec<String>>,

    /// Passed on; `cargo xtask chaos -- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    args: Vec<String>,
}

pub(crate) async fn run(mut options: Options) -> Result<()> {
    if let Some(names) = &options.planted {
        return planted::run(names).await;
    }
    // What follows an option of the suite is not recognised as one of this command.
    let given = options.args.len();
    options.args.retain(|arg| arg != "--release");
    options.release |= options.args.len() < given;
    suite(options.release, &options.args).await
}

/// Builds everything and runs the suite with these options.
pub(crate) async fn suite(release: bool, args: &[String]) -> Result<()> {
    provision::mongod().await?;
    let packages = ["bellwether-server", "bellwether-chaos"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let mut build = cargo(["build", "--bins"]);
    build.args(packages);
    let profile = if release {
        build.arg("--release");
        "release"
    } else {
        "debug"
    };
    run_step(&mut build).await?;
    let programs = target_dir()?.join(profile);
    let mut suite = program(&programs);
    suite.args(args);
    run_step(&mut suite).await
}

/// The suite that lies in this directory, with the servers that lie there.
fn program(programs: &Path) -> Command {
    let mut suite = command(programs.join("bellwether-chaos"));
    suite.env("BELLWETHER_PROGRAMS", programs);
    suite
}
