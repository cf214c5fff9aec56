//! The project's own commands. `cargo xtask help` lists them.

mod bench;
mod browser_tests;
mod chaos;
mod checks;
mod containers;
mod demo;
mod deny;
mod deployment;
mod election;
mod fuzz;
mod output;
mod package;
mod planted;
mod provision;
mod report;
mod screenshots;
mod slowest;
mod test;
mod test_mongodb;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use bellwether_programs as step;
use step::{asked_to_end, say};
use xtask_web as web;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Bellwether's own commands"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start a MongoDB replica set and three servers on this machine, with the page, to try
    /// everything out
    Demo(demo::Options),
    /// Check and test everything
    Test(test::Options),
    /// Check everything that needs no cluster: lints, English, features, documentation, packages,
    /// dependencies, planted bugs, parsers
    Checks(checks::Options),
    /// Run the suites that depend on MongoDB most on a second version of it
    TestMongodb(test_mongodb::Options),
    /// Package the election crate as for publishing, and run elections in a project that depends on
    /// the package
    Package,
    /// Build the election crate without features where there is no operating system
    Targets,
    /// Lint the election crate with every set of its features
    Features,
    /// Compile the election crate with the oldest Rust it is said to need
    Msrv,
    /// Build the documentation and run its examples
    Docs,
    /// Check licences, sources, duplicates and known vulnerabilities of all dependencies
    Deny,
    /// Check the English of comments, documents and error texts: rules R1 to R10 of CONTRIBUTING.md
    Prose(checks::ProseOptions),
    /// Check the Kubernetes manifests and the Compose files: their schemas, and the options they
    /// set
    Deployment,
    /// Compare the election crate's interface with an earlier one: what breaks a user needs another
    /// major version
    Semver(election::SemverOptions),
    /// Run the election's pure part under Miri, which notices undefined behaviour
    Miri,
    /// Explore every order of events in an election, within bounds, and say how many states there
    /// are
    Model(election::ModelOptions),
    /// Measure Bellwether and the MongoDB driver: latency, many clients, takeover, memory
    Bench(bench::Options),
    /// Measure the election crate: messages, a quiet second, failover times, throughput
    BenchElection(election::BenchOptions),
    /// Run the election in virtual time under every fault, with as many seeds as you have patience
    /// for
    Simulate(election::SimulateOptions),
    /// Feed every parser of bytes from outside with the inputs of a fuzzer, and check its
    /// properties
    Fuzz(fuzz::Options),
    /// Plant known bugs in a copy of the election, one by one, and expect each to be found
    Planted(planted::Options),
    /// Put a cluster of real processes under faults, and check the answers to its clients
    Chaos(chaos::Options),
    /// Build the browser client into www/pkg, as the npm package it is published as, and show its
    /// size
    Web,
    /// Run the browser client's own tests in a headless Chromium
    BrowserTests(browser_tests::Options),
    /// Put the cluster of docker/compose.yaml through every fault, in containers; gets Docker and
    /// makes the images
    Containers(containers::Options),
    /// Make the pictures of the page that the documentation shows, in docs/images
    Screenshots,
    /// Get what the other commands need and this machine lacks: mongod, the wasm target, a headless
    /// browser, packages of npm and of Python
    Provision,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { task } = Cli::parse();
    let finished = tokio::select! {
        finished = run(task) => Some(finished),
        () = asked_to_end() => None,
    };
    // The task is dropped by now, and with it everything it has started.
    match finished {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            say(format_args!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
        None => {
            say(format_args!(
                "\nEnded, and everything this command had started with it."
            ));
            ExitCode::from(130)
        }
    }
}

async fn run(task: Task) -> Result<()> {
    match task {
        Task::Demo(options) => demo::run(options).await,
        Task::Test(options) => test::run(options).await,
        Task::Checks(options) => checks::run(options).await,
        Task::TestMongodb(options) => test_mongodb::run(options).await,
        Task::Package => package::run().await,
        Task::Targets => election::targets().await,
        Task::Features => election::features().await,
        Task::Msrv => election::msrv().await,
        Task::Docs => checks::docs().await,
        Task::Deny => deny::run().await,
        Task::Prose(options) => checks::prose(options).await,
        Task::Deployment => deployment::run().await,
        Task::Semver(options) => election::semver(options).await,
        Task::Miri => election::miri().await,
        Task::Model(options) => election::model(options).await,
        Task::Bench(options) => bench::run(options).await,
        Task::BenchElection(options) => election::bench(options).await,
        Task::Simulate(options) => election::simulate(options).await,
        Task::Fuzz(options) => fuzz::run(options).await,
        Task::Planted(options) => planted::run(options).await,
        Task::Chaos(options) => chaos::run(options).await,
        Task::Web => web::build().await.map(drop),
        Task::BrowserTests(options) => browser_tests::run(options).await,
        Task::Containers(options) => containers::run(options).await,
        Task::Screenshots => screenshots::run().await,
        Task::Provision => provision::everything().await,
    }
}
