//! Collections and indexes: made, listed and dropped once, whatever happens in between.

use std::time::Duration;

use anyhow::{Context, Result};
use bellwether_protocol::{CommandId, ErrorCode, Outcome};
use bellwether_server::SourceId;
use bellwether_testkit::{ReplicaSet, unless_stalled};
use bson::{Document, doc};
use serde_json::Value;

use crate::coordinator::{Coordinator, in_a_while, new_id};

#[tokio::test(flavor = "multi_thread")]
async fn makes_lists_and_drops() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_schema").await?;
    let names = async |filter: &str| {
        let listed = s1
            .reply(&format!(
                r#"{{"listCollections":1,"filter":{filter},"nameOnly":true}}"#
            ))
            .await?;
        anyhow::Ok(names_in(&listed))
    };

    let ok = r#"{"ok":{"$numberDouble":"1.0"}}"#;
    let create = r#"{"create":"c","collation":{"locale":"de"},"validator":{"a":{"$gte":0}}}"#;
    let id = new_id();
    let created = s1.send(id, create).await?;
    assert_eq!((created.result.as_str(), created.replayed), (ok, false));
    let again = s1.send(id, create).await?;
    assert_eq!((again.result.as_str(), again.replayed), (ok, true));
    let other = s1.send(id, r#"{"drop":"c"}"#).await.expect_err("another command");
    assert_eq!(other.code, ErrorCode::IdReused);
    let exists = s1.error(create).await;
    let mongo = exists.mongo.context("MongoDB's own error")?;
    assert_eq!(
        (mongo.code_name.as_str(), exists.outcome),
        ("NamespaceExists", Outcome::NotExecuted)
    );

    let insert = r#"{"insert":"c","documents":[{"_id":1,"a":1},{"_id":2,"a":2}]}"#;
    s1.reply(insert).await?;
    let invalid = s1.error(r#"{"insert":"c","documents":[{"a":-1}]}"#).await;
    assert_eq!(invalid.mongo.context("MongoDB's own error")?.code, 121);

    let index = r#"{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"by_a","unique":true}]}"#;
    let indexed = s1.reply(index).await?;
    assert_eq!(indexed["numIndexesAfter"]["$numberInt"], "2");
    let taken = s1.error(r#"{"insert":"c","documents":[{"_id":3,"a":1}]}"#).await;
    assert_eq!(taken.mongo.context("MongoDB's own error")?.code, 11000);
    let listed = s1.reply(r#"{"listIndexes":"c"}"#).await?;
    assert_eq!(names_in(&listed), ["_id_", "by_a"]);
    s1.reply(r#"{"dropIndexes":"c","index":"by_a"}"#).await?;
    assert_eq!(names_in(&s1.reply(r#"{"listIndexes":"c"}"#).await?), ["_id_"]);

    s1.reply(r#"{"create":"v","viewOn":"c","pipeline":[{"$match":{"a":2}}]}"#)
        .await?;
    assert_eq!(s1.reply(r#"{"count":"v"}"#).await?["n"]["$numberInt"], "1");
    assert_eq!(names(r#"{"type":"view"}"#).await?, ["v"]);
    s1.reply(r#"{"drop":"v"}"#).await?;
    let dropped = s1.reply(r#"{"drop":"c"}"#).await?;
    assert_eq!(dropped["ns"], "app_schema.c");
    assert_eq!(names(r#"{"name":{"$in":["c","v"]}}"#).await?, [""; 0]);

    for (command, name) in [
        (r#"{"listIndexes":"none"}"#, "NamespaceNotFound"),
        (r#"{"dropIndexes":"none","index":"a"}"#, "NamespaceNotFound"),
        (r#"{"create":"w","validator":{"$nope":1}}"#, "BadValue"),
        (
            r#"{"createIndexes":"c","indexes":[{"key":{"a":"nope"},"name":"x"}]}"#,
            "CannotCreateIndex",
        ),
    ] {
        let error = s1.error(command).await;
        let mongo = error
            .mongo
            .with_context(|| format!("{command}: {}", error.message))?;
        assert_eq!(
            (mongo.code_name.as_str(), error.outcome),
            (name, Outcome::NotExecuted),
            "{command}"
        );
    }
    // A refused command leaves no record.
    let ledger = set
        .client()
        .database("app_schema_bellwether")
        .collection::<Document>("ledger");
    assert_eq!(
        ledger
            .count_documents(doc! { "commands.begun": { "$exists": true } })
            .await?,
        0
    );
    Ok(())
}

/// Commands of one connection are executed in their order, those on collections among the others.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_its_place_among_other_commands() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_places").await?;
    let commands = [
        r#"{"insert":"c","documents":[{"_id":1}]}"#,
        r#"{"insert":"d","documents":[{"_id":2}]}"#,
        r#"{"drop":"c"}"#,
        r#"{"find":"c"}"#,
        r#"{"insert":"c","documents":[{"_id":3}]}"#,
        r#"{"aggregate":"c","pipeline":[{"$unionWith":"d"},{"$sort":{"_id":1}}]}"#,
        r#"{"insert":"c","documents":[{"_id":4}]}"#,
        r#"{"transaction":[{"find":"c"},{"aggregate":"c","pipeline":[{"$unionWith":"d"},{"$sort":{"_id":1}}]}]}"#,
        r#"{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a"}]}"#,
        r#"{"find":"c","hint":"a","sort":{"_id":1}}"#,
    ];
    let mut replies: Vec<Value> = Vec::new();
    for (answer, command) in s1.send_together(&commands).await?.into_iter().zip(commands) {
        let answer = answer.with_context(|| command.to_owned())?;
        replies.push(serde_json::from_str(answer.result.as_str())?);
    }
    let ids = |reply: &Value| -> Vec<String> {
        let batch = reply["cursor"]["firstBatch"].as_array().expect("a batch");
        let ids = batch.iter().map(|document| &document["_id"]["$numberInt"]);
        ids.map(|id| id.as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(ids(&replies[3]), [""; 0]);
    assert_eq!(ids(&replies[5]), ["2", "3"]);
    assert_eq!(ids(&replies[7]["results"][0]), ["3", "4"]);
    assert_eq!(ids(&replies[7]["results"][1]), ["2", "3", "4"]);
    assert_eq!(ids(&replies[9]), ["3", "4"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_coordinator_changes_no_collection() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let old = Coordinator::start(&set, "app_old").await?;
    old.reply(r#"{"create":"kept"}"#).await?;
    let new = Coordinator::start(&set, "app_old").await?;
    let error = old.error(r#"{"drop":"kept"}"#).await;
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Fenced, Outcome::NotExecuted)
    );
    let listed = new.reply(r#"{"listCollections":1,"nameOnly":true}"#).await?;
    assert_eq!(names_in(&listed), ["kept"]);
    Ok(())
}

/// The leftovers of a coordinator that dies between a command and its record, or before the
/// command.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_was_begun_is_brought_to_its_end() -> Result<()> {
    // A machine that stands still may use up the time before the command begins.
    unless_stalled(end_what_was_begun).await
}

/// Cuts each command twice, and sends it again.
async fn end_what_was_begun() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_begun").await?;
    s1.reply(r#"{"create":"there"}"#).await?;
    s1.reply(r#"{"createIndexes":"there","indexes":[{"key":{"b":1},"name":"b"}]}"#)
        .await?;
    s1.reply(r#"{"create":"view","viewOn":"there"}"#).await?;
    let cut = Cut { set: &set, s1: &s1 };

    for command in [
        r#"{"create":"c","collation":{"locale":"de"}}"#,
        r#"{"createIndexes":"c","indexes":[{"key":{"a":1},"name":"a"}]}"#,
        r#"{"dropIndexes":"there","index":"b"}"#,
        r#"{"drop":"there"}"#,
        r#"{"drop":"view"}"#,
    ] {
        // The first commit is that of the record with the state begun.
        for failing in [
            doc! { "failCommands": ["commitTransaction"] },
            doc! { "failCommands": [name_of(command)] },
        ] {
            let skip = i32::from(failing.to_string().contains("commit"));
            let id = new_id();
            cut.short(id, command, skip, failing).await?;
            let done = s1.send(id, command).await.with_context(|| command.to_owned())?;
            assert!(!done.replayed, "{command}");
            assert!(s1.send(id, command).await?.replayed, "{command}");
            if skip == 1 && !command.contains("createIndexes") {
                undo(&s1, command).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_drop_spares_a_later_collection() -> Result<()> {
    // A machine that stands still may use up the time before the command begins.
    unless_stalled(repeat_a_drop).await
}

/// Cuts a `drop`, and sends it again after another collection has its name.
async fn repeat_a_drop() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_spared").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":"old"}]}"#).await?;
    let cut = Cut { set: &set, s1: &s1 };
    let id = new_id();
    let drop = r#"{"drop":"c"}"#;
    cut.short(id, drop, 1, doc! { "failCommands": ["commitTransaction"] })
        .await?;

    let outcome_result = s1
        .pipeline
        .outcome(SourceId::new(), id, in_a_while())?
        .await?
        .context("outcome_result 1")?;
    assert_eq!(outcome_result.outcome, Outcome::Unknown);
    s1.reply(r#"{"insert":"c","documents":[{"_id":"new"}]}"#).await?;
    assert!(!s1.send(id, drop).await.context("again")?.replayed);
    assert!(s1.send(id, drop).await?.replayed);
    let outcome_result = s1.pipeline.outcome(SourceId::new(), id, in_a_while())?.await??;
    assert_eq!(outcome_result.outcome, Outcome::Executed);
    assert_eq!(s1.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "1");

    // A collection that another client made in between does not count as this command's.
    let id = new_id();
    let create = r#"{"create":"d","collation":{"locale":"de"}}"#;
    cut.short(id, create, 0, doc! { "failCommands": ["create"] })
        .await?;
    s1.reply(r#"{"create":"d","collation":{"locale":"fr"}}"#).await?;
    let error = s1
        .send(id, create)
        .await
        .expect_err("another collection is there");
    assert_eq!((error.code, error.outcome), (ErrorCode::Mongo, Outcome::Unknown));
    Ok(())
}

/// Ends a command's first execution early.
struct Cut<'a> {
    set: &'a ReplicaSet,
    s1: &'a Coordinator,
}

impl Cut<'_> {
    /// Executes the command while these commands get no answer, except for the first `skip`; its
    /// outcome is then unknown.
    async fn short(&self, id: CommandId, command: &str, skip: i32, failing: Document) -> Result<()> {
        let admin = self.set.client().database("admin");
        let mut data = doc! { "appName": "bellwether", "closeConnection": true };
        data.extend(failing);
        let fail = doc! { "configureFailPoint": "failCommand", "mode": { "skip": skip }, "data": data };
        admin.run_command(fail).await?;
        let error = self.s1.send_by(id, command, Duration::from_millis(600)).await;
        // After the turn of another command, the turn of this one is over.
        let _ = self.s1.reply(r#"{"find":"c"}"#).await;
        let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        admin.run_command(off).await?;
        let error = error.expect_err(command);
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::Deadline, Outcome::Unknown),
            "{command}"
        );
        Ok(())
    }
}

/// Brings back the state before the command.
async fn undo(s1: &Coordinator, command: &str) -> Result<()> {
    let undo = match command {
        r#"{"drop":"view"}"# => r#"{"create":"view","viewOn":"there"}"#,
        r#"{"drop":"there"}"# => r#"{"create":"there"}"#,
        _ if command.contains("dropIndexes") => {
            r#"{"createIndexes":"there","indexes":[{"key":{"b":1},"name":"b"}]}"#
        }
        _ => r#"{"drop":"c"}"#,
    };
    s1.reply(undo).await.map(drop)
}

fn name_of(command: &str) -> &str {
    command.split('"').nth(1).unwrap_or_default()
}

fn names_in(listed: &Value) -> Vec<String> {
    let batch = listed["cursor"]["firstBatch"].as_array();
    let entries = batch.map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some(entry["name"].as_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names
}
