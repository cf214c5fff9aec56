//! The outermost fields of a long command, found in its text. The server refuses most wrong
//! commands by these fields, before it builds any of their values. A text of 1 MiB can hold half a
//! million values.

use super::allowed_commands::{AllowedCommands, COMMON_OPTIONS, check_option, options};
use super::list;
use super::name::CommandName;
use super::operation::unknown;
use super::refusal::Refusal;

/// Length in bytes from which on the outline is checked. Shorter texts are read whole at once.
const LONG: usize = 16 * 1024;

/// Checks the command's name, its options, and the number of commands in a list. Later checks find
/// the rest: names with escapes, and text that is not JSON at all.
pub(super) fn check(text: &str, allowed_commands: &AllowedCommands) -> Result<(), Refusal> {
    if text.len() < LONG {
        return Ok(());
    }
    let mut outline = Outline::default();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' {
            let end = after_string(bytes, at + 1);
            if outline.depth == 1 && outline.name_is_next {
                outline.name_is_next = false;
                let name = text.get(at + 1..end - 1).unwrap_or_default();
                if name.contains('\\') {
                    return Ok(());
                }
                outline.field(name, allowed_commands)?;
            }
            at = end;
        } else {
            outline.punctuation(*byte)?;
            at += 1;
        }
    }
    Ok(())
}

/// Returns the position behind a string's closing quote; `at` is behind its opening quote.
fn after_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[derive(Default)]
struct Outline {
    depth: usize,
    /// `true` if a field of the outermost document begins here.
    name_is_next: bool,
    command: Option<Command>,
    /// Number of items so far in the array that holds a list's commands.
    commands: Option<usize>,
}

#[derive(Clone, Copy)]
enum Command {
    List,
    Alone(CommandName),
}

impl Outline {
    fn field(&mut self, name: &str, allowed_commands: &AllowedCommands) -> Result<(), Refusal> {
        self.commands = None;
        match self.command {
            None if name == list::NAME => {
                self.command = Some(Command::List);
                self.commands = Some(1);
            }
            None => {
                let command = CommandName::from_field(name).ok_or_else(|| unknown(name, allowed_commands))?;
                allowed_commands.check_name(command)?;
                self.command = Some(Command::Alone(command));
            }
            Some(Command::List) => check_option(list::NAME, &[], &COMMON_OPTIONS, name)?,
            Some(Command::Alone(command)) => {
                check_option(command.as_str(), options(command), &COMMON_OPTIONS, name)?;
            }
        }
        Ok(())
    }

    fn punctuation(&mut self, byte: u8) -> Result<(), Refusal> {
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                self.name_is_next = self.depth == 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if self.depth == 1 => self.name_is_next = true,
            b',' if self.depth == 2 => {
                if let Some(commands) = &mut self.commands {
                    *commands += 1;
                    list::check_count(*commands)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwether_protocol::{ErrorCode, RawJson};

    use super::*;
    use crate::command::ParsedCommand;

    /// Returns the message about a text with this start. The rest of the text is not JSON, but the
    /// check ends before it.
    fn refused(start: &str) -> String {
        let text = format!("{start}{}", "#".repeat(LONG));
        check(&text, &AllowedCommands::default())
            .err()
            .map(|refusal| refusal.into_frame().message)
            .unwrap_or_default()
    }

    #[test]
    fn a_fault_outside_is_found_before_anything_is_read() {
        assert_eq!(refused(r#"{"drop":"c","#), "drop is not allowed on this server");
        assert!(refused(r#"{"eval":[{},{"#).contains(r#""eval" is not a command"#));
        assert!(
            refused(r#"{"find":"c","filter":{"x":[1,2]},"documents":["#).contains(r#"option "documents""#)
        );
        assert!(refused(r#"{"transaction":[{}],"lsid":"#).contains(r#"option "lsid""#));
        let many = r#"{"insert":"c","documents":[{},{}]},"#.repeat(100);
        assert!(refused(&format!(r#"{{"transaction":[{many}"#)).contains("more than 100"));
    }

    #[test]
    fn what_is_inside_values_is_not_taken_for_fields() {
        for start in [
            r#"{"insert":"c","documents":[{"lsid":1},{"a":{"drop":2}}],"ordered":true,"#,
            r#"{"find":"c","filter":{"documents":"\",\"lsid\":"},"#,
            r#"{"fi\u006ed":"c","lsid":1,"#,
            r#"{"transaction":[{"insert":"c","documents":[{},{}]},{"find":"d","lsid":1}],"comment":[1,2,3],"#,
            "\"",
            "}}]]{",
        ] {
            assert_eq!(refused(start), "", "{start}");
        }
    }

    #[test]
    fn a_long_command_is_refused_as_a_short_one_is() {
        let parse = |text: &str| {
            let raw = RawJson::object(text).unwrap();
            ParsedCommand::parse(&raw, &AllowedCommands::default()).unwrap_err()
        };
        for (start, end) in [
            (r#"{"find":"c","nonsense":["#, "]}"),
            (r#"{"nonsense":"c","documents":["#, "]}"),
            (r#"{"transaction":[{"find":"c"}],"readConcern":["#, "]}"),
        ] {
            let short = parse(&format!("{start}{end}"));
            let long = parse(&format!("{start}{}{{}}{end}", "{},".repeat(LONG)));
            assert_eq!(short, long);
            assert_eq!(short.code, ErrorCode::CommandNotAllowed);
        }
    }
}
