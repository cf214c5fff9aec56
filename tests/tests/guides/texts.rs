//! The error texts that the headings of `docs/faq.md` quote are texts of the programs.

use std::fs;
use std::path::Path;

use anyhow::Result;
use bellwether_testkit::code_blocks;

use crate::page::{Page, repository};

#[test]
fn the_headings_quote_the_programs() -> Result<()> {
    let page = Page::read("faq.md")?;
    // The other tests compare them with the programs' output.
    let blocks = code_blocks(&page.text).into_iter();
    let outputs: String = blocks
        .filter(|block| block.info == "output")
        .map(|block| block.text)
        .collect();
    let sources = joined(&sources()?);
    let headings = page.text.lines().filter_map(|line| line.strip_prefix("### "));
    let quotes: Vec<&str> = headings
        .flat_map(|heading| heading.split('`').skip(1).step_by(2))
        .collect();
    assert!(quotes.len() > 20, "{quotes:?}");
    for quote in quotes {
        for piece in quote.split('…').filter(|piece| piece.len() > 2) {
            assert!(
                sources.contains(piece) || outputs.contains(piece),
                "docs/faq.md has the heading {quote:?}, and no program says {piece:?}"
            );
        }
    }
    Ok(())
}

/// Returns the source text of all crates.
pub(crate) fn sources() -> Result<String> {
    let mut text = String::new();
    read_all(&repository().join("crates"), &mut text)?;
    Ok(text)
}

fn read_all(directory: &Path, text: &mut String) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, text)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Returns source text in which a literal that goes on in the next line is one line.
fn joined(sources: &str) -> String {
    let mut parts = sources.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start())
}

#[test]
fn a_literal_of_two_lines_is_joined() {
    assert_eq!(joined("\"one \\\n    line\";\n    end"), "\"one line\";\n    end");
}
