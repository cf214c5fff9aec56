//! The only access to the terminal. Characters that a terminal obeys never reach it. Otherwise a
//! server, MongoDB or a document could clear the screen, forge lines or hide text.

use std::io::{self, Write};

/// Writes one line to standard error. Control characters and line breaks in the text are written in
/// the form `\u001b`. The function ignores errors of standard error, because the exit code still
/// gives the outcome of the command.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", escaped(line));
}

/// Writes a JSON value and a line end to standard output. The value stays the same. In strings,
/// characters that a terminal obeys are escaped. Elsewhere they become blanks, except that line
/// feeds between values stay.
///
/// # Errors
/// Errors of standard output, such as a pipe that no process reads.
pub(crate) fn print_json(json: &str) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    write_json(&mut out, json)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Returns `true` for control characters (C0, DEL and C1) and for those that change the direction
/// of text (UAX #9).
fn is_obeyed(c: char) -> bool {
    let changes_direction = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || changes_direction
}

/// Returns the same text with `\u001b` in place of each character that a terminal obeys.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

fn write_json(out: &mut impl Write, json: &str) -> io::Result<()> {
    let mut rest = json;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| *c != '\n' && is_obeyed(*c)) {
        out.write_all(&rest.as_bytes()[..at])?;
        match c {
            // JSON strings cannot contain these characters unescaped, so they stand between values.
            '\t' | '\r' => out.write_all(b" ")?,
            _ => write!(out, "\\u{:04x}", u32::from(c))?,
        }
        rest = &rest[at + c.len_utf8()..];
    }
    out.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that a terminal may obey.
    fn obeyed() -> impl Iterator<Item = char> {
        let ranges = [
            0..=0x1f,
            0x7f..=0x9f,
            0x61c..=0x61c,
            0x200e..=0x200f,
            0x202a..=0x202e,
            0x2066..=0x2069,
        ];
        ranges.into_iter().flatten().filter_map(char::from_u32)
    }

    #[test]
    fn a_line_holds_nothing_that_a_terminal_obeys() {
        for c in obeyed() {
            let safe = escaped(&format!("a{c}é"));
            assert_eq!(safe, format!("a\\u{:04x}é", u32::from(c)));
        }
        assert_eq!(escaped("plain — größer 🙂"), "plain — größer 🙂");
    }

    #[test]
    fn json_stays_the_same_value() {
        for c in obeyed().filter(|c| *c >= '\u{7f}') {
            let json = format!("{{\r\n\t\"k{c}\": \"{c}\\n🙂\"}}");
            let mut out = Vec::new();
            write_json(&mut out, &json).unwrap();
            let safe = String::from_utf8(out).unwrap();
            assert!(!safe.chars().any(|c| c != '\n' && is_obeyed(c)), "{safe:?}");
            let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
            assert_eq!(value(&safe), value(&json));
        }
    }
}
