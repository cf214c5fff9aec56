//! A read-only command reads at one moment. It delays no other command, sees every write that was
//! answered before, and is consistent.

use std::time::Duration;

use anyhow::{Context, Result};
use bellwether_protocol::{ErrorCode, Outcome};
use bellwether_server::SourceId;
use bellwether_testkit::{FailPoint, ReplicaSet};
use bson::{Bson, Document, bson, doc};
use mongodb::options::{Collation, CollationStrength, WriteConcern};
use tokio::sync::oneshot::error::TryRecvError;

use crate::coordinator::{Coordinator, in_a_while, new_id, parse};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_read_delays_nobody() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_slow").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    let data = doc! {
        "failCommands": ["aggregate"],
        "appName": "bellwether",
        "blockConnection": true,
        "blockTimeMS": 5000,
    };
    let held = FailPoint::times(set.client(), "failCommand", 1, data).await?;
    let source = SourceId::new();
    let count = parse(r#"{"count":"c"}"#)?;
    let mut slow = s1.pipeline.submit(source, new_id(), count, in_a_while())?;
    held.entered().await?;

    // Its own connection's commands go on as well.
    let insert = parse(r#"{"insert":"c","documents":[{"_id":2}]}"#)?;
    s1.pipeline
        .submit(source, new_id(), insert, in_a_while())?
        .await??;
    let found = s1.reply(r#"{"find":"c"}"#).await?;
    assert_eq!(found["cursor"]["firstBatch"].as_array().map(Vec::len), Some(2));
    assert!(
        matches!(slow.try_recv(), Err(TryRecvError::Empty)),
        "it is still read"
    );
    let reply: serde_json::Value = serde_json::from_str(slow.await??.result.as_str())?;
    assert_eq!(reply["n"]["$numberInt"], "1", "as it was at its moment");
    Ok(())
}

/// Reads that wait for MongoDB hold the driver's connections. They must not hold all of them.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_slow_reads_delay_no_write() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_many_slow").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    let data = doc! {
        "failCommands": ["aggregate"],
        "appName": "bellwether",
        "blockConnection": true,
        "blockTimeMS": 3000,
    };
    let held = FailPoint::on(set.client(), "failCommand", data).await?;
    let mut slow = Vec::new();
    for _ in 0..40 {
        let count = parse(r#"{"count":"c"}"#)?;
        slow.push(
            s1.pipeline
                .submit(SourceId::new(), new_id(), count, in_a_while())?,
        );
    }
    // As many as the driver holds connections by default.
    held.entered_by(10).await?;

    s1.reply(r#"{"insert":"c","documents":[{"_id":2}]}"#).await?;
    assert!(
        slow.iter_mut()
            .all(|slow| matches!(slow.try_recv(), Err(TryRecvError::Empty))),
        "they are still read"
    );
    held.off().await?;
    for slow in slow {
        slow.await??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_has_seen_all_that_was_answered_before() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_seen").await?;
    let direct = set.client().database("app_seen").collection::<Document>("c");
    for n in 0..60 {
        // By the pipeline, and by a program that writes to MongoDB directly.
        if n % 2 == 0 {
            s1.reply(&format!(r#"{{"insert":"c","documents":[{{"_id":{n}}}]}}"#))
                .await?;
        } else {
            direct
                .insert_one(doc! { "_id": n })
                .write_concern(WriteConcern::majority())
                .await?;
        }
        let count = s1.reply(r#"{"count":"c"}"#).await?;
        assert_eq!(count["n"]["$numberInt"], (n + 1).to_string());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_one_command() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_list").await?;
    let set_up = r#"{"transaction":[
        {"insert":"a","documents":[{"_id":1,"n":0}]},
        {"insert":"b","documents":[{"_id":1,"n":0}]}]}"#;
    let reply = s1.reply(set_up).await?;
    assert_eq!(reply["results"][1]["n"]["$numberInt"], "1", "{reply}");

    // Both change together, and each client that reads both sees that.
    let change = r#"{"transaction":[
        {"update":"a","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]},
        {"update":"b","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}]}"#;
    let read = r#"{"transaction":[{"find":"a"},{"find":"b"}]}"#;
    let mut changes = Vec::new();
    let mut reads = Vec::new();
    for _ in 0..40 {
        let (id, command) = (new_id(), parse(change)?);
        changes.push(s1.pipeline.submit(SourceId::new(), id, command, in_a_while())?);
        let (id, command) = (new_id(), parse(read)?);
        reads.push(s1.pipeline.submit(SourceId::new(), id, command, in_a_while())?);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for change in changes {
        change.await??;
    }
    for read in reads {
        let reply: serde_json::Value = serde_json::from_str(read.await??.result.as_str())?;
        let n = |which: usize| reply["results"][which]["cursor"]["firstBatch"][0]["n"].clone();
        assert_eq!(n(0), n(1), "{reply}");
    }

    // A failing one leaves no effect, and the error names it.
    let half = r#"{"transaction":[
        {"insert":"a","documents":[{"_id":2}]},
        {"insert":"b","documents":[{"_id":1}]}]}"#;
    let error = s1.error(half).await;
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Mongo, Outcome::NotExecuted)
    );
    let mongo = error.mongo.context("MongoDB's error")?;
    assert_eq!(
        (mongo.code, mongo.command, mongo.index),
        (11000, Some(1), Some(0))
    );
    assert_eq!(s1.reply(r#"{"count":"a"}"#).await?["n"]["$numberInt"], "1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_does_not_touch_the_others() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_apart").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    let commands = [
        (r#"{"find":"c"}"#, true),
        (r#"{"find":"c","filter":{"$bad":1}}"#, false),
        (r#"{"insert":"c","documents":[{"_id":1}]}"#, false),
        (r#"{"insert":"c","documents":[{"_id":2}]}"#, true),
        (
            r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$bad":1}}]}"#,
            false,
        ),
        (r#"{"insert":"c","documents":[{"_id":3}]}"#, true),
        (r#"{"aggregate":"c","pipeline":[{"$match":{}}]}"#, true),
    ];
    let mut answers = Vec::new();
    for (command, good) in commands {
        let answer = s1
            .pipeline
            .submit(SourceId::new(), new_id(), parse(command)?, in_a_while())?;
        answers.push((command, good, answer));
    }
    for (command, good, answer) in answers {
        let answer = answer.await?;
        assert_eq!(answer.is_ok(), good, "{command}: {answer:?}");
        if let Err(error) = answer {
            assert_eq!(
                (error.code, error.outcome),
                (ErrorCode::Mongo, Outcome::NotExecuted)
            );
        }
    }
    assert_eq!(s1.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "3");
    Ok(())
}

/// Finds by `_id` are put together, whatever equality means in the collection.
#[tokio::test(flavor = "multi_thread")]
async fn finds_put_together_find_what_each_finds_alone() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_points").await?;
    let users = set.client().database("app_points");
    let any_case = Collation::builder()
        .locale("en")
        .strength(CollationStrength::Secondary)
        .build();
    users.create_collection("c").collation(any_case).await?;
    s1.reply(
        r#"{"insert":"c","documents":[
            {"_id":"a"},{"_id":"b","n":1},{"_id":5.0},{"_id":6},{"_id":{"$numberLong":"7"}},{"_id":true},
            {"_id":{"$oid":"65a1b2c3d4e5f60718293a4b"}},{"_id":{"$date":"2026-01-01T00:00:00Z"}}]}"#,
    )
    .await?;
    let ids = [
        r#""a""#,
        r#""A""#,
        r#""b""#,
        r#""B""#,
        r#""missing""#,
        "5",
        "6",
        r#"{"$numberDouble":"6.0"}"#,
        "7",
        "8",
        "true",
        r#"{"$oid":"65a1b2c3d4e5f60718293a4b"}"#,
        r#"{"$date":"2026-01-01T00:00:00Z"}"#,
        r#"{"$gt":6}"#,
        "null",
    ];
    let mut finds: Vec<String> = ids
        .map(|id| format!(r#"{{"find":"c","filter":{{"_id":{id}}}}}"#))
        .to_vec();
    finds.extend(finds.clone());
    finds.push(r#"{"find":"c","filter":{"_id":"b"},"limit":1}"#.to_owned());
    finds.push(r#"{"find":"c","filter":{"_id":"b"},"projection":{"_id":0}}"#.to_owned());
    finds.push(r#"{"find":"none","filter":{"_id":"b"}}"#.to_owned());

    // A first one, whose batch the others wait for.
    let mut together = Vec::new();
    for find in finds.iter().take(1).chain(&finds) {
        let answer = s1
            .pipeline
            .submit(SourceId::new(), new_id(), parse(find)?, in_a_while())?;
        together.push(answer);
    }
    for (find, together) in finds.iter().take(1).chain(&finds).zip(together) {
        let together = together.await??;
        let alone = s1.send(new_id(), find).await?;
        assert_eq!(together.result.as_str(), alone.result.as_str(), "{find}");
    }
    Ok(())
}

/// Finds by `_id` are put together, and one of them takes long: a view can do that.
#[tokio::test(flavor = "multi_thread")]
async fn finds_put_together_do_not_wait_for_a_slow_one() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_slow_point").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":"slow"},{"_id":"a"},{"_id":"b"}]}"#)
        .await?;
    let mut takes_long = Bson::Int32(1);
    for _ in 0..4 {
        takes_long = bson!({ "$reduce": {
            "input": { "$range": [0, 1000] },
            "initialValue": 0,
            "in": takes_long,
        }});
    }
    let is_other = doc! { "$ne": ["$_id", "slow"] };
    let filter = doc! { "$match": { "$expr": { "$or": [is_other, { "$eq": [takes_long, 2] }] } } };
    let users = set.client().database("app_slow_point");
    users
        .create_collection("view")
        .view_on("c".to_owned())
        .pipeline(vec![filter])
        .await?;
    let mut all = Vec::new();
    for id in ["slow", "a", "slow", "b", "a"] {
        let find = parse(&format!(r#"{{"find":"view","filter":{{"_id":"{id}"}}}}"#))?;
        let answer = s1
            .pipeline
            .submit(SourceId::new(), new_id(), find, in_a_while())?;
        all.push((id, answer));
    }
    let (slow, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(id, _)| *id == "slow");
    for (id, answer) in others {
        let reply = answer.await??;
        assert!(reply.result.as_str().contains(id), "{}", reply.result.as_str());
    }
    // Their client leaves, and so the server has MongoDB end them.
    drop(slow);
    Ok(())
}
