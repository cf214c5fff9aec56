//! One pass over the JSON text, without recursion, before anything that recurses or rounds sees it.

use bellwether_protocol::MAX_DEPTH;

/// What a JSON parser would not have survived, or not have told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// More levels than [`MAX_DEPTH`].
    TooDeep,
    /// A number that would silently become another one.
    Number(String),
}

/// Checks the nesting and the numbers of a JSON text. That it is JSON at all is for the parser to say.
pub(super) fn check(text: &str) -> Result<(), Flaw> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = bytes[at..]
                    .iter()
                    .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
                    .map_or(bytes.len(), |length| at + length);
                check_number(&text[at..end])?;
                at = end;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Flaw::TooDeep);
                }
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

/// The position behind a string's closing quote; `at` is behind its opening one.
pub(super) fn after_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn check_number(number: &str) -> Result<(), Flaw> {
    let integer = !number.contains(['.', 'e', 'E']);
    let fits = if integer {
        number.parse::<i64>().is_ok()
    } else {
        is_faithful_double(number)
    };
    if fits {
        Ok(())
    } else {
        Err(Flaw::Number(number.chars().take(64).collect()))
    }
}

/// Whether a decimal number is a double that neither overflowed nor vanished. That a double has about 16
/// digits is expected of it.
pub(super) fn is_faithful_double(number: &str) -> bool {
    let Ok(value) = number.parse::<f64>() else {
        return false;
    };
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    value.is_finite() && (value != 0.0 || !mantissa.contains(|c: char| matches!(c, '1'..='9')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        let deepest = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert_eq!(check(&deepest), Ok(()));
        assert_eq!(check(&format!("[{deepest}]")), Err(Flaw::TooDeep));
        assert_eq!(check(&"[{".repeat(1_000_000)), Err(Flaw::TooDeep));
        assert_eq!(check(&format!(r#"{{"a\"[":"{}"}}"#, "[".repeat(500))), Ok(()));
        assert_eq!(check(r#"["\\","[["]"#), Ok(()));
    }

    #[test]
    fn numbers_that_would_change_are_found() {
        let kept = [
            "0",
            "-0",
            "9223372036854775807",
            "-9223372036854775808",
            "1.5",
            "1e308",
            "0.0",
            "0e99999",
            "5e-324",
        ];
        for number in kept {
            assert_eq!(check(number), Ok(()), "{number}");
        }
        let changed = [
            "9223372036854775808",
            "18446744073709551615",
            "-9223372036854775809",
            "1e309",
            "-1.0e400",
            "1e-400",
        ];
        for number in changed {
            assert_eq!(check(&format!("[{number}]")), Err(Flaw::Number(number.into())));
        }
    }

    #[test]
    fn broken_text_is_survived() {
        for text in ["", "\"", "\"\\", "]]]]", "{\"a", "é\"é\\\"é", "-", "1-2"] {
            let _ = check(text);
        }
    }
}
