//! The chaos suite: builds its programs, and proves it with mutants.

use std::path::Path;

use anyhow::{Result, ensure};
use bellwether_programs::target_dir;
use clap::Args;
use tokio::process::Command;

use crate::provision;
use crate::step::{cargo, command, run as run_step, run_and_read};

mod planted;

/// The runs of every test run.
const EVERY_TIME: [&str; 2] = [
    "--seed 1 --phase one-by-one --length 160s",
    "--seed 2 --phase mixed --length 90s",
];

/// Beginnings of the suite's lines on checks that did not hold.
const NOT_HELD: [&str; 2] = ["VIOLATED: ", "UNDECIDED: "];

/// Bugs that are caught soon: of the pipeline, the client and the fence.
const SOON_CAUGHT: [&str; 3] = ["no_id_lookup", "retry_with_new_id", "fence_ignored"];

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
    // An argument after an option of the suite is not recognised as one of this command.
    let given = options.args.len();
    options.args.retain(|arg| arg != "--release");
    options.release |= options.args.len() < given;
    suite(options.release, &options.args).await
}

/// Runs the part of the suite for every test run, in about eight minutes: each kind of fault alone,
/// and several at once. Also runs some mutants, to show that the suite detects them. A failure does
/// not keep the rest from running.
pub(crate) async fn in_every_test_run() -> Result<()> {
    let mut failures = Vec::new();
    for args in EVERY_TIME {
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        failures.extend(suite(false, &args).await.err());
    }
    let bugs = SOON_CAUGHT.map(str::to_owned);
    failures.extend(planted::run(&bugs).await.err());
    let failures: Vec<String> = failures.iter().map(|failure| format!("{failure:#}")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

/// Builds everything and runs the suite with these options.
pub(crate) async fn suite(release: bool, args: &[String]) -> Result<()> {
    provision::mongod().await?;
    provision::faketime().await;
    // With the features the workspace has as a whole: as everything else is built.
    let mut build = cargo(["build", "--workspace"]);
    build.args(["--bin", "bellwether-server", "--bin", "bellwether-chaos"]);
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
    let mut not_held = Vec::new();
    let status = run_and_read(&mut suite, |line| {
        if NOT_HELD.iter().any(|verdict| line.starts_with(verdict)) {
            not_held.push(line.to_owned());
        }
    })
    .await?;
    ensure!(
        status.success(),
        "`bellwether-chaos {}` failed ({status}); {}",
        args.join(" "),
        if not_held.is_empty() {
            "its messages are above".into()
        } else {
            not_held.join("; ")
        }
    );
    Ok(())
}

/// Returns the suite in this directory, with the servers in the same directory.
fn program(programs: &Path) -> Command {
    let mut suite = command(programs.join("bellwether-chaos"));
    suite.env("BELLWETHER_PROGRAMS", programs);
    suite
}
