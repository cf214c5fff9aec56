//! The election crate as a user gets it: packaged as for publishing, unpacked, and used as a
//! dependency.

mod dependent;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_programs::target_dir;

use self::dependent::Project;
use crate::step::{cargo, command, output, run as run_step, say};
use bellwether_programs::{ELECTION, Manifest};

pub(crate) async fn run() -> Result<()> {
    let manifest = Manifest::of(ELECTION).await?;
    // Dirty or not: nothing leaves this machine, and developers test before they commit.
    run_step(&mut cargo([
        "publish",
        "--dry-run",
        "--allow-dirty",
        "--package",
        ELECTION,
    ]))
    .await?;
    let unpacked = unpack(&manifest).await?;
    expect_licences(&unpacked)?;
    dependent::run(&manifest, &Project::beside(&unpacked)?).await
}

/// Makes a project that depends on the package, and whose program `by_hand` needs no features of
/// it.
pub(crate) async fn dependent() -> Result<Project> {
    Project::beside(&unpack(&Manifest::of(ELECTION).await?).await?)
}

/// Unpacks the package into a directory with the crate's name, and returns that directory.
async fn unpack(manifest: &Manifest) -> Result<PathBuf> {
    // Verified above by a dry run, which does not name the path of the archive.
    let package = [
        "package",
        "--no-verify",
        "--allow-dirty",
        "--quiet",
        "--package",
        ELECTION,
    ];
    run_step(&mut cargo(package)).await?;
    let archive = format!("package/{}-{}.crate", manifest.name, manifest.version);
    let archive = target_dir()?.join(archive);
    let unpacked = target_dir()?.join("dependent").join(&manifest.name);
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).with_context(|| format!("removing {}", unpacked.display()))?;
    }
    fs::create_dir_all(&unpacked).with_context(|| format!("making {}", unpacked.display()))?;
    // Touched, because all files in a package are from one and the same past moment. Cargo builds
    // only files again that are newer than its last build.
    let mut tar = command("tar");
    tar.args(["--extract", "--gzip", "--touch", "--strip-components=1", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(&unpacked);
    output(&mut tar).await?;
    Ok(unpacked)
}

/// Checks the licences: a licence requires that its text goes with every copy.
fn expect_licences(unpacked: &Path) -> Result<()> {
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "README.md"] {
        let file = unpacked.join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("the package has no {name}"))?;
        // A link that was packaged as such holds a path and nothing else.
        ensure!(
            text.lines().count() > 10,
            "{name} in the package is not the whole text"
        );
    }
    say(format_args!("the package holds both licences and its README"));
    Ok(())
}
