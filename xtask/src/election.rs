//! The commands for the election crate. Each is a few lines of cargo.

use anyhow::{Context, Result, ensure};
use bellwether_programs::{ELECTION, Manifest, on_path, target_dir};
use clap::Args;

use crate::step::{cargo, cargo_of, command, output, run};
use crate::{package, provision};

const CRATE: [&str; 2] = ["--package", ELECTION];

/// A browser, and a microcontroller, for which there is no `std`.
const TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "thumbv7m-none-eabi"];

/// The Rust that has Miri.
const NIGHTLY: &str = "nightly";

/// The test that knows every fault; the others look at one situation each.
const EVERY_FAULT: &str = "scenarios::safety::every_fault_and_then_agreement";

/// Lints the crate with every set of features it can be built with. Its tests, examples and
/// benchmarks are included, if they can be built with these features.
pub(crate) async fn features() -> Result<()> {
    let manifest = Manifest::of(ELECTION).await?;
    for features in manifest.feature_sets() {
        let features = features.into_iter().collect::<Vec<_>>().join(",");
        let mut clippy = cargo(["clippy", "--quiet", "--all-targets", "--no-default-features"]);
        clippy.args(CRATE).args(["--features", &features]);
        run(clippy.args(["--", "-D", "warnings"])).await?;
    }
    Ok(())
}

/// Builds the crate without features, for targets without an operating system.
pub(crate) async fn targets() -> Result<()> {
    for target in TARGETS {
        provision::target(target).await?;
        let mut build = cargo(["build", "--lib", "--no-default-features"]);
        run(build.args(CRATE).args(["--target", target])).await?;
    }
    Ok(())
}

/// Compiles the crate and its tests with the oldest Rust that the crate names.
pub(crate) async fn msrv() -> Result<()> {
    let manifest = Manifest::of(ELECTION).await?;
    let oldest = manifest
        .rust_version
        .context("the crate does not say which Rust it needs")?;
    provision::toolchain(&oldest, &[]).await?;
    let mut check = cargo_of(&oldest, ["check", "--quiet", "--all-features", "--all-targets"]);
    // Of its own, so that neither compiler discards the files of the other.
    let target_dir = target_dir()?.join("msrv");
    run(check.args(CRATE).arg("--target-dir").arg(target_dir)).await
}

/// Builds the crate's documentation as its users can see it, and runs the examples in it.
pub(crate) async fn docs() -> Result<()> {
    for features in ["--no-default-features", "--all-features"] {
        let mut doc = cargo(["doc", "--no-deps", features]);
        run(doc.args(CRATE).env("RUSTDOCFLAGS", "-D warnings")).await?;
        run(cargo(["test", "--quiet", "--doc", features]).args(CRATE)).await?;
    }
    Ok(())
}

#[derive(Args)]
pub(crate) struct SemverOptions {
    /// The commit or tag to compare with, instead of the version that was published last
    revision: Option<String>,
}

/// Compares the crate's interface with an earlier one, and the difference with that of the
/// versions.
pub(crate) async fn semver(options: SemverOptions) -> Result<()> {
    ensure!(
        on_path("cargo-semver-checks").is_some(),
        "cargo-semver-checks is missing; install it, which takes some minutes: cargo install cargo-semver-checks"
    );
    let mut check = cargo(["semver-checks", "--all-features"]);
    check.args(CRATE);
    if let Some(revision) = options.revision {
        check.args(["--baseline-rev", &revision]);
    } else {
        output(command("cargo").args(["info", "--quiet", "--registry", "crates-io", ELECTION]))
            .await
            .context("the crate was never published, or the registry cannot be reached; name a commit to compare with")?;
    }
    run(&mut check).await
}

/// Runs the crate's pure part under Miri, which notices undefined behaviour. The crate has no
/// unsafe code, so this examines its dependencies.
pub(crate) async fn miri() -> Result<()> {
    provision::toolchain(NIGHTLY, &["miri", "rust-src"]).await?;
    let target = target_dir()?.join("miri");
    let mut core = cargo_of(NIGHTLY, ["miri", "test", "--no-default-features", "--lib"]);
    run(core.args(CRATE).arg("--target-dir").arg(&target)).await?;
    // An election, too.
    let dependent = package::dependent().await?;
    let mut by_hand = cargo_of(NIGHTLY, ["miri", "run", "--bin", "by_hand", "--target-dir"]);
    run(by_hand.arg(&target).current_dir(dependent.dir())).await
}

#[derive(Args)]
pub(crate) struct ModelOptions {
    /// Explore the large models too, one after another: many minutes, and gigabytes of memory
    #[arg(long)]
    long: bool,
    /// Only models whose names contain this
    filter: Option<String>,
}

/// Explores every model of the election to its end.
pub(crate) async fn model(options: ModelOptions) -> Result<()> {
    let mut explore = cargo(["test", "--package", "bellwether-election-model"]);
    explore.args(["--test", "model"]).args(&options.filter);
    if options.long {
        // One after another, for their memory's sake.
        explore.args(["--", "--include-ignored", "--test-threads", "1"]);
    }
    run(&mut explore).await
}

#[derive(Args)]
pub(crate) struct SimulateOptions {
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

/// Runs the tests of the simulation. The last line of each test states the amount of simulation and
/// its time; a failure names the command that shows it again.
pub(crate) async fn simulate(options: SimulateOptions) -> Result<()> {
    let mut test = cargo(["test", "--test", "simulation"]);
    test.args(CRATE)
        .args(["--", &options.test, "--nocapture"])
        .env("BELLWETHER_SEEDS", options.seeds.to_string())
        .env("BELLWETHER_FIRST_SEED", options.first.to_string());
    run(&mut test).await
}

#[derive(Args)]
pub(crate) struct BenchOptions {
    /// Print only these: messages, quiet, failover, throughput
    tables: Vec<String>,
}

/// Measures the crate.
pub(crate) async fn bench(options: BenchOptions) -> Result<()> {
    let mut bench = cargo(["bench", "--features", "serde", "--bench", "figures"]);
    run(bench.args(CRATE).arg("--").args(options.tables)).await
}
