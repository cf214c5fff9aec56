use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::bug::Bug;
use crate::step::root;

/// What a build of the election reads, the members of the workspace included: cargo wants to see their manifests.
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
    /// Leaves files alone that are the same already, so that what was built from them need not be built again.
    pub(super) fn make(workspace: &Path) -> Result<Self> {
        fs::create_dir_all(workspace).with_context(|| format!("cannot make {}", workspace.display()))?;
        for needed in NEEDED {
            let from = root().join(needed);
            if from.exists() {
                mirror(&from, &workspace.join(needed))
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

    pub(super) fn plant(&self, bug: &Bug) -> Result<()> {
        write(&self.path(bug), &self.with(bug)?)
    }

    /// The file as it is with the bug in it.
    ///
    /// # Errors
    /// If the text it replaces is not there exactly once.
    pub(super) fn with(&self, bug: &Bug) -> Result<String> {
        let path = self.path(bug);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{}: cannot read {}", bug.name, path.display()))?;
        let found = text.matches(&bug.find).count();
        ensure!(
            found == 1,
            "{}: its text is {found} times in {}, and should be there once; bring its file up to date",
            bug.name,
            bug.file.display()
        );
        Ok(text.replacen(&bug.find, &bug.replace, 1))
    }

    pub(super) fn restore(&self, bug: &Bug) -> Result<()> {
        let original = Path::new("crates/election").join(&bug.file);
        write(&self.path(bug), &fs::read_to_string(root().join(original))?)
    }

    fn path(&self, bug: &Bug) -> PathBuf {
        self.workspace.join("crates/election").join(&bug.file)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes `to` the same as `from`, without what `from` does not have.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        let content = fs::read(from)?;
        if fs::read(to).ok().as_ref() != Some(&content) {
            fs::write(to, content)?;
        }
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if name == "target" {
            continue;
        }
        mirror(&from.join(&name), &to.join(&name))?;
    }
    for entry in fs::read_dir(to)? {
        let name = entry?.file_name();
        if !from.join(&name).exists() {
            let gone = to.join(&name);
            if gone.is_dir() {
                fs::remove_dir_all(gone)?;
            } else {
                fs::remove_file(gone)?;
            }
        }
    }
    Ok(())
}
