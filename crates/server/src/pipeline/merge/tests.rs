use bellwether_protocol::RawJson;

use super::*;
use crate::command::{AllowedCommands, ParsedCommand};

fn commands(texts: &[&str]) -> Vec<ParsedCommand> {
    let read = |text: &&str| {
        let raw = RawJson::object(text).unwrap();
        ParsedCommand::parse(&raw, &AllowedCommands::default()).unwrap()
    };
    texts.iter().map(read).collect()
}

fn slots(commands: &[ParsedCommand]) -> Vec<Slot<'_>> {
    let operations = |(task, command): (usize, &'_ ParsedCommand)| (task, command.operations().len());
    let places: Vec<(usize, usize)> = commands.iter().enumerate().map(operations).collect();
    let mut slots = Vec::new();
    for (task, operations) in places {
        for index in 0..operations {
            let operation = &commands[task].operations()[index];
            slots.push(Slot {
                task,
                index,
                operation,
            });
        }
    }
    slots
}

/// Returns the places of the operations that are sent together.
fn sent_together(texts: &[&str]) -> Vec<Vec<(usize, usize)>> {
    let commands = commands(texts);
    let steps = plan(slots(&commands), true);
    let places = |step: &Step<'_>| match step {
        Step::One(slot) => vec![(slot.task, slot.index)],
        Step::Merged(merged) => merged.slots().map(|slot| (slot.task, slot.index)).collect(),
    };
    steps.iter().map(places).collect()
}

fn merged(texts: &[&str], reply: &Document) -> Option<Vec<Document>> {
    let commands = commands(texts);
    let steps = plan(slots(&commands), true);
    let [Step::Merged(merged)] = &steps[..] else {
        panic!("not one merged command: {steps:?}");
    };
    merged.split(reply)
}

const SET: &str = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$set":{"a":1}}}]}"#;
const UPSERT: &str = r#"{"update":"c","updates":[{"q":{"_id":2},"u":{"$set":{"a":1}},"upsert":true}]}"#;
const TWO: &str = r#"{"update":"c","updates":[{"q":{},"u":{"$inc":{"a":1}}},{"q":{},"u":{"$inc":{"a":1}}}]}"#;
const DELETE: &str = r#"{"delete":"c","deletes":[{"q":{"_id":1},"limit":1}]}"#;

#[test]
fn only_neighbours_that_are_alike_are_merged() {
    let insert = r#"{"insert":"c","documents":[{"a":1}]}"#;
    let unordered = r#"{"insert":"c","documents":[{"a":1},{}],"ordered":false}"#;
    let elsewhere = r#"{"insert":"d","documents":[{"a":1}]}"#;
    let list = r#"{"transaction":[{"insert":"c","documents":[{}]},{"find":"c"}]}"#;
    assert_eq!(
        sent_together(&[
            insert, unordered, elsewhere, insert, list, insert, SET, SET, DELETE, DELETE
        ]),
        [
            vec![(0, 0), (1, 0)],
            vec![(2, 0)],
            vec![(3, 0), (4, 0)],
            vec![(4, 1)],
            vec![(5, 0)],
            vec![(6, 0), (7, 0)],
            vec![(8, 0), (9, 0)],
        ]
    );
    // Each of these has something of its own, or may match more than one document.
    for alone in [
        r#"{"insert":"c","documents":[{"a":1}],"comment":"mine"}"#,
        r#"{"insert":"c","documents":[{"a":1}],"maxTimeMS":5}"#,
        r#"{"insert":"c","documents":[]}"#,
        r#"{"insert":"c","documents":[1]}"#,
        r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}},"multi":true}]}"#,
        r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}}}],"let":{"x":1}}"#,
        r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}},"upsert":1}]}"#,
        r#"{"delete":"c","deletes":[{"q":{},"limit":0}]}"#,
        r#"{"find":"c"}"#,
    ] {
        assert_eq!(sent_together(&[alone, alone]).len(), 2, "{alone}");
    }
}

#[test]
fn nothing_is_merged_when_it_is_not_wanted() {
    let commands = commands(&[SET, SET]);
    assert_eq!(plan(slots(&commands), false).len(), 2);
}

#[test]
fn a_merged_command_holds_all_statements_in_order() {
    let commands = commands(&[SET, TWO, UPSERT]);
    let steps = plan(slots(&commands), true);
    let [Step::Merged(merged)] = &steps[..] else {
        panic!("{steps:?}");
    };
    let expected = doc! { "update": "c", "updates": [
        { "q": { "_id": 1 }, "u": { "$set": { "a": 1 } } },
        { "q": {}, "u": { "$inc": { "a": 1 } } },
        { "q": {}, "u": { "$inc": { "a": 1 } } },
        { "q": { "_id": 2 }, "u": { "$set": { "a": 1 } }, "upsert": true },
    ] };
    assert_eq!(merged.command(), expected);
    let place = |statement| merged.locate(statement).map(|(slot, index)| (slot.task, index));
    assert_eq!(
        [0, 1, 2, 3].map(place),
        [Some((0, 0)), Some((1, 0)), Some((1, 1)), Some((2, 0))]
    );
    assert_eq!([place(4), place(-1)], [None, None]);
}

#[test]
fn totals_are_taken_apart_where_they_leave_no_doubt() {
    let one = |n: i32, modified: i32| doc! { "n": n, "nModified": modified, "ok": 1.0 };
    let split = |n: i32, modified: i32| merged(&[SET, TWO], &one(n, modified));
    assert_eq!(split(3, 3), Some(vec![one(1, 1), one(2, 2)]));
    assert_eq!(split(3, 0), Some(vec![one(1, 0), one(2, 0)]));
    assert_eq!(split(0, 0), Some(vec![one(0, 0), one(0, 0)]));
    // One matched, or one was changed: it is not known which one.
    assert_eq!(split(1, 1), None);
    assert_eq!(split(3, 2), None);

    let insert = r#"{"insert":"c","documents":[{},{}]}"#;
    let inserted = |n: i32| doc! { "n": n, "ok": 1.0 };
    assert_eq!(
        merged(&[insert, insert], &inserted(4)),
        Some(vec![inserted(2), inserted(2)])
    );
    assert_eq!(
        merged(&[DELETE, DELETE], &inserted(2)),
        Some(vec![inserted(1), inserted(1)])
    );
    assert_eq!(merged(&[DELETE, DELETE], &inserted(1)), None);
    assert_eq!(merged(&[DELETE, DELETE], &doc! { "ok": 1.0 }), None);
}

#[test]
fn upserts_are_known_by_their_place() {
    let reply = doc! {
        "n": 4, "upserted": [{ "index": 1, "_id": 2 }, { "index": 3, "_id": "x" }], "nModified": 2, "ok": 1.0,
    };
    let expected = [
        doc! { "n": 1, "nModified": 1, "ok": 1.0 },
        doc! { "n": 1, "upserted": [{ "index": 0, "_id": 2 }], "nModified": 0, "ok": 1.0 },
        doc! { "n": 1, "nModified": 1, "ok": 1.0 },
        doc! { "n": 1, "upserted": [{ "index": 0, "_id": "x" }], "nModified": 0, "ok": 1.0 },
    ];
    assert_eq!(
        merged(&[SET, UPSERT, UPSERT, UPSERT], &reply).as_deref(),
        Some(&expected[..])
    );
    // An upsert that inserted nothing has matched, so the other statement has not.
    let reply = doc! { "n": 1, "nModified": 0, "ok": 1.0 };
    let expected = [
        doc! { "n": 0, "nModified": 0, "ok": 1.0 },
        doc! { "n": 1, "nModified": 0, "ok": 1.0 },
    ];
    assert_eq!(merged(&[SET, UPSERT], &reply).as_deref(), Some(&expected[..]));
}
