use anyhow::Result;
use clap::Args;

use crate::step::{cargo, run as run_step};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Options of the lint, and files or directories of which it lists all violations
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Checks the English of comments, documents and error texts. The lint is a program of its own, so
/// that the other commands do not wait until its parsers are compiled.
pub(crate) async fn run(options: Options) -> Result<()> {
    let lint = ["run", "--quiet", "--package", "xtask-prose", "--"];
    run_step(cargo(lint).args(options.arguments)).await
}
