//! The command of one client has no effect on the outcome of another's: the command at fault fails
//! alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome};
use bellwether_server::{Answer, SourceId};
use bellwether_testkit::{FailPoint, ReplicaSet};
use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use tokio::time::{Instant, sleep};

use crate::coordinator::{Coordinator, new_id, parse};

/// Submits the command that is at fault together with innocent ones of other sources, several
/// times, and returns its last answer. Every innocent command must be executed.
async fn beside_innocents(s1: &Coordinator, bad: &str) -> Result<Answer> {
    let mut last = None;
    for round in 0..3 {
        let deadline = Instant::now() + Duration::from_secs(20);
        let submit = |command: &str| {
            s1.pipeline
                .submit(SourceId::new(), new_id(), parse(command)?, deadline)
        };
        let mut innocents = Vec::new();
        let mut at_fault = None;
        for n in 0..24 {
            if n == 7 {
                at_fault = Some(submit(bad)?);
            }
            innocents.push(submit(&format!(
                r#"{{"insert":"innocent","documents":[{{"round":{round},"n":{n}}}]}}"#
            ))?);
            innocents.push(submit(r#"{"find":"innocent","filter":{"n":1},"limit":1}"#)?);
        }
        for innocent in innocents {
            innocent.await?.context("an innocent command")?;
        }
        last = Some(at_fault.context("it was submitted")?.await?);
    }
    last.context("there were rounds")
}

/// Does the same, for a command that MongoDB refuses.
async fn refused_beside_innocents(s1: &Coordinator, bad: &str) -> Result<ErrorFrame> {
    let error = beside_innocents(s1, bad).await?.expect_err(bad);
    ensure!(error.outcome == Outcome::NotExecuted, "{error:?}");
    Ok(error)
}

/// MongoDB cuts values in its messages at 150 bytes, also inside a character.
#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_not_utf8_are_the_error_of_their_command() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_cut").await?;
    s1.reply(r#"{"createIndexes":"c","indexes":[{"key":{"name":1},"name":"name","unique":true}]}"#)
        .await?;
    for character in ["é", "日", "🦀"] {
        for ascii in 0..character.len() {
            let text = format!("{}{}", "x".repeat(ascii), character.repeat(100));
            let name = Bson::from(&*text).into_relaxed_extjson();
            s1.reply(&format!(
                r#"{{"insert":"c","documents":[{{"_id":{name},"name":{name}}}]}}"#
            ))
            .await?;
            let mongo_code = async |command: String| -> Result<i32> {
                let error = refused_beside_innocents(&s1, &command).await?;
                ensure!(error.code == ErrorCode::Mongo, "{error:?}");
                Ok(error.mongo.context("MongoDB's error")?.code)
            };
            let insert = format!(r#"{{"insert":"c","documents":[{{"name":{name}}}]}}"#);
            assert_eq!(mongo_code(insert).await?, 11000);
            let increment = format!(
                r#"{{"update":"c","updates":[{{"q":{{"_id":{name}}},"u":{{"$inc":{{"name":1}}}}}}]}}"#
            );
            assert_eq!(mongo_code(increment).await?, 14);
            let rename = format!(
                r#"{{"findAndModify":"c","query":{{"_id":{name}}},"update":{{"$set":{{"_id":1}}}}}}"#
            );
            assert_eq!(mongo_code(rename).await?, 66);
            let upsert = format!(
                r#"{{"findAndModify":"c","query":{{"_id":"new"}},"update":{{"$set":{{"name":{name}}}}},"upsert":true}}"#
            );
            assert_eq!(mongo_code(upsert).await?, 11000);
            let convert = format!(
                r#"{{"aggregate":"c","pipeline":[{{"$project":{{"d":{{"$dateFromString":{{"dateString":{name}}}}}}}}}]}}"#
            );
            assert_eq!(mongo_code(convert).await?, 241);
            let below = format!(
                r#"{{"update":"c","updates":[{{"q":{{"_id":{name}}},"u":{{"$set":{{"name.a":1}}}}}}]}}"#
            );
            assert_eq!(mongo_code(below).await?, 28);
        }
    }
    let same = "日".repeat(80);
    s1.reply(&format!(
        r#"{{"insert":"i","documents":[{{"_id":1,"t":"{same}"}},{{"_id":2,"t":"{same}"}}]}}"#
    ))
    .await?;
    let unique = r#"{"createIndexes":"i","indexes":[{"key":{"t":1},"name":"t","unique":true}]}"#;
    let error = refused_beside_innocents(&s1, unique).await?;
    assert_eq!(error.mongo.context("MongoDB's error")?.code, 11000);
    Ok(())
}

/// MongoDB stores any bytes as a string.
#[tokio::test(flavor = "multi_thread")]
async fn stored_text_that_is_not_utf8_is_read_with_the_replacement_character() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_bytes").await?;
    let make = r#"{"findAndModify":"c","query":{"_id":1},"upsert":true,"new":true,
        "update":[{"$set":{"m":{"$regexFind":{"input":"é","regex":"\\C"}}}}]}"#;
    let made = beside_innocents(&s1, make).await?.context("it is executed")?;
    assert!(made.result.as_str().contains("\u{fffd}"), "{}", made.result);

    // As another program writes it.
    let mut bytes = doc! { "_id": "xx", "field": "xx", "list": ["xx", { "xx": 1 }] }.to_vec()?;
    for at in 0..bytes.len() - 1 {
        if &bytes[at..at + 2] == b"xx" {
            bytes[at] = 0xff;
        }
    }
    let raw = RawDocumentBuf::from_bytes(bytes)?;
    let insert = rawdoc! { "insert": "d", "documents": [raw] };
    set.client().database("app_bytes").run_raw_command(insert).await?;
    for read in [
        r#"{"find":"d"}"#,
        r#"{"aggregate":"d","pipeline":[]}"#,
        r#"{"distinct":"d","key":"field"}"#,
        r#"{"transaction":[{"find":"d"},{"count":"d"}]}"#,
    ] {
        let reply = beside_innocents(&s1, read).await?.context(read)?;
        assert!(reply.result.as_str().contains("\u{fffd}x"), "{}", reply.result);
    }
    let id = new_id();
    let modify = r#"{"findAndModify":"d","query":{},"update":{"$set":{"a":1}}}"#;
    let first = s1.send(id, modify).await?;
    let again = s1.send(id, modify).await?;
    assert!(again.replayed);
    assert_eq!(first.result.as_str(), again.result.as_str());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_at_the_commit_fails_alone() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_commit").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":0}]}"#).await?;
    // An `_id` of 3 MB and 12 MB in addition: each statement fits, the transaction's entry in the
    // oplog does not.
    let large = r#"{"$reduce":{"input":{"$range":[0,3]},"initialValue":"xxxxxxxxxxxx","in":{"$reduce":{"input":{"$range":[0,6]},
        "initialValue":"$$value","in":{"$concat":["$$value","$$value"]}}}}}"#;
    let bad = format!(
        r#"{{"update":"c","updates":[{{"q":{{"_id":{{"$exists":true}},"n":{{"$exists":false}}}},"upsert":true,
        "u":[{{"$replaceWith":{{"_id":{{"$concat":[{large},"a"]}},"n":1,"a":{large},"b":{large},"c":{large},"d":{large}}}}}]}}]}}"#
    );
    s1.reply(r#"{"delete":"c","deletes":[{"q":{},"limit":0}]}"#)
        .await?;
    let error = refused_beside_innocents(&s1, &bad).await?;
    assert_eq!(error.code, ErrorCode::Mongo, "{error:?}");
    assert_eq!(
        set.client()
            .database("app_commit")
            .collection::<Document>("c")
            .count_documents(doc! {})
            .await?,
        0
    );
    Ok(())
}

/// Each of 260 upserts has a stored reply of 60 KB.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_too_large_together_are_written_in_several_batches() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_records").await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let long = "x".repeat(60_000);
    let mut upserts = Vec::new();
    for n in 0..260 {
        let upsert = format!(
            r#"{{"update":"c","updates":[{{"q":{{"_id":"{n}{long}"}},"u":{{"$set":{{"n":1}}}},"upsert":true}}]}}"#
        );
        upserts.push(
            s1.pipeline
                .submit(SourceId::new(), new_id(), parse(&upsert)?, deadline)?,
        );
    }
    for upsert in upserts {
        upsert.await??;
    }
    Ok(())
}

/// An error of any code that hits a transaction once, at any place, prevents no command from being
/// executed.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_the_records_or_the_commit_that_passes_is_nobodys() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_passing").await?;
    s1.reply(r#"{"insert":"innocent","documents":[{}]}"#).await?;
    for code in [
        2, 6, 8, 13, 24, 89, 112, 134, 246, 251, 262, 388, 9001, 10334, 11601, 123_456,
    ] {
        for command in ["commitTransaction", "update"] {
            let data = doc! { "failCommands": [command], "appName": "bellwether", "errorCode": code };
            let _once = FailPoint::times(set.client(), "failCommand", 1, data).await?;
            let good = r#"{"insert":"c","documents":[{}]}"#;
            let reply = beside_innocents(&s1, good).await?;
            reply.with_context(|| format!("{command} with {code}"))?;
        }
    }
    Ok(())
}

/// Codes that the drivers' specification calls retryable, at the fence and at the read itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_passing_error_of_a_read_is_tried_again() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_retryable").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    for code in [
        6, 7, 24, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
    ] {
        for command in ["find", "update"] {
            let data = doc! { "failCommands": [command], "appName": "bellwether", "errorCode": code };
            let _twice = FailPoint::times(set.client(), "failCommand", 2, data).await?;
            let find = r#"{"find":"c","filter":{"_id":{"$gt":0}}}"#;
            let mut answer = s1.send(new_id(), find).await;
            // Some codes tell the driver that the primary is gone. On a busy machine, it takes
            // longer than a command waits to find out that the primary is there.
            while let Err(error) = &answer
                && error.code == ErrorCode::DatabaseUnavailable
            {
                answer = s1.send(new_id(), find).await;
            }
            answer.with_context(|| format!("{command} with {code}"))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capped_collection_is_refused_with_mongodbs_error() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_capped").await?;
    let create = doc! { "create": "capped", "capped": true, "size": 4096 };
    set.client().database("app_capped").run_command(create).await?;
    let error = refused_beside_innocents(&s1, r#"{"find":"capped"}"#).await?;
    assert_eq!(error.mongo.context("MongoDB's error")?.code, 246);
    assert!(error.hint.is_some_and(|hint| hint.contains("capped")));
    Ok(())
}

/// A document that another program holds locked delays the command that writes to it, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_meets_conflicts_lets_others_go_first() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_conflicts").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    let c = set.client().database("app_conflicts").collection::<Document>("c");
    let mut holder = set.client().start_session().await?;
    holder.start_transaction().await?;
    c.update_one(doc! {}, doc! { "$set": { "held": true } })
        .session(&mut holder)
        .await?;
    let touch = parse(r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#)?;
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut held = s1
        .pipeline
        .submit(SourceId::new(), new_id(), touch.clone(), deadline)?;
    let soon = Instant::now() + Duration::from_secs(8);
    let short = s1.pipeline.submit(SourceId::new(), new_id(), touch, soon)?;
    for n in 0..50 {
        let insert = format!(r#"{{"insert":"innocent","documents":[{{"_id":{n}}}]}}"#);
        s1.reply(&insert).await?;
    }
    let overdue = short.await?.err().context("the document is locked")?;
    assert_eq!(overdue.code, ErrorCode::Deadline);
    assert_eq!(overdue.outcome, Outcome::NotExecuted);
    assert!(overdue.message.contains("write conflict"), "{}", overdue.message);
    assert!(held.try_recv().is_err(), "the document is locked");
    holder.abort_transaction().await?;
    held.await??;
    Ok(())
}

/// One command after another of a source passes its deadline while a slow one behind them runs, and
/// each such try is repeated. The others must not wait for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_that_pass_one_after_another_do_not_hold_a_batch() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_staggered").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":0}]}"#).await?;
    let data = doc! {
        "failCommands": ["delete"],
        "appName": "bellwether",
        "blockConnection": true,
        "blockTimeMS": 1_200,
    };
    let slow = FailPoint::on(set.client(), "failCommand", data).await?;
    let source = SourceId::new();
    let mut staggered = Vec::new();
    for n in 1..=14_u32 {
        let insert = format!(r#"{{"insert":"c","documents":[{{"_id":{n}}}]}}"#);
        let deadline = Instant::now() + Duration::from_secs(1) * n;
        staggered.push(s1.pipeline.submit(source, new_id(), parse(&insert)?, deadline)?);
    }
    let delete = parse(r#"{"delete":"c","deletes":[{"q":{"_id":0},"limit":1}]}"#)?;
    let deadline = Instant::now() + Duration::from_secs(40);
    let delete = s1.pipeline.submit(source, new_id(), delete, deadline)?;
    s1.reply(r#"{"insert":"innocent","documents":[{"_id":1}]}"#)
        .await?;
    let mut executed = 0;
    for one in staggered {
        match one.await? {
            Ok(_) => executed += 1,
            Err(error) => assert_eq!(error.code, ErrorCode::Deadline, "{error:?}"),
        }
    }
    assert!(executed > 4, "{executed} of 14 were executed");
    let _ = delete.await?;
    let _ = slow.off().await;
    Ok(())
}

/// Slow reads of one connection, and of clients that have gone.
#[tokio::test(flavor = "multi_thread")]
async fn slow_reads_of_one_source_leave_places_to_others() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_shares").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    let data = doc! {
        "failCommands": ["aggregate"],
        "appName": "bellwether",
        "blockConnection": true,
        "blockTimeMS": 15_000,
    };
    let held = FailPoint::on(set.client(), "failCommand", data).await?;
    let source = SourceId::in_group(7);
    let mut slow = Vec::new();
    for _ in 0..64 {
        let deadline = Instant::now() + Duration::from_secs(20);
        slow.push(
            s1.pipeline
                .submit(source, new_id(), parse(r#"{"count":"c"}"#)?, deadline)?,
        );
    }
    held.entered_by(10).await?;
    for _ in 0..10 {
        s1.reply(r#"{"find":"c","filter":{"_id":{"$gt":0}}}"#).await?;
    }
    assert!(
        slow.iter_mut().all(|slow| slow.try_recv().is_err()),
        "the slow ones are still read"
    );
    // Their client leaves: the server has MongoDB end them, and their places are free again.
    drop(slow);
    let find = r#"{"find":"c","filter":{"_id":{"$gt":0}}}"#;
    let mut all = Vec::new();
    for _ in 0..32 {
        let deadline = Instant::now() + Duration::from_secs(10);
        all.push(
            s1.pipeline
                .submit(SourceId::new(), new_id(), parse(find)?, deadline)?,
        );
    }
    for one in all {
        one.await??;
    }
    // A client that leaves during a slow read causes no refusal of another client's command.
    let _ = held.off().await;
    sleep(Duration::from_secs(4)).await;
    s1.reply(r#"{"count":"c"}"#).await?;
    Ok(())
}
