use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_programs::{Manifest, root};
use serde::Deserialize;

use crate::tools::Tools;

const CRATE: &str = "bellwether-web-client";

/// The handwritten files.
const WRITTEN: [&str; 5] = [
    "package.json",
    "README.md",
    "index.js",
    "extended_json.js",
    "index.d.ts",
];

/// The files of these that are made smaller.
const SCRIPTS: [&str; 2] = ["index.js", "extended_json.js"];

const LICENCES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// Puts the package together, in `www/pkg`, and returns the directory. Everything else there is
/// removed.
pub(crate) async fn assemble(made: &Path, tools: &Tools) -> Result<PathBuf> {
    let package = root().join("www/pkg");
    let sources = root().join("crates/web-client/npm");
    agree_on_version(&sources.join("package.json")).await?;
    if package.exists() {
        fs::remove_dir_all(&package).with_context(|| format!("removing {}", package.display()))?;
    }
    fs::create_dir_all(&package).with_context(|| format!("making {}", package.display()))?;
    for name in WRITTEN {
        copy(&sources.join(name), &package)?;
    }
    for name in LICENCES {
        copy(&root().join(name), &package)?;
    }
    for entry in fs::read_dir(made).with_context(|| format!("reading {}", made.display()))? {
        copy(&entry?.path(), &package)?;
    }
    for name in SCRIPTS {
        tools.shrink_script(&package.join(name)).await?;
    }
    Ok(package)
}

/// Checks that the package has the version of the crate it is made from.
async fn agree_on_version(package_json: &Path) -> Result<()> {
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let text =
        fs::read_to_string(package_json).with_context(|| format!("reading {}", package_json.display()))?;
    let package: Package =
        serde_json::from_str(&text).with_context(|| format!("in {}", package_json.display()))?;
    let manifest = Manifest::of(CRATE).await?;
    ensure!(
        (&package.name, &package.version) == (&manifest.name, &manifest.version),
        "{} says {} {}, and the crate is {} {}",
        package_json.display(),
        package.name,
        package.version,
        manifest.name,
        manifest.version
    );
    Ok(())
}

fn copy(file: &Path, into: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default();
    fs::copy(file, into.join(name))
        .map(drop)
        .with_context(|| format!("copying {} to {}", file.display(), into.display()))
}
