//! Finds comments in JavaScript and Python.
//!
//! A line scanner suffices here. A comment is a line that begins with the marker. It is also the
//! text after a marker, if white space and only closed quotes precede the marker. The scanner reads
//! no string literals: parsers of both languages are large dependencies for a small gain.

use std::mem;

use crate::files::Language;
use crate::passage::{Block, Line};

/// Finds the comments of `source`, and the doc strings of Python.
pub fn comments(source: &str, language: Language) -> Vec<Block> {
    let mut found = Found::default();
    // The end of the open block comment or doc string.
    let mut open: Option<&str> = None;
    for (index, line) in source.lines().enumerate() {
        let number = index + 1;
        let width = line.chars().count();
        let trimmed = line.trim_start();
        if let Some(end) = open {
            let (text, is_closed) = before(trimmed, end);
            let text = if end == "*/" {
                text.trim_start_matches('*')
            } else {
                text
            };
            found.push(number, width, text);
            if is_closed {
                open = None;
                found.finish();
            }
        } else if let Some((begin, end)) = opening(trimmed, language) {
            found.finish();
            let (text, is_closed) = before(trimmed.get(begin..).unwrap_or_default(), end);
            found.push(number, width, text);
            if is_closed {
                found.finish();
            } else {
                open = Some(end);
            }
        } else if let Some(text) = line_comment(trimmed, language) {
            found.push(number, width, text);
        } else {
            found.finish();
            if let Some(text) = trailing_comment(line, language) {
                found.push(number, 0, text);
                found.finish();
            }
        }
    }
    found.finish();
    found.blocks
}

#[derive(Default)]
struct Found {
    blocks: Vec<Block>,
    lines: Vec<Line>,
}

impl Found {
    fn push(&mut self, number: usize, width: usize, text: &str) {
        self.lines.push(Line {
            number,
            width,
            text: text.strip_prefix(' ').unwrap_or(text).to_owned(),
        });
    }

    fn finish(&mut self) {
        let lines = mem::take(&mut self.lines);
        if !lines.is_empty() {
            self.blocks.push(Block::new(lines));
        }
    }
}

/// Returns the length of the marker that opens a block comment or doc string, and the marker that
/// closes it.
fn opening(trimmed: &str, language: Language) -> Option<(usize, &'static str)> {
    let markers: &[(&str, &str)] = match language {
        Language::Python => &[("\"\"\"", "\"\"\""), ("r\"\"\"", "\"\"\"")],
        _ => &[("/**", "*/"), ("/*", "*/")],
    };
    markers
        .iter()
        .find(|(begin, _)| trimmed.starts_with(begin))
        .map(|(begin, end)| (begin.len(), *end))
}

fn line_comment(trimmed: &str, language: Language) -> Option<&str> {
    match language {
        Language::Python if trimmed.starts_with("#!") => None,
        Language::Python => trimmed.strip_prefix('#'),
        _ => trimmed
            .strip_prefix("//")
            .map(|text| text.trim_start_matches('/')),
    }
}

fn trailing_comment(line: &str, language: Language) -> Option<&str> {
    let marker = if language == Language::Python {
        "  # "
    } else {
        " // "
    };
    line.match_indices(marker).find_map(|(at, marker)| {
        let (code, rest) = line.split_at(at);
        let is_closed = ['"', '\'', '`']
            .iter()
            .all(|quote| code.matches(*quote).count() % 2 == 0);
        rest.strip_prefix(marker).filter(|_| is_closed)
    })
}

/// Returns the text before `end`, and `true` if `end` was found.
fn before<'a>(text: &'a str, end: &str) -> (&'a str, bool) {
    match text.split_once(end) {
        Some((text, _)) => (text, true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str, language: Language) -> Vec<Vec<(usize, String)>> {
        comments(source, language)
            .into_iter()
            .map(|block| {
                block
                    .lines
                    .into_iter()
                    .map(|line| (line.number, line.text))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn comments_of_javascript() {
        let source =
            "// One\n/// two\nlet url = \"http://x // no\"; // three\n/** four\n * five\n */\nrun();\n";
        let expected = [
            vec![(1, "One".to_owned()), (2, "two".to_owned())],
            vec![(3, "three".to_owned())],
            vec![(4, "four".to_owned()), (5, "five".to_owned()), (6, String::new())],
        ];
        assert_eq!(texts(source, Language::JavaScript), expected);
    }

    #[test]
    fn comments_and_doc_strings_of_python() {
        let source = "#!/usr/bin/env python\n\"\"\"One.\n\ntwo\n\"\"\"\nx = '#'  # three\n    # four\n\"\"\"five\"\"\"\n";
        let found = texts(source, Language::Python);
        let flat: Vec<_> = found.iter().map(|block| block[0].clone()).collect();
        let expected = [(2, "One."), (6, "three"), (7, "four"), (8, "five")];
        assert_eq!(flat, expected.map(|(line, text)| (line, text.to_owned())));
        assert_eq!(found[0].len(), 4);
    }
}
