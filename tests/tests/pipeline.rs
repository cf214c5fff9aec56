//! The pipeline, without servers around it, on a real replica set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use bellwether_protocol::{CommandId, ErrorCode, ErrorFrame, Outcome};
use bellwether_server::{Answer, Database, Fence, ParsedCommand, Pipeline, RETENTION, Settings};
use bellwether_tests::ReplicaSet;
use bson::{Document, doc};
use mongodb::options::{ReadConcern, WriteConcern};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

/// One server's pipeline, as the coordinator has it.
struct Coordinator {
    fence: Fence,
    pipeline: Pipeline,
    epoch: u64,
}

impl Coordinator {
    async fn start(set: &ReplicaSet, database: &str) -> Result<Self> {
        Self::start_with(set, database, Settings::default()).await
    }

    async fn start_with(set: &ReplicaSet, database: &str, settings: Settings) -> Result<Self> {
        let database = Database::connect(&set.uri(), database).await?;
        let fence = Fence::new(database.clone());
        let pipeline = Pipeline::start(database, fence.clone(), settings);
        let epoch = fence.claim("s1", "1").await?;
        pipeline.lead(epoch).await?;
        Ok(Self {
            fence,
            pipeline,
            epoch,
        })
    }

    async fn send(&self, id: CommandId, command: &str) -> Answer {
        self.send_by(id, command, Duration::from_secs(20)).await
    }

    async fn send_by(&self, id: CommandId, command: &str, time: Duration) -> Answer {
        let command = parse(command)?;
        let answer = self.pipeline.submit(id, command, Instant::now() + time)?;
        answer.await.expect("the pipeline answers every command")
    }

    /// Executes a command under an id of its own and gives the reply.
    async fn reply(&self, command: &str) -> Result<Value> {
        let result = self.send(new_id(), command).await;
        let result = result.with_context(|| command.to_owned())?;
        Ok(serde_json::from_str(result.result.get())?)
    }

    /// Sends a command that is to fail, and gives the error.
    async fn error(&self, command: &str) -> ErrorFrame {
        self.send(new_id(), command).await.expect_err(command)
    }
}

fn parse(command: &str) -> Result<ParsedCommand, ErrorFrame> {
    let raw = RawValue::from_string(command.to_owned()).expect("the test's command is JSON");
    ParsedCommand::parse(&raw)
}

fn new_id() -> CommandId {
    minted(now())
}

fn minted(at: Duration) -> CommandId {
    CommandId::mint(at, rand::random())
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970")
}

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
async fn executes_once_and_answers_the_same_again() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_once").await?;
    let add = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}},"upsert":true}]}"#;

    let id = new_id();
    let first = s1.send(id, add).await?;
    assert!(!first.replayed);
    let again = s1.send(id, add).await?;
    assert!(again.replayed);
    assert_eq!(
        (first.epoch, first.result.get()),
        (again.epoch, again.result.get())
    );
    let other = s1.send(id, r#"{"count":"c"}"#).await.expect_err("another body");
    assert_eq!(
        (other.code, other.outcome, other.id),
        (ErrorCode::IdReused, Outcome::NotExecuted, Some(id))
    );

    // A later coordinator remembers as well.
    let s2 = Coordinator::start(&set, "app_once").await?;
    assert!(s2.epoch > s1.epoch);
    let again = s2.send(id, add).await?;
    assert!(again.replayed);
    assert_eq!(
        (first.epoch, first.result.get()),
        (again.epoch, again.result.get())
    );

    // The same id many times at once.
    let id = new_id();
    let many: Vec<_> = (0..20)
        .map(|_| {
            s2.pipeline
                .submit(id, parse(add)?, Instant::now() + Duration::from_secs(20))
        })
        .collect::<Result<_, _>>()?;
    let mut fresh = 0;
    for answer in many {
        fresh += usize::from(!answer.await??.replayed);
    }
    assert_eq!(fresh, 1);
    let n = s2.reply(r#"{"find":"c"}"#).await?["cursor"]["firstBatch"][0]["n"].clone();
    assert_eq!(n["$numberInt"], "2");

    for at in [
        now() - RETENTION - Duration::from_secs(60),
        now() + Duration::from_secs(7200),
    ] {
        let error = s2
            .send(minted(at), add)
            .await
            .expect_err("the id is out of its time");
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::IdExpired, Outcome::NotExecuted)
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_leaves_nothing_behind() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_refused").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;

    let id = new_id();
    let clash = r#"{"insert":"c","documents":[{"_id":2},{"_id":1},{"_id":3}],"ordered":false}"#;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_coordinator_commits_nothing() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let old = Coordinator::start(&set, "app_fence").await?;
    old.reply(r#"{"insert":"c","documents":[{"_id":"before"}]}"#)
        .await?;
    let new = Coordinator::start(&set, "app_fence").await?;
    assert!(new.epoch > old.epoch);

    // Reads are fenced, too, and what waits behind the one that found out is answered the same.
    let waiting = [
        r#"{"find":"c"}"#,
        r#"{"insert":"c","documents":[{"_id":"after"}]}"#,
    ]
    .map(|command| Ok(old.pipeline.submit(new_id(), parse(command)?, in_a_while())));
    for answer in waiting {
        let answer: Result<_, ErrorFrame> = answer;
        let error = match answer.and_then(|answer| answer) {
            Ok(answer) => answer.await?.expect_err("it is fenced"),
            Err(error) => error,
        };
        assert!(
            matches!(error.code, ErrorCode::Fenced | ErrorCode::NotCoordinator),
            "{error:?}"
        );
        assert_eq!(error.outcome, Outcome::NotExecuted);
    }
    assert_eq!(*old.pipeline.fenced().borrow(), Some(old.epoch));
    let refused = old
        .pipeline
        .submit(new_id(), parse(r#"{"find":"c"}"#)?, in_a_while());
    assert_eq!(
        refused.expect_err("it does not lead").code,
        ErrorCode::NotCoordinator
    );
    assert_eq!(new.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "1");

    // Both take over from each other, over and over, under load: every answered insert is there once.
    let mut executed = 0;
    let mut epoch = new.epoch;
    for round in 0..10 {
        let (next, last) = if round % 2 == 0 {
            (&old, &new)
        } else {
            (&new, &old)
        };
        let insert = |n: i32| format!(r#"{{"insert":"load","documents":[{{"_id":"{round}-{n}"}}]}}"#);
        let mut load = Vec::new();
        for n in 0..20 {
            let (id, command) = (new_id(), parse(&insert(n))?);
            // Once the other has claimed, this one refuses; then nothing was executed.
            if let Ok(answer) = last.pipeline.submit(id, command.clone(), in_a_while()) {
                load.push((id, command, answer));
            }
        }
        let claimed = next.fence.claim("next", "2").await?;
        ensure!(claimed > epoch, "{claimed} after {epoch}");
        epoch = claimed;
        next.pipeline.lead(epoch).await?;
        for (id, command, answer) in load {
            match answer.await? {
                Ok(_) => executed += 1,
                // The claim ended the session while the commit was on its way. Asking again settles it.
                Err(error) if error.outcome == Outcome::Unknown => {
                    let again = next.pipeline.submit(id, command, in_a_while());
                    again
                        .map_err(|error| anyhow!("{error:?}"))?
                        .await?
                        .map_err(|error| anyhow!("{error:?}"))?;
                    executed += 1;
                }
                Err(error) => assert_eq!(error.outcome, Outcome::NotExecuted, "{error:?}"),
            }
        }
        last.pipeline.retire().await;
    }
    let last = &new;
    let count = last.reply(r#"{"count":"load"}"#).await?;
    assert_eq!(count["n"]["$numberInt"], executed.to_string());
    Ok(())
}

/// A transaction that has seen its epoch and is still running when a later one is granted: it commits before the
/// grant or never. The session is not killed here, so it is the fence alone that decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_and_a_running_transaction_exclude_each_other() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_race").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"n":0}]}"#)
        .await?;
    let c = set.client().database("app_race").collection::<Document>("c");
    let system = set.client().database("app_race_bellwether");
    let fence = system.collection::<Document>("fence");
    let n = async || {
        let found = c.find_one(doc! {}).read_concern(ReadConcern::majority()).await?;
        anyhow::Ok(found.context("the document")?.get_i32("n")?)
    };

    let slow = r#"{"$expr":{"$gt":[{"$sum":{"$map":{"input":{"$range":[0,600000]},"in":1}}},0]}}"#;
    let add = format!(r#"{{"update":"c","updates":[{{"q":{slow},"u":{{"$inc":{{"n":1}}}}}}]}}"#);
    let answer = s1.pipeline.submit(new_id(), parse(&add)?, in_a_while())?;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(n().await?, 0, "the transaction is still running");
    fence
        .update_one(doc! {}, doc! { "$inc": { "epoch": 1_i64 } })
        .write_concern(WriteConcern::majority())
        .await?;
    let granted_at = n().await?;
    let executed = answer.await?.is_ok();
    assert_eq!(
        (n().await?, granted_at),
        (i32::from(executed), i32::from(executed))
    );

    let error = s1.error(&add).await;
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Fenced, Outcome::NotExecuted)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_dies_in_a_transaction_delays_nobody() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_orphan").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    s1.pipeline.retire().await;

    // What a coordinator leaves that is killed between its fence write and its commit.
    let system = set.client().database("app_orphan_bellwether");
    let fence = system.collection::<Document>("fence");
    let mut orphan = set.client().start_session().await?;
    orphan
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
        .await?;
    let held_in = doc! { "$set": { "session": orphan.id().clone() } };
    fence.update_one(doc! {}, held_in).await?;
    let held = fence
        .update_one(doc! { "_id": "fence" }, doc! { "$inc": { "seq": 1_i64 } })
        .session(&mut orphan)
        .await?;
    assert_eq!(held.modified_count, 1);

    let begun = Instant::now();
    let epoch = s1.fence.claim("s2", "2").await?;
    ensure!(
        begun.elapsed() < Duration::from_secs(2),
        "the claim took {:?}",
        begun.elapsed()
    );
    assert!(epoch > s1.epoch);
    assert!(orphan.commit_transaction().await.is_err());

    // The same server may lead again.
    s1.pipeline.lead(epoch).await?;
    assert!(s1.pipeline.lead(epoch).await.is_err());
    let epoch = s1.fence.claim("s2", "2").await?;
    s1.pipeline.lead(epoch).await?;
    assert_eq!(s1.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_and_bounds_hold_while_commands_wait() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut settings = Settings::default();
    settings.queue = 3;
    let s1 = Coordinator::start_with(&set, "app_waiting", settings).await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;

    // Somebody else's transaction holds the document: the first command cannot go on.
    let c = set.client().database("app_waiting").collection::<Document>("c");
    let mut holder = set.client().start_session().await?;
    holder.start_transaction().await?;
    c.update_one(doc! {}, doc! { "$set": { "held": true } })
        .session(&mut holder)
        .await?;
    let touch = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#;
    let submit = |time| s1.pipeline.submit(new_id(), parse(touch)?, Instant::now() + time);
    let begun = Instant::now();
    let held = submit(Duration::from_millis(800))?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let long = submit(Duration::from_secs(20))?;
    let short = submit(Duration::from_millis(200))?;
    let abandoned = submit(Duration::from_secs(20))?;
    let full = submit(Duration::from_secs(20)).expect_err("the queue is full");
    assert_eq!(
        (full.code, full.outcome),
        (ErrorCode::Overloaded, Outcome::NotExecuted)
    );
    drop(abandoned);

    let error = short.await?.expect_err("its deadline passed in the queue");
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Deadline, Outcome::NotExecuted)
    );
    let waited = begun.elapsed();
    assert!(waited < Duration::from_millis(700), "{waited:?}");
    let error = held.await?.expect_err("its deadline passed in hand");
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Deadline, Outcome::NotExecuted)
    );
    let waited = begun.elapsed();
    assert!(waited < Duration::from_millis(1_500), "{waited:?}");

    holder.abort_transaction().await?;
    long.await??;
    let found = s1.reply(r#"{"find":"c"}"#).await?;
    assert_eq!(found["cursor"]["firstBatch"][0]["n"]["$numberInt"], "1");

    let slow = r#"{"aggregate":"c","pipeline":[{"$set":{"a":{"$range":[0,300000]}}},{"$unwind":"$a"},{"$count":"n"}],"maxTimeMS":5}"#;
    let error = s1.error(slow).await;
    assert_eq!(
        error.mongo.map(|mongo| mongo.code),
        Some(50),
        "its own maxTimeMS: {}",
        error.message
    );

    // Leaving: the turn in hand ends, the rest is told to go elsewhere.
    let queued: Vec<_> = (0..3)
        .map(|_| submit(Duration::from_secs(20)))
        .collect::<Result<_, _>>()?;
    s1.pipeline.retire().await;
    for answer in queued {
        if let Err(error) = answer.await? {
            assert_eq!(
                (error.code, error.outcome),
                (ErrorCode::Draining, Outcome::NotExecuted)
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mongodb_the_answer_comes_quickly() -> Result<()> {
    let database = Database::connect(
        "mongodb://127.0.0.1:9/?replicaSet=rs0&serverSelectionTimeoutMS=300",
        "app",
    )
    .await?;
    let fence = Fence::new(database.clone());
    let begun = Instant::now();
    assert!(fence.claim("s1", "1").await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(6));
    assert!(!database.health().borrow().available);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_settled() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_doubt").await?;
    let admin = set.client().database("admin");
    let fail_commits = async |mode: Document, how: Document| {
        let mut data = doc! { "failCommands": ["commitTransaction"], "appName": "bellwether" };
        data.extend(how);
        let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        admin.run_command(command).await
    };
    let off = || doc! { "configureFailPoint": "failCommand", "mode": "off" };
    let add = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}},"upsert":true}]}"#;
    let lost = || doc! { "closeConnection": true };
    // Committed, but for all anybody knows it may be rolled back.
    let late = || doc! { "writeConcernError": { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting" } };

    for how in [lost(), late()] {
        fail_commits(doc! { "times": 3 }, how).await?;
        assert!(!s1.send(new_id(), add).await?.replayed);
    }

    for how in [lost(), late()] {
        fail_commits(doc! { "times": 100_000 }, how).await?;
        let id = new_id();
        let error = s1.send_by(id, add, Duration::from_millis(700)).await;
        let error = error.expect_err("the commit gets no answer");
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::Deadline, Outcome::Unknown)
        );
        admin.run_command(off()).await?;
        s1.send(id, add).await?;
        assert!(s1.send(id, add).await?.replayed);
    }
    let n = s1.reply(r#"{"find":"c"}"#).await?["cursor"]["firstBatch"][0]["n"].clone();
    assert_eq!(n["$numberInt"], "4");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_mongodb_changed_its_primary() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_primary").await?;
    let insert = |n: i32| format!(r#"{{"insert":"c","documents":[{{"_id":{n}}}]}}"#);
    for n in 0..60 {
        if n % 20 == 10 {
            let step_down = doc! { "replSetStepDown": 3, "secondaryCatchUpPeriodSecs": 3 };
            // It may be too soon after the last time.
            let _ = set.client().database("admin").run_command(step_down).await;
        }
        let id = new_id();
        let begun = Instant::now();
        loop {
            match s1.send_by(id, &insert(n), Duration::from_secs(5)).await {
                Ok(_) => break,
                Err(error) => {
                    ensure!(
                        matches!(error.code, ErrorCode::DatabaseUnavailable | ErrorCode::Deadline),
                        "{error:?}"
                    );
                    ensure!(begun.elapsed() < Duration::from_secs(60), "{error:?}");
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(s1.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "60");
    assert_eq!(
        *s1.pipeline.fenced().borrow(),
        None,
        "the epoch outlives MongoDB's primary"
    );
    Ok(())
}

/// A turn of several commands gives what turns of one give.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_of_many_answers_as_turns_of_one() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut settings = Settings::default();
    settings.turn = 8;
    let s1 = Coordinator::start_with(&set, "app_turns", settings).await?;
    let commands: Vec<String> = (0..60)
        .map(|n| match n % 6 {
            0 | 1 => format!(r#"{{"insert":"c","documents":[{{"_id":{}}}]}}"#, n / 6),
            2 => r#"{"count":"c"}"#.to_owned(),
            3 => r#"{"find":"c","filter":{"$bad":1}}"#.to_owned(),
            4 => r#"{"update":"c","updates":[{"q":{},"u":{"$inc":{"n":1}},"multi":true}]}"#.to_owned(),
            _ => r#"{"find":"c","sort":{"_id":-1},"limit":1}"#.to_owned(),
        })
        .collect();
    let together: Vec<_> = commands
        .iter()
        .map(|command| s1.pipeline.submit(new_id(), parse(command)?, in_a_while()))
        .collect::<Result<_, _>>()?;
    let mut answers = Vec::new();
    for answer in together {
        answers.push(answer.await?);
    }

    let s2 = Coordinator::start(&set, "app_turns2").await?;
    for (command, together) in commands.iter().zip(answers) {
        let alone = s2.send(new_id(), command).await;
        match (together, alone) {
            (Ok(together), Ok(alone)) => {
                let here = together.result.get().replace("app_turns.", "app_turns2.");
                assert_eq!(here, alone.result.get(), "{command}");
            }
            (Err(together), Err(alone)) => assert_eq!(together.code, alone.code, "{command}"),
            (together, alone) => panic!("{command}: {together:?} but {alone:?}"),
        }
    }
    Ok(())
}

fn in_a_while() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
