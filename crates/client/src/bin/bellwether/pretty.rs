//! Extended JSON laid out for people.
//!
//! The text is only reformatted, and never converted to numbers. The order of fields and all digits
//! therefore stay.

use core::time::Duration;
use std::borrow::Cow;
use std::time::UNIX_EPOCH;

use bellwether_protocol::RawJson;
use bellwether_protocol::json::only_object;
use humantime::{format_rfc3339_millis, format_rfc3339_seconds};

/// Length of a line in bytes. A text that fits on a line is not broken up.
const LINE: usize = 80;
const INDENT: usize = 2;
/// Depths down to which lines are broken. MongoDB nests no deeper than the first. The layout uses
/// the first depth with which the text is not too long.
const DEPTHS: [usize; 7] = [100, 50, 25, 12, 6, 3, 0];
/// Highest growth of a text, as a multiple of its bytes. Line breaks and blanks must not fill the
/// memory and the terminal.
const GROWTH: usize = 8;
/// Length in bytes up to which a text may grow in any case.
const SHORT: usize = 64 * 1024;

/// Returns the same JSON with line breaks and indentation. Short objects and arrays stay on one
/// line.
///
/// The result is at most 8 times as long as `json`, or 64 KiB. If it would be longer, as with
/// deeply nested arrays, the innermost levels stay on one line.
pub(crate) fn pretty(json: &RawJson) -> String {
    lay_out(&tokens(json.as_str()), json.as_str().len())
}

/// Returns the same as [`pretty`], but with the numbers and dates of canonical Extended JSON in
/// their relaxed form: `5` for `{"$numberInt":"5"}`. That form does not show the type of a number.
pub(crate) fn pretty_relaxed(json: &RawJson) -> String {
    lay_out(&relax(tokens(json.as_str())), json.as_str().len())
}

/// A bracket, `,`, `:`, or a string, number or word with all its characters.
type Token<'a> = Cow<'a, str>;

fn tokens(json: &str) -> Vec<Token<'_>> {
    let bytes = json.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => string_length(&bytes[at..]),
            _ => word_length(&bytes[at..]),
        };
        tokens.push(Cow::Borrowed(&json[at..at + length]));
        at += length;
    }
    tokens
}

fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn word_length(bytes: &[u8]) -> usize {
    let ends = |byte: &u8| b" \t\r\n{}[],:\"".contains(byte);
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

fn relax(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut relaxed = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let Some(first) = rest.first() {
        if let Some((number, length)) = number(rest) {
            relaxed.push(Cow::Owned(number.to_owned()));
            rest = &rest[length..];
        } else if let Some((date, length)) = date(rest) {
            match date {
                Some(text) => {
                    relaxed.extend(["{", "\"$date\"", ":"].map(Cow::Borrowed));
                    relaxed.push(Cow::Owned(text));
                    relaxed.push(Cow::Borrowed("}"));
                }
                // Relaxed Extended JSON has no text for this date. Only a text or `$numberLong` is
                // a valid date.
                None => relaxed.extend_from_slice(&rest[..length]),
            }
            rest = &rest[length..];
        } else {
            relaxed.push(first.clone());
            rest = &rest[1..];
        }
    }
    relaxed
}

/// Returns the number at the start of the tokens and its count of tokens, if there is a number in
/// canonical form.
fn number<'a>(tokens: &'a [Token<'_>]) -> Option<(&'a str, usize)> {
    let [open, name, colon, value, close, ..] = tokens else {
        return None;
    };
    if open != "{" || colon != ":" || close != "}" {
        return None;
    }
    if !["\"$numberInt\"", "\"$numberLong\"", "\"$numberDouble\""].contains(&name.as_ref()) {
        return None;
    }
    let value = value.strip_prefix('"')?.strip_suffix('"')?;
    is_json_number(value).then_some((value, 5))
}

/// Returns the date at the start of the tokens and its count of tokens, if there is a date in
/// canonical form. The date is `None` if relaxed Extended JSON has no text for it.
fn date(tokens: &[Token<'_>]) -> Option<(Option<String>, usize)> {
    let [open, name, colon, rest @ ..] = tokens else {
        return None;
    };
    if open != "{" || name != "\"$date\"" || colon != ":" {
        return None;
    }
    let (millis, length) = number(rest)?;
    let text = millis.parse().ok().and_then(iso_date);
    let text = text.map(|text| format!("\"{text}\""));
    (rest.get(length)? == "}").then_some((text, 3 + length + 1))
}

fn is_json_number(text: &str) -> bool {
    // Of these characters, JSON makes nothing but numbers.
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && only_object(&format!("{{\"\":{text}}}")).is_ok()
}

/// Returns milliseconds since the Unix epoch as a date in UTC. Returns `None` outside the years
/// 1970 to 9999, because relaxed Extended JSON writes only these years as text.
fn iso_date(millis: i64) -> Option<String> {
    const LAST: u64 = 253_402_300_799_999;
    let millis = u64::try_from(millis).ok().filter(|millis| *millis <= LAST)?;
    let date = UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    Some(if millis.is_multiple_of(1000) {
        format_rfc3339_seconds(date).to_string()
    } else {
        format_rfc3339_millis(date).to_string()
    })
}

/// Lays out the tokens of a JSON text. `length` is the length of that text in bytes.
fn lay_out(tokens: &[Token<'_>], length: usize) -> String {
    let ends = flat_ends(tokens);
    let longest = length.saturating_mul(GROWTH).max(SHORT);
    let laid_out = DEPTHS
        .iter()
        .find_map(|depth| lay_out_down_to(*depth, tokens, &ends, longest));
    // On one line, a text has at most one blank after each of its bytes.
    laid_out.unwrap_or_else(|| tokens.concat())
}

/// Breaks lines down to this depth. Returns `None` if the text would be longer than `longest`
/// bytes.
fn lay_out_down_to(depth: usize, tokens: &[Token<'_>], ends: &[usize], longest: usize) -> Option<String> {
    let mut text = String::new();
    let mut line_start = 0;
    // For every open bracket, `true` if its content stands on separate lines.
    let mut broken: Vec<bool> = Vec::new();
    let new_line = |text: &mut String, depth: usize| {
        text.push('\n');
        let start = text.len();
        text.extend(core::iter::repeat_n(' ', depth * INDENT));
        start
    };
    for (index, token) in tokens.iter().enumerate() {
        match token.as_ref() {
            "{" | "[" => {
                text.push_str(token);
                let inside_flat = broken.last() == Some(&false);
                let fits = text.len() - line_start + ends[index] <= LINE;
                broken.push(!(inside_flat || fits || broken.len() >= depth));
                if broken.last() == Some(&true) {
                    line_start = new_line(&mut text, broken.len());
                }
            }
            "}" | "]" => {
                if broken.pop() == Some(true) {
                    line_start = new_line(&mut text, broken.len());
                }
                text.push_str(token);
            }
            "," if broken.last() == Some(&true) => {
                text.push(',');
                line_start = new_line(&mut text, broken.len());
            }
            "," | ":" => {
                text.push_str(token);
                text.push(' ');
            }
            _ => text.push_str(token),
        }
        if text.len() > longest {
            return None;
        }
    }
    Some(text)
}

/// Returns for every opening bracket the number of bytes up to its closing bracket, on one line.
fn flat_ends(tokens: &[Token<'_>]) -> Vec<usize> {
    let mut widths = vec![0; tokens.len()];
    let mut open = Vec::new();
    let mut width = 0;
    for (index, token) in tokens.iter().enumerate() {
        width += token.len();
        match token.as_ref() {
            "{" | "[" => open.push((index, width)),
            "}" | "]" => {
                if let Some((opened, before)) = open.pop() {
                    widths[opened] = width - before;
                }
            }
            "," | ":" => width += 1,
            _ => {}
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        let json: Box<serde_json::value::RawValue> = serde_json::from_str(text).unwrap();
        json.into()
    }

    #[test]
    fn short_stays_on_one_line_and_long_is_broken() {
        assert_eq!(
            pretty(&raw(r#"{"n":{"$numberInt":"1"},"a":[],"o":{}}"#)),
            r#"{"n": {"$numberInt": "1"}, "a": [], "o": {}}"#
        );
        let long = format!(
            r#"{{"10":[{{"_id":1}},{{"s":"{}"}}],"2":"a \" {{ b"}}"#,
            "x".repeat(80)
        );
        let expected = format!(
            "{{\n  \"10\": [\n    {{\"_id\": 1}},\n    {{\n      \"s\": \"{}\"\n    }}\n  ],\n  \"2\": \"a \\\" {{ b\"\n}}",
            "x".repeat(80)
        );
        assert_eq!(pretty(&raw(&long)), expected);
    }

    #[test]
    fn only_blanks_change() {
        let text = r#"{ "b" : [ 9007199254740993 , 1.10 , -0 , 1e400, "ä\\\"]\u0000 ," ] , "a" : null }"#;
        let long = format!("[{}]", vec![text; 20].join(","));
        for text in [text, &long] {
            assert_eq!(tokens(&pretty(&raw(text))), tokens(text));
        }
    }

    #[test]
    fn relaxed_numbers_and_dates() {
        let relaxed = |text: &str| pretty_relaxed(&raw(text));
        assert_eq!(relaxed(r#"{"n":{"$numberInt":"-5"}}"#), r#"{"n": -5}"#);
        assert_eq!(
            relaxed(r#"[{"$numberLong":"9007199254740993"}]"#),
            "[9007199254740993]"
        );
        assert_eq!(
            relaxed(r#"[{"$numberDouble":"1.0"},{"$numberDouble":"1E+10"}]"#),
            "[1.0, 1E+10]"
        );
        for kept in [
            r#"{"$numberDouble": "NaN"}"#,
            r#"{"$numberInt": "1", "x": 1}"#,
            r#"{"$numberInt": "01"}"#,
            r#"{"$numberDecimal": "1"}"#,
            r#"{"$date": {"$numberLong": "-1"}}"#,
            r#"{"$date": {"$numberLong": "253402300800000"}}"#,
            r#"{"$date": {"$numberLong": "-9223372036854775808"}}"#,
            r#"{"$date": {"$numberLong": "99999999999999999999"}}"#,
        ] {
            assert_eq!(relaxed(kept), kept);
        }
        let date = |millis: i64| relaxed(&format!(r#"{{"$date":{{"$numberLong":"{millis}"}}}}"#));
        assert_eq!(date(0), r#"{"$date": "1970-01-01T00:00:00Z"}"#);
        assert_eq!(date(951_868_799_123), r#"{"$date": "2000-02-29T23:59:59.123Z"}"#);
        assert_eq!(
            date(253_402_300_799_999),
            r#"{"$date": "9999-12-31T23:59:59.999Z"}"#
        );
    }

    #[test]
    fn a_deeply_nested_text_stays_short() {
        let nested = |open: &str, inner: &str, close: &str, depth: usize| {
            [open.repeat(depth), inner.to_owned(), close.repeat(depth)].concat()
        };
        for deep in [
            nested("[", "", "]", 200_000),
            nested("[", &vec!["1"; 200_000].join(","), "]", 99),
            nested("[[],", "1", "]", 100_000),
            format!(
                "[{}]",
                vec![nested("[", &"1".repeat(90), "]", 90); 1_000].join(",")
            ),
        ] {
            let (json, length) = (raw(&deep), deep.len());
            for laid_out in [pretty(&json), pretty_relaxed(&json)] {
                assert!(
                    laid_out.len() <= (8 * length).max(SHORT),
                    "{length} to {}",
                    laid_out.len()
                );
                assert!(tokens(&laid_out) == tokens(&deep));
            }
        }
    }

    #[test]
    fn a_document_as_deep_as_mongodb_has_them_is_broken_up_to_its_last_level() {
        let deep = format!(
            "{}\"{}\"{}",
            "{\"a\":".repeat(100),
            "x".repeat(80),
            "}".repeat(100)
        );
        assert_eq!(pretty(&raw(&deep)).lines().count(), 201);
    }
}
