//! Every check of the project.

mod aside;
mod scripts;

use anyhow::{Result, ensure};
use bellwether_programs::target_dir;
use clap::Args;
use tokio::process::Command;

use self::aside::Aside;
use crate::report::{Report, Totals, failed_test};
use crate::step::{cargo, run as run_step, run_and_read};
use crate::{browser_tests, chaos, containers, provision, web};

#[derive(Args)]
pub(crate) struct Options {
    /// Leave out the tests that start a cluster, and what only they need
    #[arg(long)]
    fast: bool,
    /// Run only tests whose names contain this
    filter: Option<String>,
}

/// Runs all checks. A check that fails does not keep the others from running.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut report = Report::default();
    let mut totals = Totals::default();
    report.check("needs", needs(&options)).await;
    report
        .check("format", run_step(&mut cargo(["fmt", "--all", "--check"])))
        .await;
    report.check("page", web::build_small()).await;
    report.check("build", build(&options)).await;
    // Not earlier: cargo lets one of two builds wait for the other.
    let checks = match options.filter {
        None => Aside::start(&["checks"]),
        Some(_) => Aside::start(&["checks", "--fast"]),
    };
    report.check("tests", tests(&options, &mut totals)).await;
    report
        .check_if_possible("scripts", scripts::run(options.filter.as_deref(), &mut totals))
        .await;
    if !options.fast {
        report
            .check_if_possible("npm", package_tests(&options, &mut totals))
            .await;
        report
            .check_if_possible("python", python_tests(&options, &mut totals))
            .await;
        let filter = options.filter.as_deref();
        let tests = browser_tests::run_tests(filter, |line| totals.add(line));
        report.check("browser", tests).await;
        let containers_options = containers::Options::filter(filter);
        let tests = containers::run_and_read(&containers_options, |line| totals.add(line));
        report.check_if_possible("containers", tests).await;
        if options.filter.is_none() {
            report.check("chaos", chaos::in_every_test_run()).await;
        }
    }
    report.check("checks", async { checks?.finish().await }).await;
    report.finish(totals)
}

async fn needs(options: &Options) -> Result<()> {
    if options.fast {
        provision::wasm_target().await
    } else {
        provision::everything().await
    }
}

/// Returns the arguments of cargo that name the packages whose tests run.
fn packages(options: &Options) -> Vec<&'static str> {
    let mut packages = vec!["--workspace"];
    if options.fast {
        packages.extend(["--exclude", "bellwether-tests", "--exclude", "bellwether-chaos"]);
    }
    packages
}

/// Builds the tests, and the programs that they start.
async fn build(options: &Options) -> Result<()> {
    run_step(cargo(["test", "--no-run"]).args(packages(options))).await?;
    if !options.fast {
        // The programs the tests start. Built here, with the features the workspace has as a whole,
        // they need not be built once more by the tests themselves.
        run_step(&mut cargo(["build", "--workspace", "--bins"])).await?;
    }
    Ok(())
}

/// Runs the tests and adds up their counts.
async fn tests(options: &Options, totals: &mut Totals) -> Result<()> {
    let mut test = cargo(["test", "--no-fail-fast"]);
    run_tests(test.args(packages(options)).args(&options.filter), totals).await?;
    ensure!(totals.any_passed(), "no test ran");
    Ok(())
}

/// Runs the tests of the npm package.
async fn package_tests(options: &Options, totals: &mut Totals) -> Result<()> {
    provision::node().await?;
    let mut test = cargo(["test", "--workspace", "--test", "package"]);
    run_tests(test.args(&options.filter), totals).await
}

/// Runs the tests of the Python client.
async fn python_tests(options: &Options, totals: &mut Totals) -> Result<()> {
    provision::python().await?;
    let mut test = cargo(["test", "--workspace", "--test", "python"]);
    run_tests(test.args(&options.filter), totals).await
}

async fn run_tests(test: &mut Command, totals: &mut Totals) -> Result<()> {
    test.env("BELLWETHER_PROGRAMS", target_dir()?.join("debug"));
    let mut failed = Vec::new();
    let status = run_and_read(test, |line| {
        totals.add(line);
        failed.extend(failed_test(line));
    })
    .await?;
    let failed = match failed.as_slice() {
        [] => "its messages are above".into(),
        names => names.join(", "),
    };
    ensure!(status.success(), "cargo test failed ({status}): {failed}");
    Ok(())
}
