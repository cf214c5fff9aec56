//! Nothing commits under an epoch once a larger one was granted, and no server waits for a dead
//! one.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome};
use bellwether_server::SourceId;
use bellwether_testkit::{FailPoint, ReplicaSet};
use bson::{Bson, Document, doc};
use mongodb::options::{ReadConcern, WriteConcern};
use tokio::time::Instant;

use crate::coordinator::{Coordinator, in_a_while, new_id, parse};

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_coordinator_commits_nothing() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let old = Coordinator::start(&set, "app_fence").await?;
    old.reply(r#"{"insert":"c","documents":[{"_id":"before"}]}"#)
        .await?;
    let new = Coordinator::start(&set, "app_fence").await?;
    assert!(new.epoch > old.epoch);

    // Reads are fenced, too, and the commands behind the first refused one get the same answer.
    let waiting = [
        r#"{"find":"c"}"#,
        r#"{"insert":"c","documents":[{"_id":"after"}]}"#,
    ]
    .map(|command| {
        Ok(old
            .pipeline
            .submit(SourceId::new(), new_id(), parse(command)?, in_a_while()))
    });
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
        .submit(SourceId::new(), new_id(), parse(r#"{"find":"c"}"#)?, in_a_while());
    assert_eq!(
        refused.expect_err("it does not lead").code,
        ErrorCode::NotCoordinator
    );
    assert_eq!(new.reply(r#"{"count":"c"}"#).await?["n"]["$numberInt"], "1");

    // Both take over from each other, over and over, under load: every answered insert is there
    // once.
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
            if let Ok(answer) = last
                .pipeline
                .submit(SourceId::new(), id, command.clone(), in_a_while())
            {
                load.push((id, command, answer));
            }
        }
        let claimed = next.fence.claim("next", "2").await?;
        ensure!(claimed > epoch, "{claimed} after {epoch}");
        ensure!(last.fence.is_newest(claimed).await?, "{claimed} is the newest");
        ensure!(
            !last.fence.is_newest(epoch).await?,
            "{epoch} is not the newest any more"
        );
        epoch = claimed;
        next.pipeline.lead(epoch).await?;
        for (id, command, answer) in load {
            match answer.await? {
                Ok(_) => executed += 1,
                // The claim ended the session while the commit was in transit. Sending the command
                // again settles the outcome.
                Err(error) if error.outcome == Outcome::Unknown => {
                    assert_ne!(error.code, ErrorCode::Internal, "{error:?}");
                    let again = next.pipeline.submit(SourceId::new(), id, command, in_a_while());
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

/// A transaction that has seen its epoch and is still running when a later one is granted: it
/// commits before the grant or never. The session is not killed here, so it is the fence alone that
/// decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_and_a_running_transaction_exclude_each_other() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_race").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"n":0}]}"#)
        .await?;
    let c = set.client().database("app_race").collection::<Document>("c");
    let system = set.client().database("app_race_bellwether");
    let fence = system.collection::<Document>("ledger");
    let n = async || {
        let found = c.find_one(doc! {}).read_concern(ReadConcern::majority()).await?;
        anyhow::Ok(found.context("the document")?.get_i32("n")?)
    };

    // The commit is held back until the grant has met the open transaction.
    let data = doc! {
        "failCommands": ["commitTransaction"],
        "appName": "bellwether",
        "blockConnection": true,
        "blockTimeMS": 3000,
    };
    let held = FailPoint::times(set.client(), "failCommand", 1, data).await?;
    let add = r#"{"update":"c","updates":[{"q":{},"u":{"$inc":{"n":1}}}]}"#;
    let answer = s1
        .pipeline
        .submit(SourceId::new(), new_id(), parse(add)?, in_a_while())?;
    held.entered().await?;
    assert_eq!(n().await?, 0, "the transaction is still running");
    fence
        .update_one(doc! { "_id": "fence" }, doc! { "$inc": { "epoch": 1_i64 } })
        .write_concern(WriteConcern::majority())
        .await?;
    let granted_at = n().await?;
    let executed = answer.await?.is_ok();
    assert_eq!(
        (n().await?, granted_at),
        (i32::from(executed), i32::from(executed))
    );

    let error = s1.error(add).await;
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

    // The transaction of a coordinator that is killed between its fence write and its commit.
    let system = set.client().database("app_orphan_bellwether");
    let fence = system.collection::<Document>("ledger");
    let mut orphan = set.client().start_session().await?;
    orphan
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
        .await?;
    let held_in = doc! { "$set": { "session": orphan.id().clone() } };
    fence.update_one(doc! { "_id": "fence" }, held_in).await?;
    let held = fence
        .update_one(doc! { "_id": "fence" }, doc! { "$inc": { "seq": 1_i64 } })
        .session(&mut orphan)
        .await?;
    assert_eq!(held.modified_count, 1);

    let begun = Instant::now();
    let epoch = s1.fence.claim("s2", "2").await?;
    ensure!(
        // MongoDB itself ends such a transaction after 60 s.
        begun.elapsed() < Duration::from_secs(30),
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

/// A former coordinator's command may arrive after its session was ended. Then it begins an
/// orphaned transaction, which locks the documents that it writes.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_from_a_former_coordinator_delays_nobody() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_late").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"n":0}]}"#)
        .await?;
    s1.pipeline.retire().await;
    let system = set.client().database("app_late_bellwether");
    let fence = system.collection::<Document>("ledger");
    let mut late = set.client().start_session().await?;
    let held_in = doc! { "$set": { "session": late.id().clone() } };
    fence.update_one(doc! { "_id": "fence" }, held_in).await?;
    // It need not be the last one before.
    let mut epoch = s1.epoch;
    for _ in 0..3 {
        epoch = s1.fence.claim("s2", "2").await?;
    }
    s1.pipeline.lead(epoch).await?;

    let c = set.client().database("app_late").collection::<Document>("c");
    late.start_transaction()
        .write_concern(WriteConcern::majority())
        .await?;
    c.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 100 } })
        .session(&mut late)
        .await?;
    let add = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#;
    s1.reply(add).await?;
    assert!(late.commit_transaction().await.is_err());
    assert_eq!(
        s1.reply(r#"{"find":"c"}"#).await?["cursor"]["firstBatch"][0]["n"]["$numberInt"],
        "1"
    );
    Ok(())
}

/// A coordinator that does not know yet that it was replaced does not disturb its successor. This
/// is also true if their servers have replaced each other before.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_coordinator_does_not_disturb_its_successor() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_former").await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1,"n":0}]}"#)
        .await?;
    let s2 = Coordinator::start(&set, "app_former").await?;
    s1.pipeline.retire().await;
    s1.pipeline.lead(s1.fence.claim("s1", "1").await?).await?;

    let ledger = set.client().database("app_former_bellwether");
    let ledger = ledger.collection::<Document>("ledger");
    let fence = ledger.find_one(doc! { "_id": "fence" }).await?;
    let fence = fence.context("the fence")?;
    let mut sessions = fence.get_array("earlier_sessions")?.clone();
    sessions.push(fence.get_document("session")?.into());
    let different: HashSet<String> = sessions.iter().map(Bson::to_string).collect();
    assert_eq!(
        different.len(),
        sessions.len(),
        "each epoch has a session of its own: {fence}"
    );

    // The transaction in its way may be its successor's.
    let mut open = set.client().start_session().await?;
    let named = doc! { "$push": { "earlier_sessions": open.id().clone() } };
    ledger.update_one(doc! { "_id": "fence" }, named).await?;
    open.start_transaction().await?;
    let c = set.client().database("app_former").collection::<Document>("c");
    let update = doc! { "$inc": { "n": 100 } };
    c.update_one(doc! { "_id": 1 }, update).session(&mut open).await?;
    let add = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#;
    let error = s2.error(add).await;
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Fenced, Outcome::NotExecuted)
    );
    open.commit_transaction().await?;
    assert_eq!(
        s1.reply(r#"{"find":"c"}"#).await?["cursor"]["firstBatch"][0]["n"]["$numberInt"],
        "100"
    );
    Ok(())
}
