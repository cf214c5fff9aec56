//! The server and the chaos suite with bugs in them: all bugs of `tests/chaos/planted/` in one copy
//! of the workspace, built once. `PLANTED_BUG` chooses one when a program is started; without it
//! the programs are right. None of this is in the product's own source, so it cannot be built into
//! the product by mistake.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_programs::target_dir;
use serde::{Deserialize, Deserializer};

use super::copy::Copy;
use super::edit::{Edit, Edited, described};
use crate::step::{cargo, run as run_step};

/// Placeholder in an edit's new text for the question if the bug was chosen.
const CHOSEN: &str = "PLANTED";

/// The variable that chooses. Not one of the servers' own, which are kept from the servers that
/// tests start.
pub(crate) const VARIABLE: &str = "PLANTED_BUG";

/// Added to every crate that has a bug.
const QUESTION: &str = r#"
/// Returns `true` if this bug was chosen when the process was started.
pub(crate) fn planted(bug: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<std::ffi::OsString>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var_os("PLANTED_BUG"));
    chosen.as_ref().is_some_and(|chosen| chosen == bug)
}
"#;

/// A bug of the real system as its file describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bug {
    /// Name of the file that describes it, and value of `PLANTED_BUG` that chooses it.
    #[serde(skip)]
    pub(crate) name: String,
    /// The reason why it is a bug, in one line.
    pub(crate) why: String,
    /// The invariants of which at least one must be found broken.
    #[serde(default)]
    pub(crate) invariants: Vec<String>,
    /// With which options of the chaos suite it shows.
    #[serde(default, deserialize_with = "words")]
    pub(crate) args: Vec<String>,
    /// Arguments of `cargo test -p bellwether-tests`: the test that must fail. Only for a bug that
    /// the chaos suite cannot show.
    #[serde(default, deserialize_with = "words")]
    pub(crate) test: Vec<String>,
    /// Its changes of the code.
    #[serde(rename = "edit")]
    edits: Vec<Edit>,
}

/// Returns all of them, in order of their names.
pub(crate) fn all() -> Result<Vec<Bug>> {
    let bugs = described("tests/chaos/planted")?;
    let named = bugs.into_iter().map(|(name, bug)| Bug { name, ..bug });
    Ok(named.collect())
}

fn words<'de, D: Deserializer<'de>>(text: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(text)?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Plants the bugs and builds the programs. Gives the directory they are in.
pub(crate) async fn build(bugs: &[Bug]) -> Result<PathBuf> {
    let target = target_dir()?;
    let place = target.join("planted-programs");
    let copy = Copy::make(&place.join("workspace"), &planted(bugs)?)?;
    // Of the workspace as a whole, with the features its dependencies have then: as everything else
    // is built.
    let mut build = cargo(["build", "--workspace"]);
    build
        .args(["--bin", "bellwether-server", "--bin", "bellwether-chaos"])
        .current_dir(copy.workspace())
        // The common dependencies of the original and the copy, all outside of the workspace, are
        // built once.
        .env("CARGO_BUILD_BUILD_DIR", &target)
        .env("CARGO_TARGET_DIR", &place);
    run_step(&mut build).await?;
    Ok(place.join("debug"))
}

/// Returns the files with all these bugs in them, each without effect until it is chosen.
fn planted(bugs: &[Bug]) -> Result<Edited> {
    let mut edited = Edited::default();
    tell_apart(&mut edited)?;
    for bug in bugs {
        let question = format!("crate::planted({:?})", bug.name);
        let asks = bug.edits.iter().any(|edit| edit.replace.contains(CHOSEN));
        ensure!(
            asks,
            "{} does not ask whether it was chosen: write {CHOSEN}",
            bug.name
        );
        ensure!(
            bug.invariants.is_empty() != bug.test.is_empty(),
            "{} needs invariants that it breaks, or a test that fails, and not both",
            bug.name
        );
        for edit in &bug.edits {
            edited.edit(&bug.name, edit, &edit.replace.replace(CHOSEN, &question))?;
            let library = library_of(&edit.file)?;
            let text = edited.text(&library)?;
            if !text.contains(QUESTION) {
                text.push_str(QUESTION);
            }
        }
    }
    Ok(edited)
}

/// Gives the copy's crates a version of their own. Cargo builds them in the same directory as the
/// original's crates, and would otherwise confuse both. Then the original's programs would have the
/// bugs in them.
fn tell_apart(edited: &mut Edited) -> Result<()> {
    let manifest = edited.text(Path::new("Cargo.toml"))?;
    let version = "[workspace.package]\nversion = \"";
    let begin = manifest.find(version).map(|at| at + version.len());
    let end = begin.and_then(|begin| Some(begin + manifest[begin..].find('"')?));
    let end = end.context("Cargo.toml does not begin its [workspace.package] with the version")?;
    manifest.insert_str(end, "+planted");
    Ok(())
}

/// Returns the root of the library that a file is part of.
fn library_of(file: &Path) -> Result<PathBuf> {
    let source = file.ancestors().find(|directory| directory.ends_with("src"));
    let source = source.with_context(|| format!("{} is not part of a crate's source", file.display()))?;
    Ok(source.join("lib.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_can_be_planted_beside_the_others() {
        let bugs = all().unwrap();
        assert!(!bugs.is_empty());
        planted(&bugs).unwrap();
    }
}
