//! Runs the fuzz targets of `fuzz/`: libFuzzer on the project's own Rust, without cargo-fuzz and
//! without a nightly Rust.

mod build;
mod corpus;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream;

use self::build::Programs;
use self::target::{Verdict, heading};
use crate::step::show;

/// Running time of each target in `cargo xtask test`.
const SHORT: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Options {
    /// Which targets; all unless named
    targets: Vec<String>,
    /// For how many seconds each of them
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Seed of the fuzzer's random numbers; drawn unless given
    #[arg(long)]
    seed: Option<u32>,
    /// Number of targets that run at once; as many as there are processors unless given
    #[arg(long)]
    jobs: Option<usize>,
    /// Run one target with this input and nothing else
    #[arg(long)]
    input: Option<PathBuf>,
    /// Afterwards keep the smallest inputs that reach what all do, those found included, in
    /// fuzz/corpus
    #[arg(long)]
    keep: bool,
}

/// # Errors
/// If an input was found for which something does not hold. The table names it, and how to see it
/// again.
pub(crate) async fn run(options: Options) -> Result<()> {
    let targets = target::named(&options.targets)?;
    let programs = Programs::build().await?;
    if let Some(input) = &options.input {
        let [target] = targets.as_slice() else {
            bail!("name the one target that the input is for");
        };
        let input = input
            .canonicalize()
            .with_context(|| format!("no input {}", input.display()))?;
        return target::replay(&programs, target, &input).await;
    }
    let time = Duration::from_secs(options.seconds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.unwrap_or(cores).max(1);
    let runs = targets
        .iter()
        .map(|target| target::fuzz(&programs, target, time, options.seed));
    let verdicts: Vec<Result<Verdict>> = stream::iter(runs).buffered(jobs).collect().await;
    let verdicts = verdicts.into_iter().collect::<Result<Vec<Verdict>>>()?;
    show(&heading());
    verdicts.iter().for_each(|verdict| show(&verdict.row()));
    let found: Vec<String> = verdicts.iter().filter_map(Verdict::explain).collect();
    ensure!(found.is_empty(), "{}", found.join("\n\n"));
    if options.keep {
        for target in &targets {
            corpus::keep(&programs, target).await?;
        }
    }
    Ok(())
}

/// Runs in every test run, from the same seed every time: the search for new inputs belongs to
/// longer runs.
pub(crate) async fn short() -> Result<()> {
    build::format().await?;
    run(Options {
        targets: Vec::new(),
        seconds: SHORT.as_secs(),
        seed: Some(1),
        jobs: None,
        input: None,
        keep: false,
    })
    .await
}
