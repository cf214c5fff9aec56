//! The checks that need no cluster. They compile and compute, and wait for nothing.

use anyhow::Result;
use clap::Args;

use crate::report::{Report, Totals};
use crate::step::{cargo, run as run_step};
use crate::{deny, deployment, election, fuzz, package, planted};

#[derive(Args)]
pub(crate) struct Options {
    /// Leave out the planted bugs and the fuzzer, which take minutes
    #[arg(long)]
    fast: bool,
}

/// Runs all of them. A check that fails does not keep the others from running.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut report = Report::default();
    // These have target directories of their own. The tests, which begin at the same time, do not
    // wait for them.
    if !options.fast {
        report
            .check("planted bugs", planted::run(planted::Options::default()))
            .await;
        report.check_if_possible("fuzz", fuzz::short()).await;
    }
    report.check("lints", lints()).await;
    report.check("prose", prose(ProseOptions::default())).await;
    report.check("features", election::features()).await;
    report.check("docs", docs()).await;
    report.check_if_possible("targets", election::targets()).await;
    report.check_if_possible("msrv", election::msrv()).await;
    report.check("package", package::run()).await;
    report.check("deny", deny::run()).await;
    report.check_if_possible("deployment", deployment::run()).await;
    report.finish(Totals::default())
}

/// Builds all documentation, and that of the election crate as its users can see it, whose examples
/// are run too.
pub(crate) async fn docs() -> Result<()> {
    let mut workspace = cargo(["doc", "--no-deps", "--workspace"]);
    run_step(workspace.env("RUSTDOCFLAGS", "-D warnings")).await?;
    election::docs().await
}

/// Lints the workspace, and the browser client as it is compiled for browsers.
async fn lints() -> Result<()> {
    run_step(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
    .await?;
    let wasm = [
        "--package",
        "bellwether-web-client",
        "--target",
        "wasm32-unknown-unknown",
    ];
    run_step(
        cargo(["clippy", "--all-targets"])
            .args(wasm)
            .args(["--", "-D", "warnings"]),
    )
    .await
}

#[derive(Args, Default)]
pub(crate) struct ProseOptions {
    /// Options of the lint, and files or directories of which it lists all violations
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Checks the English of comments, documents and error texts. The lint is a program of its own, so
/// that the other commands do not wait until its parsers are compiled.
pub(crate) async fn prose(options: ProseOptions) -> Result<()> {
    let lint = ["run", "--quiet", "--package", "xtask-prose", "--"];
    run_step(cargo(lint).args(options.arguments)).await
}
