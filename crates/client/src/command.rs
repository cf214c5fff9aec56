use core::fmt;
use core::str::FromStr;

use bellwether_protocol::RawJson;
use bellwether_protocol::json::{NotJson, decimal, elements, first_field};

/// A command as the user wrote it: the text of one JSON object.
///
/// The text is checked to be JSON, but stays text. The order of its fields and all digits of its
/// integers therefore reach the server. The server checks whether it is a valid command.
#[derive(Clone, Debug)]
pub struct CommandText(RawJson);

impl CommandText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn json(&self) -> &RawJson {
        &self.0
    }

    /// Returns `true` if the command only reads: `find`, `aggregate`, `count`, `distinct`,
    /// `listCollections`, `listIndexes`, and a `transaction` of only these. Such a command has no
    /// effect, however often it is executed.
    pub fn only_reads(&self) -> bool {
        match first_field(self.as_str()) {
            Some((name, list)) if name == "transaction" => elements(list).is_some_and(|commands| {
                !commands.is_empty()
                    && commands.into_iter().all(|command| {
                        first_field(command).is_some_and(|(name, _)| READS.contains(&name.as_str()))
                    })
            }),
            Some((name, _)) => READS.contains(&name.as_str()),
            None => false,
        }
    }
}

/// The read-only commands. Servers pass on no `aggregate` that writes.
const READS: [&str; 6] = [
    "find",
    "aggregate",
    "count",
    "distinct",
    "listCollections",
    "listIndexes",
];

impl fmt::Display for CommandText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for a text that is not a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotACommand {
    /// The problem.
    pub problem: &'static str,
    /// The line of the problem, counted from 1.
    pub line: usize,
    /// The column of the problem in that line, counted from 1 in characters.
    pub column: usize,
}

impl NotACommand {
    /// Returns the problem and its position.
    pub fn text(&self) -> String {
        [
            "the command is not a JSON object: ",
            self.problem,
            " at line ",
            &decimal(self.line as u64),
            ", column ",
            &decimal(self.column as u64),
        ]
        .concat()
    }
}

impl fmt::Display for NotACommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for NotACommand {}

impl FromStr for CommandText {
    type Err = NotACommand;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = without_mark(text);
        RawJson::object(text)
            .map(Self)
            .map_err(|error| located(text, error))
    }
}

/// Returns the text without the byte order mark that editors of Windows write at the beginning.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn located(command: &str, NotJson { problem, at }: NotJson) -> NotACommand {
    let before = command.get(..at).unwrap_or(command);
    let line_start = before
        .bytes()
        .rposition(|byte| byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let count = |text: &str, wanted: fn(&u8) -> bool| text.bytes().filter(wanted).count();
    NotACommand {
        problem,
        line: count(before, |byte| *byte == b'\n') + 1,
        // Each byte that does not continue a character begins one.
        column: count(&before[line_start..], |byte| byte & 0xc0 != 0x80) + 1,
    }
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
    fn knows_what_only_reads() {
        let only_reads = |text: &str| text.parse::<CommandText>().unwrap().only_reads();
        for reads in [
            r#"{"find": "c", "insert": "c"}"#,
            r#"{"f\u0069nd": "c"}"#,
            r#"{"aggregate": "c", "pipeline": []}"#,
            r#"{"count": "c"}"#,
            r#"{"distinct": "c", "key": "k"}"#,
            r#"{"listCollections": 1}"#,
            r#"{"listIndexes": "c"}"#,
            r#"{"transaction": [{"find": "c"} , {"count": "c"}], "comment": 1}"#,
        ] {
            assert!(only_reads(reads), "{reads}");
        }
        for writes in [
            "{}",
            r#"{"insert": "c", "find": "c"}"#,
            r#"{"Find": "c"}"#,
            r#"{"findAndModify": "c"}"#,
            r#"{"later": "c"}"#,
            r#"{"transaction": []}"#,
            r#"{"transaction": {"find": "c"}}"#,
            r#"{"transaction": [{"find": "c"}, {"delete": "c"}]}"#,
            r#"{"transaction": [{"find": "c"}, "find"]}"#,
            r#"{"transaction": [{"transaction": [{"find": "c"}]}]}"#,
        ] {
            assert!(!only_reads(writes), "{writes}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let command: CommandText = "\u{feff}{\"find\": \"c\"}".parse().unwrap();
        assert_eq!(command.as_str(), "{\"find\": \"c\"}");
        assert!("{\u{feff}\"find\": \"c\"}".parse::<CommandText>().is_err());
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
        assert_eq!(position("{\"ä\": \"ö\n\",\n \"b\": 1}"), (1, 9));
    }

    #[test]
    fn deep_nesting_is_left_to_the_server() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
        assert!(text.parse::<CommandText>().is_ok());
    }
}
