//! The inputs a target begins with: those in the repository, and those that earlier runs here have
//! found.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwether_programs::target_dir;

use super::build::Programs;
use crate::step::{command, root, run as run_step, say};

/// A longer one is rarely worth its place in the repository.
const MAX_KEPT_BYTES: u64 = 2048;

pub(super) fn kept(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

pub(super) fn found(target: &str) -> Result<PathBuf> {
    Ok(target_dir()?.join("fuzz/corpus").join(target))
}

/// Replaces the target's inputs in the repository by the smallest set that reaches the same code as
/// these and those found here.
pub(super) async fn keep(programs: &Programs, target: &str) -> Result<()> {
    let (kept, found) = (kept(target), found(target)?);
    let merged = target_dir()?.join("fuzz/merged").join(target);
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged).with_context(|| format!("making {}", merged.display()))?;
    let mut merge = command(programs.get(target));
    // That a branch was taken counts, not how often: else there would be thousands.
    merge.args(["-set_cover_merge=1", "-use_counters=0", "-max_len=2048"]);
    run_step(merge.arg(&merged).arg(&kept).arg(&found)).await?;
    fs::remove_dir_all(&kept).with_context(|| format!("removing {}", kept.display()))?;
    fs::create_dir_all(&kept).with_context(|| format!("making {}", kept.display()))?;
    let mut bytes = 0;
    for input in files(&merged)? {
        let length = input.metadata()?.len();
        if length <= MAX_KEPT_BYTES {
            fs::copy(&input, kept.join(input.file_name().unwrap_or_default()))?;
            bytes += length;
        }
    }
    say(format_args!(
        "{target}: {} inputs of {bytes} bytes kept",
        files(&kept)?.len()
    ));
    Ok(())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
