use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::edit::{Edited, original};
use crate::step::root;

/// The files that a build reads, including the members of the workspace: cargo needs their
/// manifests.
const NEEDED: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "clippy.toml",
    "crates",
    "tests",
    "xtask",
];

/// A copy of the workspace to plant bugs in.
pub(super) struct Copy {
    workspace: PathBuf,
}

impl Copy {
    /// Makes a copy with these files edited. Leaves correct files alone, so that cargo need not
    /// build them again.
    pub(super) fn make(workspace: &Path, edited: &Edited) -> Result<Self> {
        fs::create_dir_all(workspace).with_context(|| format!("cannot make {}", workspace.display()))?;
        for needed in NEEDED {
            let from = root().join(needed);
            if from.exists() {
                mirror(Path::new(needed), workspace, edited)
                    .with_context(|| format!("cannot copy {}", from.display()))?;
            }
        }
        Ok(Self {
            workspace: workspace.to_owned(),
        })
    }

    pub(super) fn workspace(&self) -> &Path {
        &self.workspace
    }

    pub(super) fn plant(&self, edited: &Edited) -> Result<()> {
        edited.files().try_for_each(|(file, text)| self.write(file, text))
    }

    pub(super) fn restore(&self, edited: &Edited) -> Result<()> {
        edited
            .files()
            .try_for_each(|(file, _)| self.write(file, &original(file)?))
    }

    fn write(&self, file: &Path, text: &str) -> Result<()> {
        let path = self.workspace.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Makes the copy's files at `path` the same as the original or the edited ones. Removes files that
/// the original does not have.
fn mirror(path: &Path, workspace: &Path, edited: &Edited) -> Result<()> {
    let (from, to) = (root().join(path), workspace.join(path));
    if from.is_file() {
        let content = match edited.get(path) {
            Some(text) => text.as_bytes().to_vec(),
            None => fs::read(from)?,
        };
        if fs::read(&to).ok().as_ref() != Some(&content) {
            fs::write(to, content)?;
        }
        return Ok(());
    }
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from)? {
        let name = entry?.file_name();
        if name == "target" {
            continue;
        }
        mirror(&path.join(&name), workspace, edited)?;
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            let gone = entry.path();
            if gone.is_dir() {
                fs::remove_dir_all(gone)?;
            } else {
                fs::remove_file(gone)?;
            }
        }
    }
    Ok(())
}
