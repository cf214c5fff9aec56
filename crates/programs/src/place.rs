use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Returns the repository's directory.
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// Returns cargo's target directory, found from the running program, which lies inside it.
///
/// # Errors
/// If the program was moved out of the target directory.
pub fn target_dir() -> Result<PathBuf> {
    let program = env::current_exe().context("this program does not know where it lies")?;
    program
        .ancestors()
        .skip(1)
        // Cargo puts this file into the root of every target directory.
        .find(|dir| dir.join("CACHEDIR.TAG").is_file())
        .map(Path::to_path_buf)
        .with_context(|| {
            format!(
                "{} does not lie in a cargo target directory; run it with cargo",
                program.display()
            )
        })
}

/// Returns the program of this name in one of the directories of `PATH`.
pub fn on_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name.as_ref()))
        .find(|candidate| candidate.is_file())
}
