use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bellwether_programs::target_dir;
use tempfile::TempDir;
use tokio::process::Command;

use super::{Missing, wheel};
use crate::step::{command, output, run, say};

/// A Python package that holds the schemas of Kubernetes 1.25 to 1.37, and a program that compares
/// manifests with them.
const PACKAGE: &str = "kubernetes-validate==1.37.0";

/// Makes sure that there is a validator of Kubernetes manifests, and returns the command that runs
/// it.
pub(crate) async fn kubernetes_validate() -> Result<Command> {
    let place = target_dir()?.join("provisioned/kubernetes-validate");
    // Its files fit one version of Python, and that may have changed.
    if !runs(&place).await {
        install(&place).await.map_err(|error| {
            let missing = Missing(format!("no schemas of Kubernetes could be had: {error:#}"));
            error.context(missing)
        })?;
    }
    Ok(program(&place))
}

async fn install(place: &PathBuf) -> Result<()> {
    say(format_args!(
        "kubernetes-validate: missing. Downloading it (2 MB) as the Python package {PACKAGE}; it stays in cargo's target \
         directory."
    ));
    wheel::pip().await?;
    let parent = place.parent().context("a place in no directory")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    // In the same directory, so that the last step is a rename: a broken download never looks like
    // a whole one.
    let dir = TempDir::with_prefix_in("download-", parent).context("making a directory for the download")?;
    let packages = dir.path().join("packages");
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        PACKAGE,
    ];
    run(command("python3").args(pip).arg("--target").arg(&packages)).await?;
    if !runs(&packages).await {
        bail!("the package {PACKAGE} does not run with this machine's Python");
    }
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("removing {}", place.display()))?;
    }
    fs::rename(&packages, place).with_context(|| format!("moving packages to {}", place.display()))
}

async fn runs(packages: &Path) -> bool {
    packages.is_dir() && output(program(packages).arg("--version")).await.is_ok()
}

fn program(packages: &Path) -> Command {
    let mut program = command("python3");
    program
        .args(["-m", "kubernetes_validate"])
        .env("PYTHONPATH", packages);
    program
}
