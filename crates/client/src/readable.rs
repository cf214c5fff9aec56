//! Extended JSON laid out for people.
//!
//! The text is only reformatted, never read into numbers, so the order of fields and all digits stay.

use std::borrow::Cow;

use bellwether_protocol::RawJson;

/// What fits on a line of this many bytes is not broken up.
const LINE: usize = 80;
const INDENT: usize = 2;
/// MongoDB nests no deeper; text that does shall not fill the memory with blanks.
const DEEPEST_INDENT: usize = 100;

/// The same JSON with line breaks and indentation; short objects and arrays stay on one line.
pub fn pretty(json: &RawJson) -> String {
    lay_out(&tokens(json.as_str()))
}

/// As [`pretty`], but with canonical Extended JSON's numbers and dates in their relaxed form: `5` for
/// `{"$numberInt":"5"}`. That form does not say which type a number has.
pub fn pretty_relaxed(json: &RawJson) -> String {
    lay_out(&relax(tokens(json.as_str())))
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
            relaxed.extend(["{", "\"$date\"", ":"].map(Cow::Borrowed));
            relaxed.push(Cow::Owned(date));
            relaxed.push(Cow::Borrowed("}"));
            rest = &rest[length..];
        } else {
            relaxed.push(first.clone());
            rest = &rest[1..];
        }
    }
    relaxed
}

/// The number at the start of the tokens, if there is one in canonical form, and how many tokens it takes.
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

fn date(tokens: &[Token<'_>]) -> Option<(String, usize)> {
    let [open, name, colon, rest @ ..] = tokens else {
        return None;
    };
    if open != "{" || name != "\"$date\"" || colon != ":" {
        return None;
    }
    let (millis, length) = number(rest)?;
    let text = iso_date(millis.parse().ok()?)?;
    (rest.get(length)? == "}").then(|| (format!("\"{text}\""), 3 + length + 1))
}

fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, None),
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        None => (mantissa, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// Milliseconds since the Unix epoch as a date in UTC; only for the years 1970 to 9999, which are the ones
/// that relaxed Extended JSON writes so.
fn iso_date(millis: i64) -> Option<String> {
    const DAY: u64 = 86_400_000;
    const LAST: u64 = 253_402_300_799_999;
    let millis = u64::try_from(millis).ok().filter(|millis| *millis <= LAST)?;
    let (mut days, rest) = (millis / DAY, millis % DAY);
    let mut year = 1970_u64;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (seconds, millis) = (rest / 1000, rest % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if millis == 0 {
        String::new()
    } else {
        format!(".{millis:03}")
    };
    Some(format!(
        "{year:04}-{month:02}-{:02}T{hours:02}:{minutes:02}:{seconds:02}{fraction}Z",
        days + 1
    ))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn lay_out(tokens: &[Token<'_>]) -> String {
    let ends = flat_ends(tokens);
    let mut text = String::new();
    let mut line_start = 0;
    // For every open bracket, whether its content stands on lines of its own.
    let mut broken: Vec<bool> = Vec::new();
    let new_line = |text: &mut String, depth: usize| {
        text.push('\n');
        let start = text.len();
        text.extend(core::iter::repeat_n(' ', depth.min(DEEPEST_INDENT) * INDENT));
        start
    };
    for (index, token) in tokens.iter().enumerate() {
        match token.as_ref() {
            "{" | "[" => {
                text.push_str(token);
                let inside_flat = broken.last() == Some(&false);
                let fits = text.len() - line_start + ends[index] <= LINE;
                broken.push(!(inside_flat || fits));
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
    }
    text
}

/// For every opening bracket, how many bytes follow up to its closing one, written on one line.
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
        ] {
            assert!(!relaxed(kept).starts_with("{1"), "{kept}");
            if !kept.contains("date") {
                assert_eq!(relaxed(kept), kept);
            }
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
    fn deep_nesting_does_not_recurse() {
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(pretty(&raw(&deep)).len() > deep.len());
    }
}
