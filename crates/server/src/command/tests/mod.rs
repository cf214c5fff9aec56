mod lists;
mod refused;
mod schema;
pub(super) mod types;

use core::time::Duration;

use bellwether_protocol::{ErrorCode, MAX_DEPTH, Outcome};

use super::*;

fn parse(text: &str) -> Result<ParsedCommand, ErrorFrame> {
    parse_with(text, &AllowedCommands::default())
}

/// Returns any JSON value as raw JSON, not only an object: a frame may hold any value.
fn raw(text: &str) -> RawJson {
    let json: Box<serde_json::value::RawValue> = serde_json::from_str(text).unwrap();
    json.into()
}

fn parse_with(text: &str, allowed_commands: &AllowedCommands) -> Result<ParsedCommand, ErrorFrame> {
    ParsedCommand::parse(&raw(text), allowed_commands)
}

#[track_caller]
fn refusal(text: &str) -> ErrorFrame {
    let frame = parse(text).expect_err(text);
    assert_eq!(frame.outcome, Outcome::NotExecuted, "{text}");
    assert!(
        frame.hint.is_some() || frame.code == ErrorCode::BadCommand,
        "{frame:?}"
    );
    frame
}

#[test]
fn the_eight_commands_pass_with_their_options() {
    let commands = [
        r#"{"insert":"c","documents":[{"a":1}],"ordered":false,"comment":"x"}"#,
        r#"{"find":"c","filter":{"a":{"$gt":1}},"sort":{"a":1},"limit":3,"let":{"x":1},"maxTimeMS":50}"#,
        r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}},"multi":true,"arrayFilters":[{"x":1}]}]}"#,
        r#"{"delete":"c","deletes":[{"q":{},"limit":0}]}"#,
        r#"{"findAndModify":"c","query":{},"update":[{"$set":{"a":1}}],"new":true}"#,
        r#"{"findandmodify":"c","query":{},"remove":true}"#,
        r#"{"aggregate":"c","pipeline":[{"$lookup":{"from":"d","localField":"a","foreignField":"b","as":"x"}}],"cursor":{}}"#,
        r#"{"count":"c","query":{}}"#,
        r#"{"distinct":"c","key":"a"}"#,
    ];
    for text in commands {
        let command = parse(text).unwrap_or_else(|frame| panic!("{text}: {frame:?}"));
        assert_eq!(command.collection(), "c");
    }
    assert_eq!(parse(commands[1]).unwrap().kind(), Kind::Read);
    assert_eq!(parse(commands[5]).unwrap().kind(), Kind::Write);
}

#[test]
fn order_is_kept_and_max_time_is_taken_out() {
    let command =
        parse(r#"{"find":"c","maxTimeMS":250,"sort":{"10":1,"2":-1,"b":1,"a":1},"filter":{}}"#).unwrap();
    let [command] = command.operations() else {
        panic!("one")
    };
    assert_eq!(command.max_time(), Some(Duration::from_millis(250)));
    assert_eq!(
        command.body().keys().collect::<Vec<_>>(),
        ["find", "sort", "filter"]
    );
    let sort = command.body().get_document("sort").unwrap();
    assert_eq!(sort.keys().collect::<Vec<_>>(), ["10", "2", "b", "a"]);
    assert_eq!(
        parse(r#"{"find":"c","maxTimeMS":0}"#).unwrap().operations()[0].max_time(),
        None
    );
    for wrong in [r#""1""#, "-1", "1.5", "null"] {
        let frame = refusal(&format!(r#"{{"find":"c","maxTimeMS":{wrong}}}"#));
        assert_eq!(frame.code, ErrorCode::BadCommand);
    }
}

#[test]
fn the_fingerprint_is_of_the_meaning_not_of_the_spelling() {
    let print = |text: &str| *parse(text).unwrap().fingerprint();
    let relaxed = print(r#"{"count":"c","query":{"a":1,"b":2}}"#);
    assert_eq!(
        relaxed,
        print(r#"{ "count" : "c", "query":{"a":{"$numberInt":"1"},"b":2} }"#)
    );
    assert_ne!(relaxed, print(r#"{"count":"c","query":{"b":2,"a":1}}"#));
    assert_eq!(
        relaxed,
        print(r#"{"count":"c","query":{"a":1,"b":2},"maxTimeMS":5,"comment":"x"}"#)
    );
}

#[test]
fn other_commands_names_and_options_are_refused() {
    for text in [
        r#"{"drop":"c"}"#,
        r#"{"mapReduce":"c"}"#,
        r#"{"eval":"1"}"#,
        r#"{"Insert":"c","documents":[]}"#,
        r#"{"filter":{},"find":"c"}"#,
        r#"{"find":"system.users"}"#,
        r#"{"find":"c","nonsense":1}"#,
        r#"{"find":"c","documents":[]}"#,
        r#"{"aggregate":"c","pipeline":[],"cursor":{"batchSize":5}}"#,
    ] {
        assert_eq!(refusal(text).code, ErrorCode::CommandNotAllowed, "{text}");
    }
    for option in [
        "writeConcern",
        "readConcern",
        "lsid",
        "txnNumber",
        "autocommit",
        "startTransaction",
        "$db",
        "$readPreference",
        "bypassDocumentValidation",
        "tailable",
        "awaitData",
        "noCursorTimeout",
        "batchSize",
        "explain",
    ] {
        let frame = refusal(&format!(r#"{{"find":"c","{option}":1}}"#));
        assert_eq!(frame.code, ErrorCode::CommandNotAllowed);
        assert!(frame.message.contains(option), "{frame:?}");
    }
    for text in [
        "{}",
        r#"{"find":1}"#,
        r#"{"aggregate":1,"pipeline":[]}"#,
        r#"{"find":""}"#,
        r#"{"find":"a\u0000b"}"#,
        r#"{"find":"$cmd"}"#,
        "[]",
        "null",
        r#"{"find":"c","find":"d"}"#,
        r#"{"find":"c","filter":{"a":1,"a":2}}"#,
        r#"{"find":"c","filter":{"a":1e309}}"#,
        r#"{"find":"c","filter":{"a":{"$oid":1}}}"#,
    ] {
        assert_eq!(refusal(text).code, ErrorCode::BadCommand, "{text}");
    }
}

#[test]
fn operators_are_refused_where_they_would_be_obeyed() {
    let obeyed = [
        (r#"{"find":"c","filter":{"$where":"1"}}"#, "filter.$where"),
        (
            r#"{"find":"c","filter":{"$or":[{"a":1},{"$expr":{"$function":{}}}]}}"#,
            "filter.$or[1].$expr.$function",
        ),
        (
            r#"{"find":"c","projection":{"x":{"$function":{}}}}"#,
            "projection.x.$function",
        ),
        (
            r#"{"delete":"c","deletes":[{"q":{"$where":"1"},"limit":1}]}"#,
            "deletes[0].q.$where",
        ),
        (
            r#"{"update":"c","updates":[{"q":{},"u":[{"$set":{"a":{"$function":{}}}}]}]}"#,
            "updates[0].u[0].$set.a.$function",
        ),
        (
            r#"{"update":"c","updates":[{"q":{},"u":{"$pull":{"a":{"$where":"1"}}}}]}"#,
            "updates[0].u.$pull.a.$where",
        ),
        (
            r#"{"update":"c","updates":[{"q":{},"u":{},"arrayFilters":[{"$where":"1"}]}]}"#,
            "updates[0].arrayFilters[0].$where",
        ),
        (
            r#"{"findAndModify":"c","query":{"$where":"1"},"remove":true}"#,
            "query.$where",
        ),
        (
            r#"{"aggregate":"c","pipeline":[{"$facet":{"f":[{"$out":"d"}]}}]}"#,
            "pipeline[0].$facet.f[0].$out",
        ),
        (
            r#"{"aggregate":"c","pipeline":[{"$merge":{"into":"d"}}]}"#,
            "pipeline[0].$merge",
        ),
        (
            r#"{"aggregate":"c","pipeline":[{"$group":{"_id":1,"x":{"$accumulator":{}}}}]}"#,
            "pipeline[0].$group.x.$accumulator",
        ),
        (
            r#"{"aggregate":"c","pipeline":[{"$lookup":{"from":{"db":"d","coll":"e"},"as":"x"}}]}"#,
            "pipeline[0].$lookup.from",
        ),
        (
            r#"{"aggregate":"c","pipeline":[{"$unionWith":{"db":"d","coll":"e"}}]}"#,
            "pipeline[0].$unionWith.db",
        ),
        (
            r#"{"aggregate":"c","pipeline":[{"$unionWith":"system.users"}]}"#,
            "pipeline[0].$unionWith.coll",
        ),
        (r#"{"find":"c","let":{"x":{"$function":{}}}}"#, "let.x.$function"),
    ];
    for (text, path) in obeyed {
        let frame = refusal(text);
        assert_eq!(frame.code, ErrorCode::CommandNotAllowed, "{text}");
        assert!(frame.message.starts_with(&format!("{path}: ")), "{frame:?}");
    }
}

#[test]
fn operators_are_left_alone_where_they_are_data() {
    for text in [
        r#"{"insert":"c","documents":[{"a":{"$where":"1"},"$out":1}]}"#,
        r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"a":{"$where":"1"}}}}]}"#,
        r#"{"update":"c","updates":[{"q":{},"u":{"a":{"$function":1}}}]}"#,
        r#"{"findAndModify":"c","update":{"$set":{"a":{"$out":1}}}}"#,
        r#"{"find":"c","filter":{"$expr":{"$eq":["$a",{"$literal":{"$where":"1"}}]}}}"#,
        r#"{"find":"c","filter":{"a":"$where"},"comment":{"$where":1}}"#,
        r#"{"find":"c","filter":{"$text":{"$search":"words"}}}"#,
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn deep_nesting_is_refused_before_anything_recurses() {
    let deep = |levels: usize| {
        format!(
            r#"{{"find":"c","filter":{}1{}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert!(parse(&deep(MAX_DEPTH - 1)).is_ok());
    for levels in [MAX_DEPTH, 10_000, 1_000_000] {
        assert_eq!(refusal(&deep(levels)).code, ErrorCode::TooDeep);
    }
}

#[test]
fn a_refusal_quotes_little() {
    let long = "\\u0001".repeat(100_000);
    for text in [
        format!(r#"{{"{long}":"c"}}"#),
        format!(r#"{{"find":"c","{long}":1}}"#),
        format!(r#"{{"find":"c","filter":{{"{long}":1,"{long}":1}}}}"#),
        format!(r#"{{"find":"c","filter":{{"$_{long}":1}}}}"#),
        format!(r#"{{"find":"c","filter":{{"{long}":{{"$where":1}}}}}}"#),
        format!(r#"{{"find":"c","filter":{{"a":{{"$numberInt":"{long}"}}}}}}"#),
        format!(r#"{{"find":"c","filter":{{"a":{{"$oid":"{long}"}}}}}}"#),
    ] {
        let frame = refusal(&text);
        assert!(frame.message.chars().count() < 1_000, "{}", frame.message.len());
    }
}
