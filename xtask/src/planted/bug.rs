use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::step::root;

/// A bug as its file describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bug {
    /// The name of the file that describes it.
    #[serde(skip)]
    pub(super) name: String,
    /// Why it is a bug, in one line.
    pub(super) why: String,
    /// The file it is planted in, from the crate's directory.
    pub(super) file: PathBuf,
    /// What is there: exactly this text, exactly once.
    pub(super) find: String,
    /// What is put in its place.
    pub(super) replace: String,
    /// The test that must fail: `simulation::<path of the test>` or `model::<path of the test>`.
    pub(super) check: String,
    /// The invariant that the failure must name.
    pub(super) invariant: String,
}

/// All of them, in order of their names.
pub(super) fn all() -> Result<Vec<Bug>> {
    let place = root().join("crates/election/tests/planted");
    let mut bugs = Vec::new();
    for entry in fs::read_dir(&place).with_context(|| format!("cannot read {}", place.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            bugs.push(read(&path).with_context(|| format!("in {}", path.display()))?);
        }
    }
    bugs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(bugs)
}

fn read(path: &std::path::Path) -> Result<Bug> {
    let mut bug: Bug = toml::from_str(&fs::read_to_string(path)?)?;
    let name = path.file_stem().context("a file has a name")?;
    bug.name = name.to_string_lossy().into_owned();
    Ok(bug)
}
