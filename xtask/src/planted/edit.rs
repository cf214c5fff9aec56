use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::step::root;

/// A change that turns right code into wrong code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// The file, from the workspace's directory.
    pub(super) file: PathBuf,
    /// The original text: exactly this text, exactly once.
    find: String,
    /// The new text.
    pub(super) replace: String,
}

/// Files of the workspace as they are with bugs in them, by their paths from its directory.
#[derive(Default)]
pub(super) struct Edited(BTreeMap<PathBuf, String>);

impl Edited {
    /// Returns the files with the edits of this one bug.
    ///
    /// # Errors
    /// If the text that an edit replaces is not there exactly once.
    pub(super) fn by(bug: &str, edits: &[Edit]) -> Result<Self> {
        let mut edited = Self::default();
        for edit in edits {
            edited.edit(bug, edit, &edit.replace)?;
        }
        Ok(edited)
    }

    /// Puts `replacement` where the edit's text is.
    ///
    /// # Errors
    /// If that is not there exactly once.
    pub(super) fn edit(&mut self, bug: &str, edit: &Edit, replacement: &str) -> Result<()> {
        let text = self.text(&edit.file).with_context(|| format!("for {bug}"))?;
        let found = text.matches(&edit.find).count();
        ensure!(
            found == 1,
            "{bug}: its text is {found} times in {}, and should be there once; bring its file up to date:\n{}",
            edit.file.display(),
            edit.find
        );
        *text = text.replacen(&edit.find, replacement, 1);
        Ok(())
    }

    /// Returns a file's text, to be changed.
    pub(super) fn text(&mut self, file: &Path) -> Result<&mut String> {
        if !self.0.contains_key(file) {
            self.0.insert(file.to_owned(), original(file)?);
        }
        self.0.get_mut(file).context("it was just put there")
    }

    pub(super) fn get(&self, file: &Path) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0.iter().map(|(file, text)| (file.as_path(), text.as_str()))
    }
}

/// Returns a file of the workspace as it is.
pub(super) fn original(file: &Path) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {}", file.display()))
}

/// Reads the descriptions in the TOML files of a directory, by their names and in the order of
/// these.
pub(super) fn described<T: DeserializeOwned>(place: &str) -> Result<BTreeMap<String, T>> {
    let place = root().join(place);
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(&place).with_context(|| format!("cannot read {}", place.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_stem().context("a file has a name")?;
            let one = fs::read_to_string(&path)?;
            let one = toml::from_str(&one).with_context(|| format!("in {}", path.display()))?;
            all.insert(name.to_string_lossy().into_owned(), one);
        }
    }
    Ok(all)
}
