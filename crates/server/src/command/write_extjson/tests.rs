//! Tests that compare the text with the text of the `bson` crate's own values, and break the bytes
//! everywhere.

use bson::{Bson, Document, RawDocument, doc};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MAX_LEVELS, WriteError, write_canonical, write_canonical_without};
use crate::command::extjson::canonical_double;
use crate::command::tests::types::document;

const NO_LIMIT: usize = usize::MAX;

/// Returns the same text by way of a tree of values: the long way round.
fn by_values(value: Bson) -> Value {
    match value {
        Bson::Document(document) => object_by_values(document),
        Bson::Array(items) => Value::Array(items.into_iter().map(by_values).collect()),
        Bson::Double(double) => json!({ "$numberDouble": canonical_double(double) }),
        Bson::JavaScriptCodeWithScope(code) => {
            json!({ "$code": code.code, "$scope": object_by_values(code.scope) })
        }
        other => other.into_canonical_extjson(),
    }
}

fn object_by_values(document: Document) -> Value {
    let fields = document.into_iter();
    Value::Object(fields.map(|(name, value)| (name, by_values(value))).collect())
}

fn write(bytes: &[u8], max_bytes: usize) -> Result<String, WriteError> {
    let document =
        RawDocument::from_bytes(bytes).map_err(|error| WriteError::Malformed(error.to_string()))?;
    write_canonical(document, max_bytes).map(|json| json.as_str().to_owned())
}

/// Returns a document with one field, named `v`.
fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    named(kind, b"v", value)
}

fn named(kind: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let body = [&[kind], name, &[0], value, &[0]].concat();
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_le_bytes(), &*body].concat()
}

fn string(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len() + 1).unwrap();
    [&length.to_le_bytes(), text, &[0]].concat()
}

proptest! {
    #[test]
    fn it_is_the_text_the_values_have(document in document()) {
        let written = write(&document.to_vec().unwrap(), NO_LIMIT).unwrap();
        prop_assert_eq!(&written, &object_by_values(document).to_string());
    }

    #[test]
    fn the_limit_is_exact(document in document()) {
        let bytes = document.to_vec().unwrap();
        let written = write(&bytes, NO_LIMIT).unwrap();
        prop_assert_eq!(write(&bytes, written.len()).unwrap(), written.clone());
        let less = written.len() - 1;
        prop_assert_eq!(write(&bytes, less), Err(WriteError::TooLarge(less)));
    }

    #[test]
    fn skipped_fields_are_as_if_they_were_not_there(document in document(), skipped in document()) {
        // The names of the outermost documents must differ for this.
        let renamed = |prefix: &str, document: Document| -> Document {
            document.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
        };
        let (document, skipped) = (renamed("a", document), renamed("b", skipped));
        let names: Vec<&str> = skipped.keys().map(String::as_str).collect();
        let mut mixed = Document::new();
        let (mut kept, mut left_out) = (document.iter(), skipped.iter());
        loop {
            let next = [left_out.next(), kept.next()];
            if next == [None, None] {
                break;
            }
            mixed.extend(next.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        }
        let mixed = mixed.to_vec().unwrap();
        let without = write_canonical_without(RawDocument::from_bytes(&mixed).unwrap(), &names, NO_LIMIT).unwrap();
        prop_assert_eq!(without.as_str(), write(&document.to_vec().unwrap(), NO_LIMIT).unwrap());
    }

    #[test]
    fn broken_bytes_never_panic_and_what_is_written_is_json(
        document in document(),
        spoiled in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = document.to_vec().unwrap();
        let length = bytes.len();
        for (at, byte) in spoiled {
            // The outermost length and the last byte are for `RawDocument` to check.
            if length > 5 {
                bytes[4 + at.index(length - 5)] = byte;
            }
        }
        if let Ok(text) = write(&bytes, NO_LIMIT) {
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{text}");
        }
    }
}

#[test]
fn bytes_that_are_not_text_are_replaced_wherever_text_can_stand() {
    let cut: &[u8] = b"\xC3";
    let with_scope = {
        let code = string(cut);
        let scope = named(0x0A, cut, b"");
        let length = u32::try_from(4 + code.len() + scope.len()).unwrap();
        [&length.to_le_bytes(), &*code, &*scope].concat()
    };
    let oid = "\u{1}".repeat(12);
    let in_hex = "01".repeat(12);
    let cases = [
        (field(0x02, &string(b"a\xC3b\xE3\x81")), r#""a?b?""#.to_owned()),
        (field(0x0E, &string(cut)), r#"{"$symbol":"?"}"#.to_owned()),
        (field(0x0D, &string(cut)), r#"{"$code":"?"}"#.to_owned()),
        (
            field(0x0F, &with_scope),
            r#"{"$code":"?","$scope":{"?":null}}"#.to_owned(),
        ),
        (
            field(0x0B, b"\xFF\0\xFF\0"),
            r#"{"$regularExpression":{"pattern":"?","options":"?"}}"#.to_owned(),
        ),
        (
            field(0x0C, &[&*string(cut), oid.as_bytes()].concat()),
            format!(r#"{{"$dbPointer":{{"$ref":"?","$id":{{"$oid":"{in_hex}"}}}}}}"#),
        ),
        (field(0x03, &named(0x0A, cut, b"")), r#"{"?":null}"#.to_owned()),
    ];
    for (bytes, expected) in cases {
        let expected = format!(r#"{{"v":{expected}}}"#).replace('?', "\u{FFFD}");
        assert_eq!(write(&bytes, NO_LIMIT), Ok(expected));
    }
}

#[test]
fn nesting_costs_no_stack() {
    let nested = |levels: usize| (1..levels).fold(named(0x0A, b"", b""), |inner, _| named(0x03, b"", &inner));
    let small_stack = std::thread::Builder::new().stack_size(64 * 1024);
    let written = small_stack.spawn(move || {
        (
            write(&nested(MAX_LEVELS), NO_LIMIT),
            write(&nested(MAX_LEVELS + 1), NO_LIMIT),
        )
    });
    let (deepest, deeper) = written.unwrap().join().unwrap();
    assert_eq!(deepest.unwrap().matches('{').count(), MAX_LEVELS);
    assert!(matches!(deeper, Err(WriteError::Malformed(_))), "{deeper:?}");
}

#[test]
fn bytes_that_are_not_bson_are_refused_with_the_place() {
    let scope = named(0x0A, b"a", b"");
    let code = string(b"x");
    let length = u32::try_from(4 + code.len() + scope.len()).unwrap();
    let with_scope = |length: u32| [&length.to_le_bytes(), &*code, &*scope].concat();
    for (what, bytes) in [
        ("unknown type", field(0x55, b"")),
        ("string without end", field(0x02, &[2, 0, 0, 0, b'a', b'b'])),
        ("string of length 0", field(0x02, &[0, 0, 0, 0])),
        ("negative length", field(0x02, &[0xFF, 0xFF, 0xFF, 0xFF, 0])),
        ("string longer than all", field(0x02, &[9, 0, 0, 0, b'a', 0])),
        ("document shorter than any", field(0x03, &[4, 0, 0, 0, 0])),
        ("document longer than all", field(0x03, &[99, 0, 0, 0, 0])),
        ("document without end", field(0x03, &[5, 0, 0, 0, 1])),
        ("integer cut", field(0x10, &[1, 2])),
        ("name without end", vec![8, 0, 0, 0, 0x0A, b'a', b'b', 0]),
        ("regular expression without end", field(0x0B, b"a\0b")),
        ("code and scope too short", field(0x0F, &with_scope(length - 1))),
        ("code and scope too long", field(0x0F, &with_scope(length + 1))),
    ] {
        match write(&bytes, NO_LIMIT) {
            Err(WriteError::Malformed(problem)) => assert!(problem.contains("near byte"), "{problem}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert!(write(&field(0x0F, &with_scope(length)), NO_LIMIT).is_ok());
}

#[test]
fn what_other_programs_write_loosely_is_written() {
    // A repeated field, a bool that is neither 0 nor 1, and an old binary whose inner length is
    // wrong.
    let twice = [0x0A, b'a', 0].repeat(2);
    let twice = [&[11, 0, 0, 0], &*twice, &[0]].concat();
    assert_eq!(write(&twice, NO_LIMIT).unwrap(), r#"{"a":null,"a":null}"#);
    assert_eq!(write(&field(0x08, &[7]), NO_LIMIT).unwrap(), r#"{"v":true}"#);
    let old = [4, 0, 0, 0, 2, 1, 2, 3, 4];
    assert_eq!(
        write(&field(0x05, &old), NO_LIMIT).unwrap(),
        r#"{"v":{"$binary":{"base64":"AQIDBA==","subType":"02"}}}"#
    );
}

/// Figures, for people: `cargo test --release -p bellwether-server --lib -- --ignored --nocapture
/// written_in`.
#[test]
#[ignore = "it measures"]
fn large_replies_are_written_in() {
    let integers = doc! { "v": vec![1_234_567_i32; 600_000] };
    let small = doc! { "_id": 1, "name": "a name of some length", "n": 5_i64, "d": 1.5, "tags": ["a", "b"], "s": "x".repeat(20) };
    let count = 3_500_000 / small.to_vec().unwrap().len();
    let documents = doc! { "firstBatch": vec![small; count] };
    for (name, document) in [
        ("600,000 int32", integers),
        ("3.5 MB of small documents", documents),
    ] {
        let bytes = document.to_vec().unwrap();
        let raw = RawDocument::from_bytes(&bytes).unwrap();
        let start = std::time::Instant::now();
        let new = write_canonical(raw, NO_LIMIT).unwrap();
        let one_pass = start.elapsed();
        let start = std::time::Instant::now();
        let old = object_by_values(Document::try_from(raw).unwrap()).to_string();
        let by_values = start.elapsed();
        assert_eq!(new.as_str(), old);
        println!(
            "{name}: {} bytes of JSON, {one_pass:?}, by way of values {by_values:?}",
            old.len()
        );
    }
}
