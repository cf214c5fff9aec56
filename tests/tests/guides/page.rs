//! A page as the steps that it describes to its reader.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bellwether_testkit::code_blocks;

/// Commands that build programs that the tests have already.
const BUILD: &str = "\
cd bellwether
cargo xtask web
cargo build --release -p bellwether-server -p bellwether-client
export PATH=\"$PWD/target/release:$PATH\"
cd ..
";

/// Returns the directory above `tests`.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A page of `docs/`.
pub(crate) struct Page {
    name: String,
    pub(crate) text: String,
}

/// One thing that the reader does.
#[derive(Debug)]
pub(crate) struct Step {
    /// The page and the line.
    pub(crate) place: String,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// Runs these commands, which print the expected output, or just succeed.
    Run {
        commands: String,
        output: Option<String>,
    },
    /// Writes a file.
    Write { file: String, text: String },
}

impl Page {
    pub(crate) fn read(name: &str) -> Result<Self> {
        let path = repository().join("docs").join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self {
            name: name.to_owned(),
            text,
        })
    }

    pub(crate) fn steps(&self) -> Result<Vec<Step>> {
        let mut steps: Vec<Step> = Vec::new();
        for block in code_blocks(&self.text) {
            let place = format!("docs/{}, line {}", self.name, block.line);
            let action = match block.words()[..] {
                ["sh"] => Action::Run {
                    commands: block.text.clone(),
                    output: None,
                },
                ["sh", "build"] => {
                    ensure!(block.text == BUILD, "{place}: no test does this: {}", block.text);
                    continue;
                }
                ["output"] => {
                    let before = steps.last_mut().map(|step| &mut step.action);
                    let Some(Action::Run { output, .. }) = before else {
                        anyhow::bail!("{place}: an output without commands before it");
                    };
                    ensure!(output.is_none(), "{place}: two outputs of the same commands");
                    *output = Some(block.text);
                    continue;
                }
                ["html" | "js", file] => Action::Write {
                    file: file.to_owned(),
                    text: block.text.clone(),
                },
                _ => anyhow::bail!("{place}: no test knows blocks of this kind: {:?}", block.info),
            };
            steps.push(Step { place, action });
        }
        ensure!(!steps.is_empty(), "docs/{} has no examples", self.name);
        Ok(steps)
    }
}

/// Returns `true` if a text is the expected one, in which `…` stands for any text.
pub(crate) fn is_as_expected(expected: &str, text: &str) -> bool {
    let mut pieces: Vec<&str> = expected.trim().split('…').collect();
    let last = pieces.pop().unwrap_or_default();
    let mut rest = text.trim();
    for (index, piece) in pieces.iter().enumerate() {
        let found = match index {
            0 => rest.starts_with(piece).then_some(0),
            _ => rest.find(piece),
        };
        let Some(start) = found else { return false };
        rest = &rest[start + piece.len()..];
    }
    if pieces.is_empty() {
        rest == last
    } else {
        rest.ends_with(last)
    }
}

#[test]
fn the_comparison_can_fail() {
    for (expected, text) in [
        ("a b\n", "a b"),
        ("a … c", "a b b c"),
        ("a…", "a"),
        ("…c", "abc"),
        ("a…b…c", "a b\n b c"),
    ] {
        assert!(is_as_expected(expected, text), "{expected:?} {text:?}");
    }
    for (expected, text) in [
        ("a", "a b"),
        ("a", ""),
        ("a … c", "a b b"),
        ("a…", "b a"),
        ("…c", "c a"),
        ("a…b…c", "a c b"),
        ("ab…bc", "abc"),
    ] {
        assert!(!is_as_expected(expected, text), "{expected:?} {text:?}");
    }
}
