//! Replies that are not UTF-8, that are too large, or that take long to write.

use anyhow::{Result, ensure};
use bellwether_protocol::{ErrorCode, Outcome, ServerFrame};
use bson::{RawDocumentBuf, doc};

use crate::caller::{Caller, Spot};
use crate::row::Expected::{self, Executed, Refused};
use crate::row::{Row, shown};

pub(crate) fn rows() -> Vec<Row> {
    let too_large = Refused(ErrorCode::ResultTooLarge);
    let regex = |command: &str| command.replace("REGEX", r#"{"$regexFind":{"input":"é","regex":"\\C"}}"#);
    let numbers = |count: usize, expected: Expected, number: &str| {
        let command = format!(
            r#"{{"aggregate":"BAD","pipeline":[{{"$project":{{"x":{{"$map":{{"input":{{"$range":[0,{count}]}},"in":{number}}}}}}}}}]}}"#
        );
        vec![(command, expected); 4]
    };
    let one = doc! { "_id": 1, "text": "x".repeat(1_000_000) };
    vec![
        Row::program("find_and_modify_of_half_a_character", |spot| Box::pin(half_a_character(spot))),
        Row::program("a_stored_text_that_is_not_utf8", |spot| Box::pin(not_utf8(spot))),
        Row::new("numbers_of_seven_megabytes_of_json", numbers(340_000, Executed, r#""$$this""#)).document(doc! { "_id": 1 }).rounds(1),
        Row::new("numbers_that_are_too_many", numbers(600_000, too_large.clone(), r#""$$this""#)).document(doc! { "_id": 1 }).rounds(1),
        Row::new("half_a_million_nulls", numbers(490_000, Executed, "null")).document(doc! { "_id": 1 }).rounds(1),
        Row::new("find_too_large", vec![(r#"{"find":"BAD"}"#, too_large.clone()); 4]).documents(five()).rounds(1),
        Row::new("aggregate_just_too_large", vec![(just_over(), too_large.clone()); 2]).document(doc! { "_id": 1 }).rounds(1),
        Row::new("aggregate_of_one_large_document", vec![(r#"{"aggregate":"BAD","pipeline":[{"$set":{"x":["$text","$text","$text","$text","$text"]}}]}"#, too_large.clone()); 4]).document(one.clone()).rounds(1),
        Row::new("distinct_too_large", vec![(r#"{"distinct":"BAD","key":"text"}"#, too_large.clone()); 4]).documents(five()).rounds(1),
        Row::new("find_and_modify_too_large", vec![(r#"{"findAndModify":"BAD","query":{"_id":1},"update":[{"$set":{"x":["$text","$text","$text","$text","$text"]}}],"new":true}"#, too_large); 4]).document(one).rounds(1),
        Row::new("half_a_character_in_an_aggregate", vec![(regex(r#"{"aggregate":"BAD","pipeline":[{"$set":{"x":REGEX}}]}"#), Executed); 4]).document(doc! { "_id": 1 }),
    ]
}

/// Documents of a megabyte each, that differ.
fn five() -> impl Iterator<Item = bson::Document> {
    (1..6).map(|number| doc! { "_id": number, "text": number.to_string().repeat(1_000_000) })
}

/// Makes a command with a reply of 4 MiB and a little.
fn just_over() -> String {
    let text = "x".repeat(1000);
    format!(
        r#"{{"aggregate":"BAD","pipeline":[{{"$project":{{"x":{{"$map":{{"input":{{"$range":[0,4200]}},"in":"{text}"}}}}}}}}]}}"#
    )
}

/// Returns `true` for a reply, with another character in the place of invalid bytes, or for a final
/// error.
fn is_final(answer: &ServerFrame) -> bool {
    match answer {
        ServerFrame::Result(_) => true,
        ServerFrame::Error(error) => {
            [ErrorCode::Mongo, ErrorCode::BadCommand].contains(&error.code)
                && error.outcome == Outcome::NotExecuted
        }
        _ => false,
    }
}

async fn half_a_character(spot: Spot) -> Result<()> {
    let mut caller = Caller::open(&spot.url).await?;
    let command = r#"{"findAndModify":"BAD","query":{"_id":1},"upsert":true,"update":[{"$set":{"m":{"$regexFind":{"input":"é","regex":"\\C"}}}}],"new":true}"#;
    for _ in 0..20 {
        let answer = caller.ask(&spot.own(command)).await?;
        ensure!(is_final(&answer), "{}", shown(&answer));
    }
    Ok(())
}

async fn not_utf8(spot: Spot) -> Result<()> {
    // A document of which another program has made one text invalid.
    let mut bytes = doc! { "_id": 1, "deep": { "text": "abc" } }.to_vec()?;
    let place = bytes.windows(3).position(|window| window == b"abc");
    let place = place.ok_or_else(|| anyhow::anyhow!("the text is not there"))?;
    bytes[place + 1] = 0xff;
    let document = RawDocumentBuf::from_bytes(bytes)?;
    let collection = spot
        .mongodb
        .database("app")
        .collection::<RawDocumentBuf>(&spot.collection);
    collection.insert_one(document).await?;
    let mut caller = Caller::open(&spot.url).await?;
    for command in [
        r#"{"find":"BAD"}"#,
        r#"{"find":"BAD","filter":{"_id":1}}"#,
        r#"{"aggregate":"BAD","pipeline":[]}"#,
        r#"{"distinct":"BAD","key":"deep.text"}"#,
        r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"a":1}}}"#,
        r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$set":{"a":2}},"new":true}"#,
    ] {
        for _ in 0..3 {
            let answer = caller.ask(&spot.own(command)).await?;
            ensure!(is_final(&answer), "{command}: {}", shown(&answer));
        }
    }
    Ok(())
}
