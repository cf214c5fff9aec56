use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Text that is JSON, nearly JSON or nonsense.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\n\"",
        "\"\\u00e4\"",
        "\"\\ud83d\\ude00\"",
        "\"\\x\"",
        "\"ä\"",
        "\u{1}",
        "0",
        "-0",
        "01",
        "1.5",
        "1.",
        "1e5",
        "1e",
        "-",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "{\"a\":1}",
        "[1,2]",
        "\"a\":",
        "{\"a\":{\"b\":[null]}}",
        "{}",
        "[]",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_serde_json_takes_for_an_object_is_one(text in texts()) {
        let theirs = serde_json::from_str::<serde_json::Map<String, Value>>(&text);
        match only_object(&text) {
            Ok(object) => prop_assert_eq!(serde_json::from_str::<Value>(object).ok(), theirs.ok().map(Value::from)),
            Err(error) => {
                prop_assert!(theirs.is_err(), "{text}: {error}");
                prop_assert!(text.is_char_boundary(error.at), "{text}: {error}");
            }
        }
    }

    #[test]
    fn fields_are_what_serde_json_reads(text in texts()) {
        let theirs = serde_json::from_str::<serde_json::Map<String, Value>>(&text);
        let Ok(fields) = Fields::read(&text) else {
            prop_assert!(theirs.is_err(), "{text}");
            return Ok(());
        };
        let theirs = theirs.expect("it is an object");
        for name in ["a", "b"] {
            let raw = fields.raw(name).map(|json| serde_json::from_str::<Value>(json).ok());
            prop_assert_eq!(raw.flatten(), theirs.get(name).filter(|value| !value.is_null()).cloned());
        }
    }

    #[test]
    fn what_is_written_is_read_back(text in any::<String>(), number in any::<u32>(), flag in any::<bool>()) {
        let json = Object::new()
            .text("text", &text)
            .plain("number", number)
            .plain("flag", flag)
            .raw("raw", "[1,{}]")
            .finish();
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
        let fields = Fields::read(&json).expect("it was just written");
        prop_assert_eq!(fields.text("text"), text);
        prop_assert_eq!(fields.number("number"), u64::from(number));
        prop_assert_eq!(fields.flag("flag"), flag);
        prop_assert_eq!(fields.raw("raw"), Some("[1,{}]"));
        prop_assert_eq!(fields.bad_field(), None);
    }
}

#[test]
fn the_first_field_that_is_not_as_it_should_be_is_named() {
    let fields = Fields::read(r#"{"a":"x","n":-1,"o":{"t":1},"z":null}"#).expect("it is an object");
    assert_eq!(fields.text("a"), "x");
    assert_eq!((fields.some_text("z"), fields.some_text("gone")), (None, None));
    assert_eq!(fields.bad_field(), None);
    assert_eq!(fields.some_object("o", |inner| inner.text("t")), None);
    assert_eq!(fields.number("n"), 0);
    assert!(!fields.flag("gone"));
    assert_eq!(fields.bad_field(), Some("t"));
}

#[test]
fn it_says_what_is_wrong_and_where() {
    const CONTROL: &str =
        "a string holds a line break or another control character; write it as \\n or \\u000a";
    for (text, problem, at) in [
        ("", "the text ends too early", 0),
        ("{\"a\":", "the text ends too early", 5),
        ("{\"a\":x}", "expected a value", 5),
        ("{\"a\":tru}", "expected a value", 5),
        ("{a:1}", "expected a field's name in quotes", 1),
        ("{\"a\" 1}", "expected :", 5),
        ("{\"a\":1 \"b\":2}", "expected , or }", 7),
        ("{\"a\":[1 2]}", "expected , or ]", 8),
        ("{\"a\":1,}", "expected a field's name in quotes", 7),
        ("{\"a\":\"x}", "the string is not closed", 5),
        ("{\"a\":1.}", "expected a digit", 7),
        ("{\"ä\u{1}\":1}", CONTROL, 4),
        ("{\"a\":\"b\n\"}", CONTROL, 7),
        (
            "{\"a\":\"ä\\x\"}",
            "a string holds a \\ that does not start an escape",
            8,
        ),
        ("{} {}", "expected nothing more", 3),
        (" [1]", "expected {", 1),
    ] {
        assert_eq!(only_object(text), Err(NotJson { problem, at }), "{text}");
    }
}
