use anyhow::Result;
use clap::Args;

use crate::step::{cargo, run as run_step};

#[derive(Args)]
pub(crate) struct Options {
    /// Explore the large models too, one after another: many minutes, and gigabytes of memory
    #[arg(long)]
    long: bool,
    /// Only models whose names contain this
    filter: Option<String>,
}

/// Explores every model of the election to its end.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut explore = cargo([
        "test",
        "--package",
        "bellwether-election-model",
        "--test",
        "model",
    ]);
    explore.args(&options.filter);
    if options.long {
        // One after another, for their memory's sake.
        explore.args(["--", "--include-ignored", "--test-threads", "1"]);
    }
    run_step(&mut explore).await
}
