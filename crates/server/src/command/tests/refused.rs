//! The server refuses an operator wherever MongoDB would obey it, at any depth, and nowhere else.
//! It answers any text.

use bellwether_protocol::ErrorCode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::command::{AllowedCommands, Refusal, read};

/// Returns the value inside another one. Around an operator this changes nothing: MongoDB looks
/// into the outer value.
fn wrapped(value: &Value, wrapper: u8) -> Value {
    match wrapper {
        0 => json!({ "$and": [value] }),
        1 => json!({ "$or": [{ "a": 1 }, value] }),
        2 => json!({ "a": value }),
        3 => json!({ "$expr": value }),
        4 => json!({ "$elemMatch": value }),
        5 => json!([1, value]),
        6 => json!({ "$facet": { "f": [value] } }),
        7 => json!({ "$lookup": { "from": "d", "pipeline": [value], "as": "x" } }),
        8 => json!({ "$cond": { "if": value, "then": 1, "else": 2 } }),
        _ => json!({ "x": 1, "y": { "z": value } }),
    }
}

/// Returns a command with the value at a place where MongoDB obeys operators.
fn obeyed(value: &Value, place: u8) -> Value {
    match place {
        0 => json!({ "find": "c", "filter": value }),
        1 => json!({ "find": "c", "projection": { "x": value } }),
        2 => json!({ "find": "c", "let": { "x": value } }),
        3 => json!({ "aggregate": "c", "pipeline": [{ "$match": {} }, value] }),
        4 => json!({ "count": "c", "query": value }),
        5 => json!({ "distinct": "c", "key": "a", "query": value }),
        6 => json!({ "update": "c", "updates": [{ "q": {}, "u": {} }, { "q": value, "u": {} }] }),
        7 => json!({ "update": "c", "updates": [{ "q": {}, "u": [{ "$set": value }] }] }),
        8 => json!({ "update": "c", "updates": [{ "q": {}, "u": { "$pull": { "a": value } } }] }),
        9 => json!({ "update": "c", "updates": [{ "q": {}, "u": {}, "arrayFilters": [value] }] }),
        10 => json!({ "delete": "c", "deletes": [{ "q": value, "limit": 1 }] }),
        11 => json!({ "findAndModify": "c", "query": value, "remove": true }),
        12 => json!({ "findAndModify": "c", "update": [{ "$set": { "a": value } }] }),
        13 => json!({ "findAndModify": "c", "fields": { "a": value }, "remove": true }),
        14 => json!({ "create": "v", "viewOn": "c", "pipeline": [value] }),
        15 => json!({ "create": "c", "validator": value }),
        16 => {
            json!({ "createIndexes": "c", "indexes": [{ "key": { "a": 1 }, "partialFilterExpression": value }] })
        }
        _ => json!({ "listCollections": 1, "filter": value }),
    }
}

/// Returns a command with the value at a place where it is data.
fn data(value: &Value, place: u8) -> Value {
    match place {
        0 => json!({ "insert": "c", "documents": [{ "a": value }, value] }),
        1 => json!({ "update": "c", "updates": [{ "q": {}, "u": { "$set": { "a": value } } }] }),
        2 => json!({ "update": "c", "updates": [{ "q": {}, "u": { "$push": { "a": value } } }] }),
        3 => json!({ "update": "c", "updates": [{ "q": {}, "u": { "replaced": value } }] }),
        4 => json!({ "findAndModify": "c", "update": { "$setOnInsert": { "a": value } } }),
        5 => json!({ "find": "c", "filter": { "$expr": { "$eq": ["$a", { "$literal": value }] } } }),
        _ => json!({ "find": "c", "comment": value }),
    }
}

fn operator() -> impl Strategy<Value = &'static str> {
    select(
        &[
            "$where",
            "$function",
            "$accumulator",
            "$out",
            "$merge",
            "$_internalJsReduce",
            "$currentOp",
        ][..],
    )
}

fn parse(command: &Value) -> Result<(), Refusal> {
    read(&command.to_string(), &AllowedCommands { schema: true }).map(drop)
}

fn valid_command() -> impl Strategy<Value = String> {
    (operator(), 0..18_u8).prop_map(|(operator, place)| obeyed(&json!({ operator: 1 }), place).to_string())
}

fn fragments() -> impl Strategy<Value = String> {
    const FRAGMENTS: [&str; 26] = [
        r#"{"find":"c","#,
        r#"{"transaction":["#,
        r#""filter":"#,
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        r#""$where""#,
        r#""a""#,
        "1",
        "-9e99",
        "null",
        r#"{"$oid":"#,
        r#"{"$numberDecimal":"#,
        r#""1e6145""#,
        r#"{"$date":"#,
        r#""2026-02-30T25:00:00Z""#,
        r#""\ud800""#,
        r#""é\u0000""#,
        r#"{"$binary":{"base64":"","subType":"zz"}}"#,
        r#"{"$timestamp":"#,
        r#""maxTimeMS":"#,
        " ",
        "}}",
    ];
    vec(select(&FRAGMENTS[..]), 0..12).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn an_operator_is_found_at_any_depth(
        operator in operator(),
        wrappers in vec(0..10_u8, 0..12),
        place in 0..18_u8,
        listed in any::<bool>(),
    ) {
        let value = wrappers.iter().fold(json!({ operator: { "body": "x" } }), |value, wrapper| wrapped(&value, *wrapper));
        let mut command = obeyed(&value, place);
        if listed && place < 14 {
            command = json!({ "transaction": [{ "find": "c" }, command] });
        }
        let frame = parse(&command).expect_err("refused").into_frame();
        prop_assert_eq!(frame.code, ErrorCode::CommandNotAllowed, "{}", command);
        let named = format!(".{operator}: {operator} is not allowed");
        prop_assert!(frame.message.ends_with(&named), "{}", frame.message);
    }

    #[test]
    fn data_is_left_alone_at_any_depth(
        operator in operator(),
        wrappers in vec(0..10_u8, 0..12),
        place in 0..7_u8,
    ) {
        let value = wrappers.iter().fold(json!({ operator: 1 }), |value, wrapper| wrapped(&value, *wrapper));
        let command = data(&value, place);
        prop_assert!(parse(&command).is_ok(), "{}: {:?}", command, parse(&command));
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = read(&text, &AllowedCommands { schema: true });
    }

    #[test]
    fn any_splice_of_fragments_is_answered(text in fragments()) {
        let inside = format!(r#"{{"find":"c","filter":{{"x":{text}}}}}"#);
        for text in [text, inside] {
            let _ = read(&text, &AllowedCommands { schema: true });
        }
    }

    #[test]
    fn any_damage_to_a_command_is_answered(
        command in valid_command(),
        cuts in vec((any::<Index>(), 0..6_usize, "[\\[\\]{}\",:0-9a-z$\\\\-]{0,4}"), 1..5),
    ) {
        let mut text: Vec<char> = command.chars().collect();
        for (at, length, put) in cuts {
            let start = at.index(text.len() + 1);
            let end = text.len().min(start + length);
            text.splice(start..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        let _ = read(&text, &AllowedCommands { schema: true });
    }
}
