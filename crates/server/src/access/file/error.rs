use core::ops::Range;

use thiserror::Error;

/// The error for an access file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}; {remedy}")]
pub struct AccessFileError {
    /// The line, counted from 1.
    pub line: usize,
    /// The key and its value, and the reason why they cannot be used.
    pub problem: String,
    /// The next step for the operator.
    pub remedy: String,
}

impl AccessFileError {
    pub(super) fn new(
        text: &str,
        at: &Range<usize>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let before = text.as_bytes().get(..at.start).unwrap_or_default();
        Self {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn of_toml(text: &str, error: &toml::de::Error) -> Self {
        let problem = error.message().replace('\n', ", ");
        Self::new(
            text,
            &error.span().unwrap_or(0..0),
            problem,
            "docs/access.md lists the keys of an access file",
        )
    }
}

/// Returns a value for an error: its beginning, in quotes, without control characters.
pub(super) fn shown(value: &str) -> String {
    const SHOWN: usize = 80;
    let begin: String = value.chars().take(SHOWN).collect();
    let rest = if begin.len() < value.len() { "…" } else { "" };
    format!("{begin:?}{rest}")
}
