//! Commands that wait: in the queue, for MongoDB, for its next primary.

use std::time::Duration;

use anyhow::{Result, ensure};
use bellwether_protocol::{ErrorCode, Outcome};
use bellwether_server::{Database, Fence, Settings, SourceId};
use bellwether_testkit::{ReplicaSet, unless_stalled};
use bson::{Document, doc};
use tokio::time::Instant;

use crate::coordinator::{Coordinator, new_id, parse};

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_and_bounds_hold_while_commands_wait() -> Result<()> {
    // The deadlines are seconds apart, and a machine may stand still for as long.
    unless_stalled(let_commands_wait).await
}

/// Fills the queue behind a command that cannot go on.
async fn let_commands_wait() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut settings = Settings::default();
    settings.queue = 3;
    // With one command in a batch, at most one of the waiting commands leaves the queue.
    settings.batch = 1;
    let s1 = Coordinator::start_with(&set, "app_waiting", settings).await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;

    // Another client's transaction holds the document: the first command cannot go on.
    let c = set.client().database("app_waiting").collection::<Document>("c");
    let mut holder = set.client().start_session().await?;
    holder.start_transaction().await?;
    c.update_one(doc! {}, doc! { "$set": { "held": true } })
        .session(&mut holder)
        .await?;
    let touch = r#"{"update":"c","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#;
    let submit = |time| {
        s1.pipeline
            .submit(SourceId::new(), new_id(), parse(touch)?, Instant::now() + time)
    };
    let mut held = submit(Duration::from_secs(5))?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let long = submit(Duration::from_secs(60))?;
    let short = submit(Duration::from_secs(1))?;
    let mut abandoned = Vec::new();
    let full = loop {
        match submit(Duration::from_secs(60)) {
            Ok(answer) => abandoned.push(answer),
            Err(full) => break full,
        }
        ensure!(abandoned.len() < 3, "the queue takes more than three commands");
    };
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
    assert!(
        held.try_recv().is_err(),
        "the answer to a waiting command does not wait for the command in hand"
    );
    let error = held.await?.expect_err("its deadline passed in hand");
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Deadline, Outcome::NotExecuted)
    );

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

    // The server leaves: the batch in progress ends, and the other commands get an error.
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
    // A claim is tried for 5 s, and a machine may stand still meanwhile.
    assert!(begun.elapsed() < Duration::from_secs(25));
    assert!(!database.health().borrow().available);
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
