//! A command is executed once, whatever happens to its answer.

use std::time::Duration;

use anyhow::{Context, Result};
use bellwether_protocol::{ErrorCode, Outcome};
use bellwether_server::{RETENTION, Settings, SourceId};
use bellwether_testkit::{FailPoint, ReplicaSet, unless_stalled, wait_until};
use bson::{Document, doc};
use tokio::time::Instant;

use crate::coordinator::{Coordinator, in_a_while, minted, new_id, now, parse};

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
        (first.epoch, first.result.as_str()),
        (again.epoch, again.result.as_str())
    );
    let delete = r#"{"delete":"c","deletes":[{"q":{},"limit":0}]}"#;
    let other = s1.send(id, delete).await.expect_err("another body");
    assert_eq!(
        (other.code, other.outcome, other.id),
        (ErrorCode::IdReused, Outcome::NotExecuted, Some(id))
    );

    // More time or another comment does not make another command of it.
    for options in [
        r#""maxTimeMS":5000"#,
        r#""comment":"again""#,
        r#""comment":1,"maxTimeMS":0"#,
    ] {
        let again = s1
            .send(id, &add.replace("}]}", &format!("}}],{options}}}")))
            .await?;
        assert!(again.replayed);
    }
    assert!(
        other.hint.as_ref().is_some_and(|hint| !hint.contains("new id")),
        "{other:?}"
    );

    // A later coordinator remembers as well.
    let s2 = Coordinator::start(&set, "app_once").await?;
    assert!(s2.epoch > s1.epoch);
    let again = s2.send(id, add).await?;
    assert!(again.replayed);
    assert_eq!(
        (first.epoch, first.result.as_str()),
        (again.epoch, again.result.as_str())
    );

    // The same id many times at once.
    let id = new_id();
    let many: Vec<_> = (0..20)
        .map(|_| {
            s2.pipeline.submit(
                SourceId::new(),
                id,
                parse(add)?,
                Instant::now() + Duration::from_secs(20),
            )
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
async fn a_commit_without_an_answer_is_settled() -> Result<()> {
    // A machine that stands still may use up the time before the commit.
    unless_stalled(settle_commits).await
}

/// Commits while MongoDB gives no answer, until the time of the command is over.
async fn settle_commits() -> Result<()> {
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
    // Committed, but the server does not know that it will not be rolled back.
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

/// If the answer to a commit was lost, the next attempt finds it in the ledger; that attempt then
/// does not end well itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_executed_is_not_denied() -> Result<()> {
    let mut set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_denied").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"n":0}]}"#)
        .await?;
    let ledger = set.client().database("app_denied_bellwether");
    let ledger = ledger.collection::<Document>("ledger");
    let fence = ledger.find_one(doc! { "_id": "fence" }).await?;
    let fence = fence.context("the fence")?;
    let c = set.client().database("app_denied").collection::<Document>("c");

    // Committed by the primary, and waiting for a majority.
    let primary = set.wait_for_primary().await?;
    for member in (0..3).filter(|member| *member != primary) {
        set.members[member].process.pause()?;
    }
    let id = new_id();
    let add = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#;
    let answer = s1
        .pipeline
        .submit(SourceId::new(), id, parse(add)?, in_a_while())?;
    wait_until("the commit", async || {
        c.find_one(doc! { "n": 1 }).await?.context("the new number")
    })
    .await?;
    // The next try holds the fence, finds the record, and cannot commit.
    let data = doc! {
        "failCommands": ["commitTransaction"],
        "appName": "bellwether",
        "errorCode": 251,
        "errorLabels": ["TransientTransactionError"],
    };
    let commits = FailPoint::on(set.client(), "failCommand", data).await?;
    let kill = doc! { "killSessions": [fence.get_document("session")?.clone()] };
    set.client().database("admin").run_command(kill).await?;
    commits.entered().await?;
    for member in (0..3).filter(|member| *member != primary) {
        set.members[member].process.resume()?;
    }

    let s2 = Coordinator::start(&set, "app_denied").await?;
    commits.off().await?;
    let error = answer.await?.expect_err("it is fenced");
    assert_eq!((error.code, error.outcome), (ErrorCode::Fenced, Outcome::Unknown));
    let again = s2.send(id, add).await?;
    assert!(again.replayed && again.epoch == s1.epoch, "{again:?}");
    Ok(())
}

/// A transaction whose commit did not arrive would hold the fence for a minute, and with it every
/// read.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_after_a_lost_commit_is_answered() -> Result<()> {
    // A machine that stands still may use up the time before the commit.
    unless_stalled(read_after_a_lost_commit).await
}

/// Reads after a commit that got no answer until the time of the command was over.
async fn read_after_a_lost_commit() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    // After a lost connection the driver knows no primary for a moment.
    let mut settings = Settings::default();
    settings.primary_wait = Duration::from_secs(20);
    let s1 = Coordinator::start_with(&set, "app_lost", settings).await?;
    let admin = set.client().database("admin");
    let insert = |id: i32| format!(r#"{{"insert":"c","documents":[{{"_id":{id}}}]}}"#);
    s1.reply(&insert(1)).await?;
    let data =
        doc! { "failCommands": ["commitTransaction"], "appName": "bellwether", "closeConnection": true };
    let fail = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
    admin.run_command(fail).await?;
    let error = s1.send_by(new_id(), &insert(2), Duration::from_millis(700)).await;
    assert_eq!(
        error.expect_err("the commit gets no answer").outcome,
        Outcome::Unknown
    );
    let found = s1.reply(r#"{"count":"c"}"#).await?;
    assert_eq!(found["n"]["$numberInt"], "1");
    Ok(())
}

/// A batch of several commands has the same results as batches of one.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_answers_as_batches_of_one() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut settings = Settings::default();
    settings.batch = 8;
    let s1 = Coordinator::start_with(&set, "app_batches", settings).await?;
    let commands: Vec<String> = (0..60)
        .map(|n| match n % 6 {
            0 | 1 => format!(r#"{{"insert":"c","documents":[{{"_id":{}}}]}}"#, n / 6),
            2 => r#"{"count":"c"}"#.to_owned(),
            3 => r#"{"find":"c","filter":{"$bad":1}}"#.to_owned(),
            4 => r#"{"update":"c","updates":[{"q":{},"u":{"$inc":{"n":1}},"multi":true}]}"#.to_owned(),
            _ => r#"{"find":"c","sort":{"_id":-1},"limit":1}"#.to_owned(),
        })
        .collect();
    let answers = s1.send_together(&commands).await?;

    let s2 = Coordinator::start(&set, "app_batches2").await?;
    for (command, together) in commands.iter().zip(answers) {
        let alone = s2.send(new_id(), command).await;
        match (together, alone) {
            (Ok(together), Ok(alone)) => {
                let here = together.result.as_str().replace("app_batches.", "app_batches2.");
                assert_eq!(here, alone.result.as_str(), "{command}");
            }
            (Err(together), Err(alone)) => assert_eq!(together.code, alone.code, "{command}"),
            (together, alone) => panic!("{command}: {together:?} but {alone:?}"),
        }
    }
    Ok(())
}
