use anyhow::Result;
use serde::Deserialize;

use super::edit::{Edit, described};

/// A bug of the election as its file describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bug {
    /// The name of the file that describes it.
    #[serde(skip)]
    pub(super) name: String,
    /// The reason why it is a bug, in one line.
    pub(super) why: String,
    /// The test that must fail: `simulation::<path of the test>` or `model::<path of the test>`.
    pub(super) check: String,
    /// The invariant that the failure must name.
    pub(super) invariant: String,
    /// Its changes of the code.
    #[serde(rename = "edit")]
    pub(super) edits: Vec<Edit>,
}

/// Returns all of them, in order of their names.
pub(super) fn all() -> Result<Vec<Bug>> {
    let bugs = described("crates/election/tests/planted")?;
    let named = bugs.into_iter().map(|(name, bug)| Bug { name, ..bug });
    Ok(named.collect())
}
