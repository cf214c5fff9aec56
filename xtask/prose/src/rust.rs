//! Finds comments and string literals in Rust source.
//!
//! `proc-macro2` reads the tokens, so it does not confuse a `//` in a string with a comment. It
//! drops plain comments, but keeps the place of each token: the text between two tokens is white
//! space and comments only. (`syn` would do more than this needs, and rejects files that use newer
//! syntax.)

use std::ops::Range;
use std::str::FromStr;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::passage::{Block, Line};

/// Comments and string literals of one file, in the order of the source.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Comments, one block for each run of line comments of one kind.
    pub comments: Vec<Block>,
    /// String literals outside `#[cfg(test)]` modules, in the form of the source.
    pub literals: Vec<Literal>,
}

/// A string literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// The text between the quotes, with its escapes.
    pub text: String,
    /// The line on which the literal begins, from 1.
    pub line: usize,
}

/// Finds the comments and string literals of `source`.
///
/// # Errors
/// If `source` does not consist of Rust tokens; the error names the line.
pub fn scan(source: &str) -> Result<Scanned> {
    // The tokens' places do not count a byte order mark.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let tokens = TokenStream::from_str(source)
        .map_err(|error| anyhow!("line {}: {error}", error.span().start().line))?;
    let mut scan = Scan {
        source,
        comments: Vec::new(),
        literals: Vec::new(),
        end: 0,
    };
    scan.tokens(tokens, true);
    scan.gap(source.len());
    let comments = blocks(source, &scan.comments);
    // Without this call the lexer keeps all texts that it has read.
    proc_macro2::extra::invalidate_current_thread_spans();
    Ok(Scanned {
        comments,
        literals: scan.literals,
    })
}

struct Scan<'a> {
    source: &'a str,
    comments: Vec<Range<usize>>,
    literals: Vec<Literal>,
    /// The end of the last token.
    end: usize,
}

impl Scan<'_> {
    fn tokens(&mut self, tokens: TokenStream, is_product: bool) {
        let mut follows_hash = false;
        let mut follows_cfg_test = false;
        for token in tokens {
            let range = token.span().byte_range();
            let text = self.source.get(range.clone()).unwrap_or_default();
            if text.starts_with("//") || text.starts_with("/*") {
                // A doc comment: the lexer makes an attribute of it, whose tokens share this place.
                if range.start >= self.end {
                    self.gap(range.start);
                    self.comments.push(range.clone());
                    self.end = range.end;
                }
                continue;
            }
            match token {
                TokenTree::Group(group) => {
                    let is_attribute = follows_hash && group.delimiter() == Delimiter::Bracket;
                    let is_body = group.delimiter() == Delimiter::Brace;
                    self.gap(range.start);
                    self.end = group.span_open().byte_range().end;
                    self.tokens(group.stream(), is_product && !(is_body && follows_cfg_test));
                    self.gap(group.span_close().byte_range().start);
                    if is_attribute {
                        let inner: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                        follows_cfg_test |= inner == "[cfg(test)]";
                    } else if is_body {
                        follows_cfg_test = false;
                    }
                    follows_hash = false;
                }
                TokenTree::Punct(punct) => {
                    self.gap(range.start);
                    follows_hash = punct.as_char() == '#';
                    follows_cfg_test &= punct.as_char() != ';';
                }
                TokenTree::Literal(_) => {
                    self.gap(range.start);
                    if let Some(text) = string_content(text).filter(|_| is_product) {
                        self.literals.push(Literal {
                            text: text.to_owned(),
                            line: line_number(self.source, range.start),
                        });
                    }
                    follows_hash = false;
                }
                TokenTree::Ident(_) => {
                    self.gap(range.start);
                    follows_hash = false;
                }
            }
            self.end = range.end.max(self.end);
        }
    }

    /// Takes the comments between the last token and the one that begins at `start`.
    fn gap(&mut self, start: usize) {
        while let Some(gap) = self.source.get(self.end..start) {
            let trimmed = gap.trim_start();
            let begin = start - trimmed.len();
            let length = if trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                block_comment_length(trimmed)
            } else {
                break;
            };
            self.comments.push(begin..begin + length);
            self.end = begin + length;
        }
    }
}

/// Returns the length of the block comment at the start of `text`. Block comments nest.
fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            match rest.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => break,
            }
        }
    }
    text.len()
}

/// Returns the text between the quotes of a string literal, or `None` for other literals.
fn string_content(literal: &str) -> Option<&str> {
    let (prefix, rest) = literal.split_once('"')?;
    let is_string = prefix.chars().all(|c| matches!(c, 'r' | 'c' | '#'));
    let (text, suffix) = rest.rsplit_once('"')?;
    (is_string && suffix.chars().all(|c| c == '#')).then_some(text)
}

fn line_number(source: &str, offset: usize) -> usize {
    let before = source.as_bytes().get(..offset).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Joins line comments of one kind on successive lines to one block.
fn blocks(source: &str, comments: &[Range<usize>]) -> Vec<Block> {
    let mut blocks: Vec<(String, Block)> = Vec::new();
    for range in comments {
        let text = source.get(range.clone()).unwrap_or_default();
        let line_start = source
            .get(..range.start)
            .unwrap_or_default()
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let indent = source.get(line_start..range.start).unwrap_or_default();
        let is_alone = indent.trim().is_empty();
        let first = line_number(source, range.start);
        let marker = marker(text);
        let lines = text.lines().enumerate().map(|(index, line)| Line {
            number: first + index,
            // A trailing comment shares its line with code, which rustfmt wraps.
            width: if !is_alone {
                0
            } else if index == 0 {
                indent.chars().count() + line.chars().count()
            } else {
                line.chars().count()
            },
            text: comment_text(line, marker, index == 0).to_owned(),
        });
        match blocks.last_mut() {
            Some((last, block))
                if is_alone && last == marker && marker.starts_with("//") && block.ends_before(first) =>
            {
                block.lines.extend(lines);
            }
            _ => blocks.push((
                if is_alone {
                    marker.to_owned()
                } else {
                    String::new()
                },
                Block::new(lines.collect()),
            )),
        }
    }
    blocks.into_iter().map(|(_, block)| block).collect()
}

fn marker(comment: &str) -> &'static str {
    let markers = ["//!", "///", "//", "/**", "/*!", "/*"];
    markers
        .into_iter()
        .find(|marker| comment.starts_with(marker))
        .unwrap_or("//")
}

fn comment_text<'a>(line: &'a str, marker: &str, is_first: bool) -> &'a str {
    let text = if is_first {
        line.strip_prefix(marker).unwrap_or(line)
    } else {
        line.trim_start().trim_start_matches('*')
    };
    let text = if marker.starts_with("/*") {
        text.trim_end().trim_end_matches("*/")
    } else {
        text
    };
    text.strip_prefix(' ').unwrap_or(text)
}
