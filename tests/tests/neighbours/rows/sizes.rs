//! Every limit of size.

use anyhow::{Result, ensure};
use bellwether_protocol::ServerFrame;
use bson::doc;

use crate::caller::{Caller, Spot};
use crate::row::Expected::{Executed, ExecutedOrMongo, ExecutedOrTooMuch, Mongo};
use crate::row::{Row, shown};

const TOO_LARGE: i32 = 10334;

pub(crate) fn rows() -> Vec<Row> {
    let megabyte = "x".repeat(1_000_000);
    let large = doc! { "_id": 1, "text": &megabyte };
    let times = |count: usize| vec![r#""$text""#; count].join(",");
    let grow = |count: usize| {
        format!(
            r#"{{"update":"BAD","updates":[{{"q":{{"_id":1}},"u":[{{"$set":{{"x":[{}]}}}}]}}]}}"#,
            times(count)
        )
    };
    // A document with 12 MB in addition to the 3 MB of its id: the statement passes, and the commit
    // does not.
    let made_id = format!(
        r#"{{"update":"BAD","updates":[{{"q":{{"n":5}},"u":[{{"$set":{{"t":{0}}}}},{{"$replaceWith":{{"_id":{{"$concat":["$t","$t","$t"]}},"x":["$t","$t","$t","$t","$t","$t","$t","$t","$t","$t","$t","$t"]}}}}],"upsert":true}}]}}"#,
        doubled(20)
    );
    vec![
        Row::new("a_document_of_17_megabytes", vec![(grow(17), Mongo(TOO_LARGE, "BSONObjectTooLarge")); 4]).document(large.clone()),
        Row::new("find_and_modify_to_17_megabytes", vec![(format!(r#"{{"findAndModify":"BAD","query":{{"_id":1}},"update":[{{"$set":{{"x":[{}]}}}}]}}"#, times(17)), Mongo(TOO_LARGE, "BSONObjectTooLarge")); 4]).document(large.clone()),
        Row::new("push_beyond_16_megabytes", vec![(r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":[{"$set":{"a":["$text","$text","$text","$text","$text","$text","$text","$text"]}},{"$set":{"b":["$a","$a"]}}]}]}"#, Mongo(TOO_LARGE, "BSONObjectTooLarge")); 2]).document(large.clone()),
        Row::new("an_aggregate_of_17_megabytes", vec![(format!(r#"{{"aggregate":"BAD","pipeline":[{{"$set":{{"x":[{}]}}}}]}}"#, times(17)), Mongo(TOO_LARGE, "BSONObjectTooLarge")); 4]).document(large.clone()),
        Row::new("an_id_of_3_megabytes", vec![(made_id, Mongo(TOO_LARGE, "BSONObjectTooLarge")); 2]).rounds(1),
        Row::program("replies_too_large_together", |spot| Box::pin(together(spot))),
        Row::new("replies_too_large_to_keep", (0..20).map(|number| (upsert(number + 1000, 200_000), Executed))).rounds(1),
        many_large().rounds(1),
        Row::new("an_index_key_of_a_megabyte", vec![(format!(r#"{{"insert":"BAD","documents":[{{"a":"{}"}}]}}"#, "é".repeat(400_000)), Executed); 2]).before(r#"{"createIndexes":"BAD","indexes":[{"key":{"a":1},"name":"a"}]}"#),
        Row::new("ten_thousand_documents", vec![(many_documents(10_000), Executed); 4]).rounds(1),
        Row::new("ten_thousand_statements_of_which_the_last_fails", vec![(many_statements(9_000), Mongo(14, "TypeMismatch")); 2]).document(doc! { "_id": 1, "text": "x" }).rounds(1),
        Row::new("a_sort_beyond_its_memory", vec![(r#"{"aggregate":"BAD","pipeline":[{"$set":{"y":{"$range":[0,200]}}},{"$unwind":"$y"},{"$sort":{"text":1,"y":1}},{"$count":"n"}],"allowDiskUse":false}"#, Mongo(292, "QueryExceededMemoryLimitNoDiskUseAllowed")); 2]).document(large.clone()),
        Row::new("a_group_beyond_its_memory", vec![(r#"{"aggregate":"BAD","pipeline":[{"$set":{"y":{"$range":[0,200]}}},{"$unwind":"$y"},{"$group":{"_id":null,"all":{"$push":{"a":"$text","b":"$y"}}}}],"allowDiskUse":false}"#, ExecutedOrMongo(146)); 2]).document(large),
    ]
}

/// Sends many upserts whose replies are each small enough to be kept, and too large together for
/// one document of records. One connection alone cannot have this many commands waiting.
async fn together(spot: Spot) -> Result<()> {
    let mut callers = Vec::new();
    for _ in 0..5 {
        callers.push(Caller::open(&spot.url).await?);
    }
    let mut sent = Vec::new();
    for number in 0..260 {
        let place = number % callers.len();
        let id = callers[place]
            .send(&spot.own(&upsert(number, 60_000)), Some(60_000))
            .await?;
        sent.push((place, id));
    }
    for (place, id) in sent {
        let answer = callers[place].answer(id).await?;
        ensure!(matches!(answer, ServerFrame::Result(_)), "{}", shown(&answer));
    }
    Ok(())
}

/// Returns an expression for a text of 2^`times` bytes.
fn doubled(times: usize) -> String {
    format!(
        r#"{{"$reduce":{{"input":{{"$range":[0,{times}]}},"initialValue":"x","in":{{"$concat":["$$value","$$value"]}}}}}}"#
    )
}

/// Returns an upsert whose reply has an id of this number of bytes.
fn upsert(number: usize, bytes: usize) -> String {
    format!(
        r#"{{"update":"BAD","updates":[{{"q":{{"n":{number}}},"u":[{{"$set":{{"_id":{{"$concat":["{number} ",{}]}}}}}}],"upsert":true}}]}}"#,
        format_args!(
            r#"{{"$reduce":{{"input":{{"$range":[0,{}]}},"initialValue":"","in":{{"$concat":["$$value","{}"]}}}}}}"#,
            bytes / 1000,
            "y".repeat(1000)
        )
    )
}

/// Returns the row with more in one transaction than MongoDB's cache takes.
fn many_large() -> Row {
    let mut row = Row::new(
        "an_update_of_more_than_the_cache_takes",
        vec![(
            r#"{"update":"BAD","updates":[{"q":{},"u":[{"$set":{"text":{"$concat":["$text","$text","$text"]}}}],"multi":true}]}"#,
            ExecutedOrTooMuch,
        )],
    );
    for number in 0..40 {
        row = row.document(doc! { "_id": number, "text": "x".repeat(1_000_000) });
    }
    row
}

fn many_documents(count: usize) -> String {
    let documents = vec![r#"{"a":1}"#; count].join(",");
    format!(r#"{{"insert":"BAD","documents":[{documents}]}}"#)
}

fn many_statements(count: usize) -> String {
    let statements = vec![r#"{"q":{"_id":1},"u":{"$inc":{"n":1}}}"#; count].join(",");
    format!(r#"{{"update":"BAD","updates":[{statements},{{"q":{{"_id":1}},"u":{{"$inc":{{"text":1}}}}}}]}}"#)
}
