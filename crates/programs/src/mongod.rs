use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::place::{on_path, target_dir};

/// Returns the path at which `cargo xtask provision` puts `mongod`.
///
/// # Errors
/// As [`target_dir`].
pub fn provisioned_mongod() -> Result<PathBuf> {
    Ok(target_dir()?.join("provisioned").join("mongod"))
}

/// Returns the `mongod` to use, if there is one: `BELLWETHER_MONGOD` if set, else the one on
/// `PATH`, else the provisioned one.
///
/// # Errors
/// If `BELLWETHER_MONGOD` is set and names no file.
pub fn installed_mongod() -> Result<Option<PathBuf>> {
    if let Some(path) = env::var_os("BELLWETHER_MONGOD").map(PathBuf::from) {
        ensure!(
            path.is_file(),
            "BELLWETHER_MONGOD names {}, which is not a file",
            path.display()
        );
        return Ok(Some(path));
    }
    if let Some(path) = on_path("mongod") {
        return Ok(Some(path));
    }
    Ok(Some(provisioned_mongod()?).filter(|path| path.is_file()))
}

/// Returns the `mongod` to use: see [`installed_mongod`].
///
/// # Errors
/// If there is none; the error names the way to supply one.
pub fn find_mongod() -> Result<PathBuf> {
    installed_mongod()?.context(
        "no mongod: run `cargo xtask provision`, or install MongoDB 6 or newer and put mongod on PATH, \
         or set BELLWETHER_MONGOD to its path",
    )
}
