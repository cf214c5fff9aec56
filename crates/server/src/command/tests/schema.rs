use bellwether_protocol::ErrorCode;

use super::{parse_with, refusal};
use crate::command::{AllowedCommands, Kind};

#[test]
fn schema_commands_are_behind_a_switch() {
    let allowed_commands = AllowedCommands { schema: true };
    for text in [
        r#"{"listCollections":1,"nameOnly":true}"#,
        r#"{"listIndexes":"c"}"#,
        r#"{"create":"c"}"#,
        r#"{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a"}]}"#,
        r#"{"drop":"c"}"#,
        r#"{"dropIndexes":"c","index":"a"}"#,
    ] {
        let frame = refusal(text);
        assert_eq!(frame.code, ErrorCode::CommandNotAllowed, "{text}");
        assert!(frame.hint.is_some_and(|hint| hint.contains("--allow-schema")));
        assert_eq!(
            parse_with(text, &allowed_commands).unwrap().kind(),
            Kind::Schema,
            "{text}"
        );
        let listed = format!(r#"{{"transaction":[{text}]}}"#);
        let frame = parse_with(&listed, &allowed_commands).expect_err(text);
        assert_eq!(frame.code, ErrorCode::CommandNotAllowed, "{text}");
    }
}

#[test]
fn what_a_collection_and_an_index_may_be_given() {
    let allowed_commands = AllowedCommands { schema: true };
    for text in [
        r#"{"create":"c","collation":{"locale":"de"},"validator":{"a":{"$gt":1}},"validationLevel":"strict","validationAction":"error"}"#,
        r#"{"create":"c","validator":{"$jsonSchema":{"required":["a"]}},"comment":"x","maxTimeMS":50}"#,
        r#"{"create":"c","clusteredIndex":{"key":{"_id":1},"unique":true},"expireAfterSeconds":60}"#,
        r#"{"create":"v","viewOn":"c","pipeline":[{"$lookup":{"from":"d","localField":"a","foreignField":"a","as":"d"}}]}"#,
        r#"{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a","unique":true,"partialFilterExpression":{"a":{"$gt":1}}}]}"#,
        r#"{"createIndexes":"c","indexes":[{"key":{"$**":"text"},"name":"t","weights":{"a":2}},{"key":{"g":"2dsphere"},"name":"g"}]}"#,
        r#"{"dropIndexes":"c","index":["a","b"]}"#,
        r#"{"listCollections":1,"filter":{"type":"view"},"nameOnly":true,"cursor":{}}"#,
        r#"{"listIndexes":"c","cursor":{}}"#,
    ] {
        assert!(
            parse_with(text, &allowed_commands).is_ok(),
            "{text}: {:?}",
            parse_with(text, &allowed_commands)
        );
    }
    for (text, says) in [
        (r#"{"create":"c","capped":true,"size":1000}"#, "capped"),
        (r#"{"create":"c","timeseries":{"timeField":"t"}}"#, "timeseries"),
        (r#"{"create":"c","storageEngine":{}}"#, "storageEngine"),
        (r#"{"create":"system.js"}"#, "create: "),
        (r#"{"create":"v","viewOn":"system.users"}"#, "viewOn: "),
        (
            r#"{"create":"v","viewOn":"c","pipeline":[{"$lookup":{"from":{"db":"d","coll":"e"},"as":"x"}}]}"#,
            "pipeline[0].$lookup.from: ",
        ),
        (
            r#"{"create":"v","viewOn":"c","pipeline":[{"$unionWith":"d"}]}"#,
            "$unionWith",
        ),
        (
            r#"{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a"}],"commitQuorum":1}"#,
            "commitQuorum",
        ),
        (
            r#"{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a"},{"key":{"b":1},"storageEngine":{}}]}"#,
            "indexes[1]: ",
        ),
        (r#"{"drop":"c","writeConcern":{"w":1}}"#, "writeConcern"),
        (r#"{"drop":"c","collectionUUID":1}"#, "collectionUUID"),
        (r#"{"listCollections":1,"cursor":{"batchSize":1}}"#, "cursor: "),
        (
            r#"{"listCollections":1,"authorizedCollections":true}"#,
            "authorizedCollections",
        ),
        (r#"{"dropDatabase":1}"#, "dropDatabase"),
        (r#"{"renameCollection":"app.c","to":"app.d"}"#, "renameCollection"),
    ] {
        let frame = parse_with(text, &allowed_commands).expect_err(text);
        assert_eq!(frame.code, ErrorCode::CommandNotAllowed, "{text}");
        assert!(frame.message.contains(says), "{frame:?}");
    }
    for text in [
        r#"{"create":"v","viewOn":{"a":1}}"#,
        r#"{"createIndexes":"c"}"#,
        r#"{"createIndexes":"c","indexes":{}}"#,
        r#"{"listCollections":"c"}"#,
        r#"{"drop":1}"#,
    ] {
        let frame = parse_with(text, &allowed_commands).expect_err(text);
        assert_eq!(frame.code, ErrorCode::BadCommand, "{text}");
    }
}
