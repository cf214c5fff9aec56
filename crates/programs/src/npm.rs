use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::key::key;
use crate::place::{on_path, target_dir};

/// Vite and `node --test` of today need it.
const OLDEST_NODE: u32 = 20;

/// Returns the `node` on `PATH`.
///
/// # Errors
/// If there is none, or it is too old, or it came without npm; the error names the way to supply
/// one.
pub async fn find_node() -> Result<PathBuf> {
    let needed = "Node.js 20 or newer with npm is needed: install it and put node and npm on PATH";
    let node = on_path("node").context(needed)?;
    let version = Command::new(&node).arg("--version").output().await?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or(0);
    ensure!(major >= OLDEST_NODE, "{needed}; this one is {version}");
    ensure!(on_path("npm").is_some(), "{needed}; there is no npm");
    Ok(node)
}

/// Installs the dependencies of `package_json`, and returns the directory with `node_modules`. They
/// stay in cargo's target directory, so that only the first time needs a network. Install scripts
/// of packages are not run.
///
/// # Errors
/// As [`find_node`], or if npm cannot get the packages.
pub async fn node_packages(package_json: &Path) -> Result<PathBuf> {
    find_node().await?;
    let text = fs::read(package_json).with_context(|| format!("reading {}", package_json.display()))?;
    let cache = target_dir()?.join("provisioned/npm");
    let place = cache.join(key(&text)?);
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    // Renamed when complete: a broken installation never looks like a whole one.
    let dir = TempDir::with_prefix_in("install-", &cache).context("making a directory for npm")?;
    fs::write(dir.path().join("package.json"), &text)?;
    npm(&["install"], dir.path()).await?;
    match fs::rename(dir.path(), &place) {
        // Another process was faster.
        Err(_) if place.is_dir() => {}
        renamed => renamed.with_context(|| format!("moving packages to {}", place.display()))?,
    }
    Ok(place)
}

/// Runs npm in a directory and returns its output. It asks the registry once and then gives up, and
/// leaves no lock file, which would name the registry.
///
/// # Errors
/// As [`find_node`], or if npm fails, with its message.
pub async fn npm(args: &[&str], dir: &Path) -> Result<String> {
    find_node().await?;
    let quiet = [
        "--no-package-lock",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--fetch-retries=0",
        "--loglevel=error",
    ];
    let mut npm = Command::new("npm");
    npm.args(args).args(quiet).current_dir(dir).kill_on_drop(true);
    let output = npm.output().await.context("cannot start npm")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`npm {}` failed ({}): {}",
            args.join(" "),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
