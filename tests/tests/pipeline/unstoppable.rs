//! Work that MongoDB does not interrupt is left behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::{ErrorCode, Outcome};
use bellwether_server::{Settings, SourceId};
use bellwether_testkit::ReplicaSet;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::coordinator::{Coordinator, new_id, parse};

/// Runs a pipeline that renews its epoch when its batch was abandoned, as a server does.
fn renewing(s1: &Coordinator) -> JoinHandle<()> {
    let (pipeline, fence) = (s1.pipeline.clone(), s1.fence.clone());
    let mut fenced = pipeline.fenced();
    tokio::spawn(async move {
        while fenced.changed().await.is_ok() {
            if let Ok(epoch) = fence.claim("s1", "1").await {
                let _ = pipeline.lead(epoch).await;
            }
        }
    })
}

/// Repeats a command until it is executed. Before that it may find no coordinator.
async fn until_executed(s1: &Coordinator, command: &str, time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    loop {
        match s1.send_by(new_id(), command, Duration::from_secs(2)).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() < until => {
                ensure!(
                    [ErrorCode::NotCoordinator, ErrorCode::Fenced, ErrorCode::Deadline].contains(&error.code),
                    "{error:?}"
                );
                sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error).context("still"),
        }
    }
}

/// Returns four nested loops of a thousand rounds in one expression, which MongoDB does not
/// interrupt.
fn unstoppable() -> String {
    let mut expression = "1".to_owned();
    for _ in 0..4 {
        expression =
            format!(r#"{{"$reduce":{{"input":{{"$range":[0,1000]}},"initialValue":0,"in":{expression}}}}}"#);
    }
    expression
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_mongodb_does_not_end_is_left_behind() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_burn").await?;
    s1.reply(r#"{"insert":"burn","documents":[{"_id":1}]}"#).await?;
    let renewing = renewing(&s1);
    let burn = format!(
        r#"{{"update":"burn","updates":[{{"q":{{"_id":1}},"u":[{{"$set":{{"x":{}}}}}]}}]}}"#,
        unstoppable()
    );
    let error = s1
        .send_by(new_id(), &burn, Duration::from_secs(1))
        .await
        .expect_err(&burn);
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::Deadline, Outcome::NotExecuted)
    );
    until_executed(
        &s1,
        r#"{"insert":"innocent","documents":[{}]}"#,
        Duration::from_secs(20),
    )
    .await?;
    until_executed(&s1, r#"{"find":"innocent"}"#, Duration::from_secs(5)).await?;
    let error = s1
        .send_by(new_id(), &burn, Duration::from_secs(1))
        .await
        .expect_err(&burn);
    assert_eq!(error.code, ErrorCode::CommandNotAllowed, "{error:?}");
    renewing.abort();
    // Leaving waits for nothing.
    s1.pipeline.retire().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_mongodb_does_not_end_are_left_behind() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut settings = Settings::default();
    settings.reads_at_a_time = 4;
    let s1 = Coordinator::start_with(&set, "app_burning_reads", settings).await?;
    s1.reply(r#"{"insert":"c","documents":[{"_id":1}]}"#).await?;
    let mut burning = Vec::new();
    for n in 0..6 {
        // Different commands, so that none is refused for another's sake.
        let burn = format!(
            r#"{{"aggregate":"c","pipeline":[{{"$project":{{"x{n}":{}}}}}]}}"#,
            unstoppable()
        );
        let deadline = Instant::now() + Duration::from_secs(1);
        burning.push(
            s1.pipeline
                .submit(SourceId::new(), new_id(), parse(&burn)?, deadline)?,
        );
    }
    for burning in burning {
        let error = burning.await?.expect_err("it is never read");
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::Deadline, Outcome::NotExecuted)
        );
    }
    for _ in 0..20 {
        s1.reply(r#"{"find":"c","filter":{"_id":{"$gt":0}}}"#).await?;
        s1.reply(r#"{"insert":"c","documents":[{}]}"#).await?;
    }
    Ok(())
}

/// The time of its own statement counts, not the latest deadline in the batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_left_behind_when_the_time_of_its_statement_is_over() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let s1 = Coordinator::start(&set, "app_burn_limited").await?;
    s1.reply(r#"{"insert":"burn","documents":[{"_id":1}]}"#).await?;
    let renewing = renewing(&s1);
    let burn = format!(
        r#"{{"update":"burn","updates":[{{"q":{{"_id":1}},"u":[{{"$set":{{"x":{}}}}}]}}],"maxTimeMS":500}}"#,
        unstoppable()
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    let submit = |command: &str| {
        s1.pipeline
            .submit(SourceId::new(), new_id(), parse(command)?, deadline)
    };
    let burning = submit(&burn)?;
    let mut innocents = Vec::new();
    for n in 0..20 {
        innocents.push(submit(&format!(
            r#"{{"insert":"innocent","documents":[{{"n":{n}}}]}}"#
        ))?);
    }
    let error = burning.await?.expect_err(&burn);
    let code = error.mongo.as_ref().map(|error| error.code);
    assert_eq!(
        (code, error.outcome),
        (Some(50), Outcome::NotExecuted),
        "{error:?}"
    );
    for innocent in innocents {
        if let Err(error) = innocent.await? {
            assert_eq!(
                (error.code, error.outcome),
                (ErrorCode::Fenced, Outcome::NotExecuted),
                "{error:?}"
            );
        }
    }
    until_executed(
        &s1,
        r#"{"insert":"innocent","documents":[{}]}"#,
        Duration::from_secs(20),
    )
    .await?;
    renewing.abort();
    s1.pipeline.retire().await;
    Ok(())
}
