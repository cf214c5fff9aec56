//! Work that MongoDB does not interrupt is left behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome};
use bellwether_server::{Database, Fence, Pipeline, Settings, SourceId};
use bellwether_testkit::{ReplicaSet, unless_stalled};
use tokio::sync::watch;
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
    // A machine that stands still may use up the time of the write before MongoDB begins.
    unless_stalled(leave_a_write_behind).await
}

/// Sends a write that MongoDB does not end, twice.
async fn leave_a_write_behind() -> Result<()> {
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
    until_executed(&s1, r#"{"find":"innocent"}"#, Duration::from_secs(20)).await?;
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

/// Highest number of the driver's connections in the next test. Its unstoppable writes are as many.
const CONNECTIONS: u32 = 5;

/// Sends the `n`th unstoppable write until it is executed or refused. No two have the same body.
/// Each changes a document of its own.
async fn burn(s1: &Coordinator, source: SourceId, n: u32) -> Result<ErrorFrame> {
    let burn = format!(
        r#"{{"update":"burn","updates":[{{"q":{{"_id":{n}}},"u":[{{"$set":{{"x{n}":{}}}}}]}}],"maxTimeMS":500}}"#,
        unstoppable()
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = match s1.pipeline.submit(source, new_id(), parse(&burn)?, deadline) {
            Ok(answer) => answer.await?.expect_err(&burn),
            Err(error) => error,
        };
        assert_eq!(answer.outcome, Outcome::NotExecuted, "{answer:?}");
        // Another epoch is being claimed.
        if ![ErrorCode::NotCoordinator, ErrorCode::Fenced].contains(&answer.code) {
            return Ok(answer);
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Sends one command after another, each again under its id until it is executed. Returns their
/// number.
async fn neighbour(pipeline: Pipeline, mut stopped: watch::Receiver<bool>) -> Result<u32> {
    let source = SourceId::new();
    let mut executed = 0;
    while !*stopped.borrow_and_update() {
        let (id, insert) = (
            new_id(),
            format!(r#"{{"insert":"innocent","documents":[{{"_id":{executed}}}]}}"#),
        );
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            let deadline = Instant::now() + Duration::from_secs(2);
            let answer = match pipeline.submit(source, id, parse(&insert)?, deadline) {
                Ok(answer) => answer.await?,
                Err(error) => Err(error),
            };
            let Err(error) = answer else { break };
            ensure!(
                error.outcome == Outcome::NotExecuted && Instant::now() < until,
                "{error:?}"
            );
            let retryable = [ErrorCode::NotCoordinator, ErrorCode::Fenced, ErrorCode::Deadline];
            ensure!(retryable.contains(&error.code), "{error:?}");
            sleep(Duration::from_millis(50)).await;
        }
        executed += 1;
    }
    Ok(executed)
}

/// The body is always another one. So only its sender can be recognized.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_ever_new_unstoppable_writes_is_refused_and_takes_no_connection() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let uri = format!("{}&maxPoolSize={CONNECTIONS}", set.uri());
    let database = Database::connect(&uri, "app_burn_again").await?;
    let fence = Fence::new(database.clone());
    let pipeline = Pipeline::start(database, fence.clone(), Settings::default());
    let epoch = fence.claim("s1", "1").await?;
    pipeline.lead(epoch).await?;
    let s1 = Coordinator {
        fence,
        pipeline,
        epoch,
    };
    let documents: Vec<String> = (0..CONNECTIONS).map(|n| format!(r#"{{"_id":{n}}}"#)).collect();
    let documents = documents.join(",");
    s1.reply(&format!(r#"{{"insert":"burn","documents":[{documents}]}}"#))
        .await?;
    let renewing = renewing(&s1);
    let (stop, stopped) = watch::channel(false);
    let neighbour = tokio::spawn(neighbour(s1.pipeline.clone(), stopped));

    let bad = SourceId::in_group(7);
    for n in 0..2 {
        let error = burn(&s1, bad, n).await?;
        assert_eq!(error.code, ErrorCode::Mongo, "{error:?}");
    }
    let error = burn(&s1, bad, 9).await?;
    assert_eq!(error.code, ErrorCode::Overloaded, "{error:?}");
    assert!(error.message.contains("connection"), "{error:?}");
    assert!(error.retry_after_ms > Some(60_000), "{error:?}");
    // Its address has other connections.
    for n in 2..4 {
        let error = burn(&s1, SourceId::in_group(7), n).await?;
        assert_eq!(error.code, ErrorCode::Mongo, "{error:?}");
    }
    let error = burn(&s1, SourceId::in_group(8), 4).await?;
    assert_eq!(error.code, ErrorCode::Mongo, "{error:?}");

    // MongoDB works on as many writes as the driver may have connections, and none is missing.
    let until = Duration::from_secs(40);
    until_executed(&s1, r#"{"insert":"after","documents":[{}]}"#, until).await?;
    stop.send_replace(true);
    let executed = neighbour.await??;
    assert!(executed > 0);
    for _ in 0..20 {
        s1.reply(r#"{"insert":"after","documents":[{}]}"#).await?;
        s1.reply(r#"{"find":"after"}"#).await?;
    }
    let counted = s1
        .reply(r#"{"aggregate":"innocent","pipeline":[{"$count":"n"}]}"#)
        .await?;
    let counted = &counted["cursor"]["firstBatch"][0]["n"]["$numberInt"];
    assert_eq!(*counted, executed.to_string());
    renewing.abort();
    s1.pipeline.retire().await;
    Ok(())
}
