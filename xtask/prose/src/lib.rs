//! A lint for the English of comments, documents and error texts.
//!
//! `CONTRIBUTING.md` states the rules. The lint counts the violations of each rule per 1,000 lines
//! of text. Each of the four parts of the repository has a budget for each rate. Budgets are in
//! `budgets.toml`, and only fall.
//!
//! | module | task |
//! |---|---|
//! | [`files`] | lists the sources and assigns each to a part |
//! | [`rust`], [`scripts`] | find comments in Rust, and in JavaScript and Python |
//! | [`messages`] | finds error, log and help texts among the string literals of Rust |
//! | [`passage`] | reads Markdown and cuts text into paragraphs and sentences |
//! | [`rules`] | finds violations in a passage |
//! | [`budget`], [`report`] | compare rates with budgets, and print both |
//! | [`changes`] | finds the lines that changed since a commit |

pub mod budget;
pub mod changes;
pub mod files;
pub mod messages;
pub mod passage;
pub mod report;
pub mod rules;
pub mod rust;
pub mod scripts;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use budget::Part;
use files::{Language, Source};
use passage::{Block, Passage};
use report::Measured;

/// Lines of this many columns or fewer are within the limit of rule R10.
pub const COLUMNS: usize = 100;

/// Reads all sources below `root` and counts the violations in each part.
///
/// # Errors
/// If git cannot list the files, a file cannot be read, or a Rust file does not consist of Rust
/// tokens.
pub fn measure(root: &Path) -> Result<Measured> {
    let mut measured = Measured::default();
    for source in files::list(root)? {
        let path = root.join(&source.path);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        measure_file(&source, &text, &mut measured)?;
    }
    Ok(measured)
}

/// Counts the violations in one file, whose text is `text`.
///
/// # Errors
/// If the file is a Rust file and `text` does not consist of Rust tokens.
pub fn measure_file(source: &Source, text: &str, measured: &mut Measured) -> Result<()> {
    let part = source.part;
    match source.language {
        Language::Markdown => measured.add_block(source, part, &Block::document(text)),
        Language::JavaScript | Language::Python => {
            for block in scripts::comments(text, source.language) {
                measured.add_block(source, part, &block);
            }
        }
        Language::Rust => {
            let scanned = rust::scan(text).with_context(|| format!("cannot read {}", source.path))?;
            for block in &scanned.comments {
                measured.add_block(source, part, block);
            }
            if part == Part::Product && !source.is_test() {
                for literal in &scanned.literals {
                    if let Some(message) = messages::message(literal) {
                        measured.add_message(source, &message);
                    }
                }
            }
        }
    }
    Ok(())
}

impl Measured {
    fn add_block(&mut self, source: &Source, part: Part, block: &Block) {
        let content = block.read();
        self.add_lines(part, content.lines_of_text);
        for passage in &content.passages {
            self.add_passage(source, part, passage);
        }
        for finding in rules::wide_lines(&content) {
            self.add_finding(source, part, finding);
        }
    }

    fn add_message(&mut self, source: &Source, message: &Passage) {
        self.add_lines(Part::Messages, 1);
        self.add_passage(source, Part::Messages, message);
    }

    fn add_passage(&mut self, source: &Source, part: Part, passage: &Passage) {
        for finding in rules::findings(passage) {
            self.add_finding(source, part, finding);
        }
    }
}
