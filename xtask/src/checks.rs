//! The checks that need no cluster. They compile and compute, and wait for nothing.

use anyhow::Result;
use clap::Args;

use crate::report::{Report, Totals};
use crate::step::{cargo, run as run_step};
use crate::{deny, deployment, docs, features, fuzz, msrv, package, planted, prose, targets};

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
    report.check("prose", prose::run(prose::Options::default())).await;
    report.check("features", features::run()).await;
    report.check("docs", docs::run()).await;
    report.check_if_possible("targets", targets::run()).await;
    report.check_if_possible("msrv", msrv::run()).await;
    report.check("package", package::run()).await;
    report.check("deny", deny::run()).await;
    report.check_if_possible("deployment", deployment::run()).await;
    report.finish(Totals::default())
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
