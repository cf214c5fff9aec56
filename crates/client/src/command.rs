use core::fmt;
use core::str::FromStr;

use serde_json::value::RawValue;
use thiserror::Error;

/// A command as the user wrote it: the text of one JSON object.
///
/// It is checked to be JSON, but kept as text, so the order of its fields and all digits of its integers
/// reach the server. Whether it is a command MongoDB knows, the server says.
#[derive(Clone, Debug)]
pub struct CommandText(Box<RawValue>);

impl CommandText {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    pub(crate) fn raw(&self) -> &RawValue {
        &self.0
    }
}

impl fmt::Display for CommandText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the command is not a JSON object: {problem} at line {line}, column {column}")]
pub struct NotACommand {
    /// What is wrong.
    pub problem: String,
    /// In which line, counted from 1.
    pub line: usize,
    /// In which column of that line, counted from 1 in characters.
    pub column: usize,
}

impl FromStr for CommandText {
    type Err = NotACommand;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let raw: Box<RawValue> = serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
        if raw.get().starts_with('{') {
            return Ok(Self(raw));
        }
        let before = &text[..text.len() - text.trim_start().len()];
        Err(NotACommand {
            problem: "expected {".into(),
            line: before.matches('\n').count() + 1,
            column: before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1,
        })
    }
}

fn not_json(command: &str, error: &serde_json::Error) -> NotACommand {
    let text = error.to_string();
    // serde_json appends the position to its text, and counts bytes; here it has fields of its own.
    let problem = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(problem, _)| problem);
    NotACommand {
        problem: problem.to_owned(),
        line: error.line().max(1),
        column: column(command, error.line(), error.column()),
    }
}

/// The column in characters of a byte of a line, both counted from 1.
fn column(text: &str, line: usize, byte: usize) -> usize {
    let line = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let before = line.char_indices().take_while(|(at, _)| *at + 1 < byte).count();
    before + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_text() {
        let text = "{\"find\": \"c\",\n \"sort\": {\"10\": 1, \"2\": 9007199254740993}}";
        let command: CommandText = format!("\n {text}\n").parse().unwrap();
        assert_eq!(command.as_str(), text);
    }

    #[test]
    fn says_where_the_mistake_is() {
        let position = |text: &str| {
            let error = text.parse::<CommandText>().unwrap_err();
            (error.line, error.column)
        };
        assert_eq!(position("{\"a\": 1,\n  \"b\": x}"), (2, 8));
        assert_eq!(position("{\"ä\": x}"), (1, 7));
        assert_eq!(position("\n  [1]"), (2, 3));
        assert_eq!(position(""), (1, 1));
        assert_eq!(position("{} {}"), (1, 4));
    }

    #[test]
    fn deep_nesting_is_left_to_the_server() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(text.parse::<CommandText>().is_ok());
    }
}
