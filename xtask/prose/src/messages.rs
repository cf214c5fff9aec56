//! Finds error, log and help texts among the string literals of Rust.
//!
//! Many macros and types take such texts. So the lint judges the text itself: a literal of at least
//! [`WORDS`] words that consists mostly of letters is for people.

use crate::passage::{CODE, Kind, Passage};
use crate::rust::Literal;

/// Literals with fewer words than this are names and fragments.
pub const WORDS: usize = 4;

/// Returns the literal as a passage, or `None` if it is not a text for people.
pub fn message(literal: &Literal) -> Option<Passage> {
    let lines = (literal.line..).zip(literal.text.split('\n'));
    let lines: Vec<_> = lines
        .map(|(line, text)| {
            (
                line,
                without_placeholders(text.trim_start().trim_end_matches('\\')),
            )
        })
        .collect();
    let passage = Passage::from_lines(
        Kind::Message,
        lines.iter().map(|(line, text)| (*line, text.trim_end())),
    );
    is_text(&passage.text).then_some(passage)
}

/// Replaces each `{placeholder}` by one word, and each escaped line break by a space.
fn without_placeholders(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        plain.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if !after.starts_with('}') && !name.contains(['{', '"', ' ']) => {
                plain.push_str(CODE);
                rest = after;
            }
            _ => {
                plain.push('{');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain.replace("\\n", " ").replace("\\\"", "\"")
}

fn is_text(text: &str) -> bool {
    let is_word = |word: &&str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        !word.is_empty() && word.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '-'))
    };
    let all = text.chars().count();
    let letters = text.chars().filter(|c| c.is_alphabetic() || *c == ' ').count();
    text.split_whitespace().filter(is_word).count() >= WORDS && letters * 5 >= all * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(literal: &str) -> Option<String> {
        let literal = Literal {
            text: literal.to_owned(),
            line: 1,
        };
        message(&literal).map(|passage| passage.text)
    }

    #[test]
    fn sentences_are_messages() {
        let error = "cannot read {}: line {line} holds a tab\\n";
        assert_eq!(
            texts(error).as_deref(),
            Some("cannot read `x`: line `x` holds a tab")
        );
        let wrapped = "the server is at its limit; \\\n        try another";
        assert_eq!(
            texts(wrapped).as_deref(),
            Some("the server is at its limit; try another")
        );
    }

    #[test]
    fn data_and_names_are_no_messages() {
        assert_eq!(
            texts("{\"find\": \"a collection\", \"filter\": {\"a b\": 1}}"),
            None
        );
        assert_eq!(texts("not_executed"), None);
        assert_eq!(texts("max-age=0, no-store"), None);
        assert_eq!(texts("^[a-z]+ [0-9]{4} ([a-z]*) x y$"), None);
    }
}
