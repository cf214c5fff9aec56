use bellwether_protocol::ErrorCode;

use super::{parse, refusal};
use crate::command::{CommandName, Kind, MAX_OPERATIONS};

#[test]
fn a_list_is_one_command_of_several() {
    let list = parse(
        r#"{"transaction":[{"find":"a","filter":{},"comment":"own"},{"insert":"b","documents":[{}],"maxTimeMS":5},
            {"count":"c","maxTimeMS":900}],"comment":"all","maxTimeMS":100}"#,
    )
    .unwrap();
    assert!(list.is_list());
    assert_eq!(
        (list.name(), list.collection(), list.kind()),
        ("transaction", "a", Kind::Write)
    );
    let names: Vec<_> = list
        .operations()
        .iter()
        .map(|operation| (operation.name(), operation.collection()))
        .collect();
    assert_eq!(
        names,
        [
            (CommandName::Find, "a"),
            (CommandName::Insert, "b"),
            (CommandName::Count, "c")
        ]
    );
    let comments: Vec<_> = list
        .operations()
        .iter()
        .map(|operation| operation.body().get_str("comment").unwrap())
        .collect();
    assert_eq!(comments, ["own", "all", "all"]);
    let times: Vec<_> = list
        .operations()
        .iter()
        .map(|operation| operation.max_time().unwrap().as_millis())
        .collect();
    assert_eq!(times, [100, 5, 100]);

    let one = parse(r#"{"transaction":[{"find":"a"}]}"#).unwrap();
    assert!(one.is_list());
    assert_eq!(one.kind(), Kind::Read);
    assert_ne!(one.fingerprint(), parse(r#"{"find":"a"}"#).unwrap().fingerprint());
}

#[test]
fn a_wrong_list_is_refused_with_the_place() {
    for (text, code, place) in [
        (r#"{"transaction":[]}"#, ErrorCode::BadCommand, "transaction: "),
        (r#"{"transaction":{}}"#, ErrorCode::BadCommand, "transaction: "),
        (
            r#"{"transaction":[{"find":"c"},1]}"#,
            ErrorCode::BadCommand,
            "transaction[1]: ",
        ),
        (
            r#"{"transaction":[{}]}"#,
            ErrorCode::BadCommand,
            "transaction[0]: ",
        ),
        (
            r#"{"transaction":[{"transaction":[{"find":"c"}]}]}"#,
            ErrorCode::CommandNotAllowed,
            "transaction[0]: ",
        ),
        (
            r#"{"transaction":[{"find":"c"},{"find":"c"},{"find":"c","filter":{"$where":"1"}}]}"#,
            ErrorCode::CommandNotAllowed,
            "transaction[2].filter.$where: ",
        ),
        (
            r#"{"transaction":[{"find":"c","writeConcern":{}}]}"#,
            ErrorCode::CommandNotAllowed,
            "transaction[0]: ",
        ),
        (
            r#"{"transaction":[{"find":"c","maxTimeMS":"1"}]}"#,
            ErrorCode::BadCommand,
            "transaction[0].maxTimeMS: ",
        ),
        (
            r#"{"transaction":[{"find":"system.users"}]}"#,
            ErrorCode::CommandNotAllowed,
            "transaction[0].find: ",
        ),
    ] {
        let frame = refusal(text);
        assert_eq!(frame.code, code, "{text}");
        assert!(frame.message.starts_with(place), "{frame:?}");
    }
    for field in ["writeConcern", "readConcern", "lsid", "let", "filter"] {
        let frame = refusal(&format!(r#"{{"transaction":[{{"find":"c"}}],"{field}":1}}"#));
        assert_eq!(frame.code, ErrorCode::CommandNotAllowed);
        assert!(frame.message.contains(field), "{frame:?}");
    }
    let comment = "x".repeat(2_000);
    let frame = refusal(&format!(
        r#"{{"transaction":[{{"find":"c"}}],"comment":"{comment}"}}"#
    ));
    assert!(frame.message.starts_with("comment: "), "{frame:?}");
    let many = |count: usize| {
        format!(
            r#"{{"transaction":[{}]}}"#,
            vec![r#"{"find":"c"}"#; count].join(",")
        )
    };
    assert_eq!(
        parse(&many(MAX_OPERATIONS)).unwrap().operations().len(),
        MAX_OPERATIONS
    );
    assert_eq!(
        refusal(&many(MAX_OPERATIONS + 1)).code,
        ErrorCode::CommandNotAllowed
    );
}

#[test]
fn what_runs_in_no_transaction_is_for_lists_that_only_read() {
    let union =
        r#"{"aggregate":"c","pipeline":[{"$lookup":{"from":"d","pipeline":[{"$unionWith":"e"}],"as":"x"}}]}"#;
    let alone = parse(union).unwrap();
    assert_eq!((alone.kind(), alone.runs_in_transaction()), (Kind::Read, false));
    let reads = parse(&format!(r#"{{"transaction":[{{"find":"c"}},{union}]}}"#)).unwrap();
    assert_eq!((reads.kind(), reads.runs_in_transaction()), (Kind::Read, false));
    let frame = refusal(&format!(
        r#"{{"transaction":[{{"insert":"c","documents":[{{}}]}},{union}]}}"#
    ));
    assert_eq!(frame.code, ErrorCode::CommandNotAllowed);
    assert!(frame.message.starts_with("transaction[1]: "), "{frame:?}");

    let named = r#"{"aggregate":"c","pipeline":[{"$project":{"a":{"$literal":{"$unionWith":1}}}}]}"#;
    assert!(parse(named).unwrap().runs_in_transaction());
    assert!(
        parse(r#"{"insert":"c","documents":[{"$unionWith":1}]}"#)
            .unwrap()
            .runs_in_transaction()
    );
}

#[test]
fn every_copy_of_a_comment_takes_memory() {
    let list = |comment: &str| {
        let commands = vec![r#"{"find":"a"}"#; MAX_OPERATIONS].join(",");
        parse(&format!(r#"{{"transaction":[{commands}],"comment":{comment}}}"#)).unwrap()
    };
    let arrays = format!("[{}]", vec!["[]"; 100].join(","));
    let added = list(&arrays).memory() - list("0").memory();
    assert!(added > MAX_OPERATIONS * 100 * size_of::<bson::Bson>(), "{added}");
}
