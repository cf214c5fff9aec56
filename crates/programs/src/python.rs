use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::key::key;
use crate::place::target_dir;

/// Installs the Python project in this directory with its dependencies and those of its tests, its
/// extra `test`. Returns the directory for `PYTHONPATH`. It stays in cargo's target directory, so
/// that only the first time needs a network.
///
/// # Errors
/// If there is no `python3` with pip on `PATH`, or if pip cannot get or build a package; the error
/// has pip's message.
pub async fn python_packages(project: &Path) -> Result<PathBuf> {
    let pyproject = project.join("pyproject.toml");
    let mut text = fs::read(&pyproject).with_context(|| format!("reading {}", pyproject.display()))?;
    // Some packages hold modules that fit one version of Python only.
    text.extend(python(&["--version"]).await?.bytes());
    let cache = target_dir()?.join("provisioned/python");
    let place = cache.join(key(&text)?);
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    // Renamed when complete: a broken installation never looks like a whole one.
    let dir = TempDir::with_prefix_in("install-", &cache).context("making a directory for pip")?;
    let packages = dir.path().join("packages");
    python(&[
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        "--target",
        &packages.to_string_lossy(),
        &format!("{}[test]", project.display()),
    ])
    .await?;
    match fs::rename(&packages, &place) {
        // Another process was faster.
        Err(_) if place.is_dir() => {}
        renamed => renamed.with_context(|| format!("moving packages to {}", place.display()))?,
    }
    Ok(place)
}

/// Runs `python3` and returns its output.
async fn python(args: &[&str]) -> Result<String> {
    let mut python = Command::new("python3");
    let output = python.args(args).kill_on_drop(true).output().await;
    let output = output.context("cannot start python3: install Python 3.11 or newer with pip")?;
    ensure!(
        output.status.success(),
        "`python3 {}` failed ({}): {}",
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
