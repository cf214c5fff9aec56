//! Runs the tests of the browser client in a headless Chromium.

use anyhow::{Result, ensure};
use clap::Args;

use crate::provision;
use crate::step::{cargo, run_and_read};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Run only tests whose names contain this
    filter: Option<String>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    run_tests(options.filter.as_deref(), |_| {}).await
}

/// Runs the tests whose names contain the filter, and has every line they print read.
pub(crate) async fn run_tests(filter: Option<&str>, read: impl FnMut(&str)) -> Result<()> {
    provision::wasm_target().await?;
    provision::browser().await?;
    let program = [
        "run",
        "--package",
        "bellwether-tests",
        "--bin",
        "bellwether-browser-tests",
        "--",
    ];
    let ended = run_and_read(cargo(program).args(filter), read).await?;
    ensure!(
        ended.success(),
        "tests of the browser client failed; their messages are above"
    );
    Ok(())
}
