//! The answers of the eight commands, and the effects of a refused one.

use anyhow::{Context, Result};
use bellwether_protocol::{ErrorCode, Outcome};
use bellwether_testkit::ReplicaSet;
use bson::{Document, doc};

use crate::coordinator::{Coordinator, new_id};

#[tokio::test(flavor = "multi_thread")]
async fn executes_the_eight_commands() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_commands").await?;

    let inserted = s1
        .reply(r#"{"insert":"c","documents":[{"_id":1,"a":1},{"_id":2,"a":2},{"_id":3,"a":2}]}"#)
        .await?;
    assert_eq!(
        inserted.to_string(),
        r#"{"n":{"$numberInt":"3"},"ok":{"$numberDouble":"1.0"}}"#
    );

    let found = s1
        .reply(r#"{"find":"c","filter":{"a":2},"sort":{"_id":-1},"projection":{"a":0}}"#)
        .await?;
    assert_eq!(
        found["cursor"].to_string(),
        r#"{"firstBatch":[{"_id":{"$numberInt":"3"}},{"_id":{"$numberInt":"2"}}],"id":{"$numberLong":"0"},"ns":"app_commands.c"}"#
    );

    let updated = s1
        .reply(r#"{"update":"c","updates":[{"q":{"a":2},"u":{"$inc":{"a":1}},"multi":true},{"q":{"_id":9},"u":[{"$set":{"a":9}}],"upsert":true}]}"#)
        .await?;
    assert_eq!(updated["n"]["$numberInt"], "3");
    assert_eq!(updated["nModified"]["$numberInt"], "2");

    let modified = s1
        .reply(r#"{"findAndModify":"c","query":{"_id":1},"update":{"$set":{"b":true}},"new":true}"#)
        .await?;
    assert_eq!(
        modified["value"].to_string(),
        r#"{"_id":{"$numberInt":"1"},"a":{"$numberInt":"1"},"b":true}"#
    );

    for (count, n) in [
        (r#"{"count":"c"}"#, "4"),
        (r#"{"count":"c","query":{"a":3}}"#, "2"),
        (r#"{"count":"c","query":{"a":3},"skip":1,"limit":5}"#, "1"),
        (r#"{"count":"c","limit":-2}"#, "2"),
        (r#"{"count":"nothing"}"#, "0"),
    ] {
        let counted = s1.reply(count).await?;
        let expected = format!(r#"{{"n":{{"$numberInt":"{n}"}},"ok":{{"$numberDouble":"1.0"}}}}"#);
        assert_eq!(counted.to_string(), expected, "{count}");
    }

    let distinct = s1.reply(r#"{"distinct":"c","key":"a"}"#).await?;
    assert_eq!(distinct["values"].as_array().map(Vec::len), Some(3));

    let aggregated = s1
        .reply(r#"{"aggregate":"c","pipeline":[{"$group":{"_id":null,"sum":{"$sum":"$a"}}}],"cursor":{}}"#)
        .await?;
    assert_eq!(aggregated["cursor"]["firstBatch"][0]["sum"]["$numberInt"], "16");

    let deleted = s1
        .reply(r#"{"delete":"c","deletes":[{"q":{},"limit":0}]}"#)
        .await?;
    assert_eq!(deleted["n"]["$numberInt"], "4");

    let counts = s1.pipeline.counts();
    assert_eq!((counts.executed, counts.not_executed, counts.queued), (12, 0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn results_come_whole_and_unchanged() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_results").await?;

    let document = concat!(
        r#"{"_id":{"$oid":"5f3e2d1c0b0a090807060504"},"z":{"$numberInt":"1"},"10":{"$numberLong":"9007199254740993"},"#,
        r#""2":{"$numberDouble":"0.1"},"a":{"$numberDecimal":"0.10"},"bin":{"$binary":{"base64":"AQID","subType":"80"}},"#,
        r#""date":{"$date":{"$numberLong":"-1"}},"re":{"$regularExpression":{"pattern":"^a","options":"i"}},"#,
        r#""ts":{"$timestamp":{"t":1,"i":2}},"js":{"$code":"1"},"jss":{"$code":"x","$scope":{"x":{"$numberInt":"1"}}},"#,
        r#""sym":{"$symbol":"s"},"undef":{"$undefined":true},"min":{"$minKey":1},"max":{"$maxKey":1},"#,
        r#""ptr":{"$dbPointer":{"$ref":"c","$id":{"$oid":"5f3e2d1c0b0a090807060504"}}},"nan":{"$numberDouble":"NaN"},"#,
        r#""inf":{"$numberDouble":"-Infinity"},"null":null,"text":"é\u0000","list":[true,[],{}],"where":{"$where":"data"}}"#
    );
    s1.reply(&format!(r#"{{"insert":"types","documents":[{document}]}}"#))
        .await?;
    let found = s1.reply(r#"{"find":"types"}"#).await?;
    assert_eq!(found["cursor"]["firstBatch"][0].to_string(), document);

    let users = set.client().database("app_results");
    let many = (0..2_500).map(|number| doc! { "_id": number, "text": "x".repeat(1_000) });
    users.collection::<Document>("many").insert_many(many).await?;
    for command in [
        r#"{"find":"many","sort":{"_id":1}}"#,
        r#"{"aggregate":"many","pipeline":[{"$sort":{"_id":1}}]}"#,
    ] {
        let found = s1.reply(command).await?;
        let batch = found["cursor"]["firstBatch"].as_array().context("a batch")?;
        assert_eq!(batch.len(), 2_500);
        for (number, document) in batch.iter().enumerate() {
            assert_eq!(document["_id"]["$numberInt"], number.to_string());
        }
    }

    let more = (2_500..5_000).map(|number| doc! { "_id": number, "text": "x".repeat(1_000) });
    users.collection::<Document>("many").insert_many(more).await?;
    for command in [
        r#"{"find":"many"}"#,
        r#"{"aggregate":"many","pipeline":[]}"#,
        r#"{"distinct":"many","key":"whole"}"#,
    ] {
        if command.contains("distinct") {
            let whole = doc! { "$set": { "whole": { "$concat": ["$text", { "$toString": "$_id" }] } } };
            users
                .collection::<Document>("many")
                .update_many(doc! {}, vec![whole])
                .await?;
        }
        let error = s1.error(command).await;
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::ResultTooLarge, Outcome::NotExecuted)
        );
        assert!(error.hint.is_some());
    }
    let page = s1.reply(r#"{"find":"many","limit":10}"#).await?;
    assert_eq!(page["cursor"]["firstBatch"].as_array().map(Vec::len), Some(10));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_leaves_nothing_behind() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_refused").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;

    let id = new_id();
    let clash = r#"{"insert":"c","documents":[{"_id":2},{"_id":1},{"_id":3}]}"#;
    for _ in 0..2 {
        let error = s1.send(id, clash).await.expect_err("a duplicate key");
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::Mongo, Outcome::NotExecuted)
        );
        let mongo = error.mongo.context("MongoDB's own error")?;
        assert_eq!(
            (mongo.code, mongo.code_name.as_str(), mongo.index),
            (11000, "DuplicateKey", Some(1))
        );
    }
    assert_eq!(s1.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "1");
    // An error is not the command's end: once the cause is gone, the same id executes.
    s1.reply(r#"{"delete":"c","deletes":[{"q":{"_id":1},"limit":1}]}"#)
        .await?;
    let result = s1.send(id, clash).await?;
    assert!(!result.replayed);
    assert_eq!(s1.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "3");

    for (command, code, name) in [
        (r#"{"find":"c","filter":{"$nonsense":1}}"#, 2, "BadValue"),
        (r#"{"find":"c","hint":"no_such_index"}"#, 2, "BadValue"),
        (
            r#"{"update":"c","updates":[{"q":{},"u":{"$set":{"_id":9}}}]}"#,
            66,
            "ImmutableField",
        ),
        (
            r#"{"findAndModify":"c","query":{"_id":2},"update":{"$set":{"_id":9}}}"#,
            66,
            "ImmutableField",
        ),
        (
            r#"{"aggregate":"c","pipeline":[{"$nope":1}]}"#,
            40324,
            "Location40324",
        ),
    ] {
        let error = s1.error(command).await;
        let mongo = error
            .mongo
            .with_context(|| format!("{command}: {}", error.message))?;
        assert_eq!((mongo.code, mongo.code_name.as_str()), (code, name), "{command}");
        assert_eq!(error.outcome, Outcome::NotExecuted);
    }
    Ok(())
}
