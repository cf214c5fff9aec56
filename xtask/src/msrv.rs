use anyhow::{Context, Result};
use bellwether_programs::target_dir;

use crate::provision;
use crate::step::{cargo_of, run as run_step};
use bellwether_programs::{ELECTION, Manifest};

/// Compiles the election crate and its tests with the oldest Rust that the crate names.
pub(crate) async fn run() -> Result<()> {
    let manifest = Manifest::of(ELECTION).await?;
    let oldest = manifest
        .rust_version
        .context("the crate does not say which Rust it needs")?;
    provision::toolchain(&oldest, &[]).await?;
    let mut check = cargo_of(
        &oldest,
        [
            "check",
            "--quiet",
            "--package",
            ELECTION,
            "--all-features",
            "--all-targets",
        ],
    );
    // Of its own, so that neither compiler discards the files of the other.
    run_step(check.arg("--target-dir").arg(target_dir()?.join("msrv"))).await
}
