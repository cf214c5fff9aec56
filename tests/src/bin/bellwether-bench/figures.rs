use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use bellwether_testkit::target_dir;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Keeps the measurements in `target/bench/NAME.json`, for `plot` and for readers who want to see
/// every round.
pub(crate) fn save(name: &str, figures: &impl Serialize) -> Result<()> {
    let path = path(name)?;
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    fs::write(&path, serde_json::to_vec_pretty(figures)?)
        .with_context(|| format!("writing {}", path.display()))?;
    eprintln!("Every round is in {}.", path.display());
    Ok(())
}

/// Returns the last measurements.
pub(crate) fn load<T: DeserializeOwned>(name: &str) -> Result<T> {
    let path = path(name)?;
    let text = fs::read(&path).with_context(|| {
        format!(
            "no figures: run `cargo xtask bench {name}` first ({})",
            path.display()
        )
    })?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} was written by another version: run `cargo xtask bench {name}` again",
            path.display()
        )
    })
}

fn path(name: &str) -> Result<PathBuf> {
    Ok(target_dir()?.join("bench").join(format!("{name}.json")))
}
