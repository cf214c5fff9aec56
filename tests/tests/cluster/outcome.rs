//! The question for the outcome of a command, by its id, to the present coordinator.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_client::native::Native;
use bellwether_client::{OneShot, Outcome};
use bellwether_protocol::{CommandId, ErrorCode, ErrorFrame, OutcomeResult, ServerFrame};
use bellwether_testkit::{Cluster, Connection, FailPoint, ReplicaSet, mint};
use bson::doc;

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_coordinator_tells_what_became_of_a_command() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let first = cluster.all_agree().await?;
    let (mut connection, hello) = Connection::greeted(&cluster.servers[first.coordinator].url()).await?;
    let id = mint(hello.server_time_ms);

    let before = outcome_result(&mut connection, id).await?;
    assert_eq!((before.outcome, before.epoch), (Outcome::NotExecuted, None));
    assert!(before.result.is_none());

    connection.command(id, INSERT).await?;
    let ServerFrame::Result(result) = connection.receive().await? else {
        bail!("it was not executed");
    };
    let after = outcome_result(&mut connection, id).await?;
    assert_eq!(
        (after.outcome, after.epoch),
        (Outcome::Executed, Some(first.epoch))
    );
    assert_eq!(
        after.result.context("the reply is kept")?.as_str(),
        result.result.as_str()
    );

    // A command that MongoDB refused has left nothing.
    let refused = mint(hello.server_time_ms);
    connection
        .command(
            refused,
            r#"{"update":"notes","updates":[{"q":{},"u":{"$wrong":1}}]}"#,
        )
        .await?;
    ensure!(matches!(connection.receive().await?, ServerFrame::Error(_)));
    assert_eq!(
        outcome_result(&mut connection, refused).await?.outcome,
        Outcome::NotExecuted
    );

    // A follower does not know the outcome, and names the coordinator.
    let follower = (first.coordinator + 1) % cluster.servers.len();
    let (mut elsewhere, _) = Connection::greeted(&cluster.servers[follower].url()).await?;
    let error = no_outcome_result(&mut elsewhere, id).await?;
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::NotCoordinator, Outcome::Unknown)
    );
    assert!(error.coordinator.is_some());

    // The outcome of an id this old is no longer known.
    let error = no_outcome_result(&mut connection, mint(1_000_000_000_000)).await?;
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::IdExpired, Outcome::Unknown)
    );

    cluster.servers[first.coordinator].process.kill()?;
    let one_shot = OneShot::new(Native::new(), cluster.urls().join(",").parse()?);
    let told = one_shot.outcome(id, |_| {}).await?;
    assert_eq!((told.outcome, told.epoch), (Outcome::Executed, Some(first.epoch)));
    let told = one_shot.outcome(mint(hello.server_time_ms), |_| {}).await?;
    assert_eq!(told.outcome, Outcome::NotExecuted);
    let documents = set.client().database("app").collection::<bson::Document>("notes");
    assert_eq!(documents.count_documents(doc! {}).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_command_waits_or_runs_it_is_not_called_executed() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let coordinator = cluster.all_agree().await?.coordinator;
    let (mut connection, hello) = Connection::greeted(&cluster.servers[coordinator].url()).await?;
    // The commit of the first is held back, so the second waits.
    let data = doc! {
        "failCommands": ["commitTransaction"],
        "appName": "bellwether",
        "blockConnection": true,
        "blockTimeMS": 2_000,
    };
    let held = FailPoint::times(set.client(), "failCommand", 1, data).await?;
    let (runs, waits) = (mint(hello.server_time_ms), mint(hello.server_time_ms));
    connection.command(runs, INSERT).await?;
    held.entered().await?;
    let (mut other, _) = Connection::greeted(&cluster.servers[coordinator].url()).await?;
    // Asked before the command comes. The answer may come before or after the execution, and is
    // true then.
    other.ask(waits).await?;
    connection.command(waits, INSERT).await?;
    other.ask(runs).await?;

    let mut outcome_results = Vec::new();
    for _ in 0..2 {
        outcome_results.push(told(other.receive().await?)?);
    }
    let of = |id: CommandId| {
        outcome_results
            .iter()
            .find(|outcome_result| outcome_result.id == id)
            .map(|outcome_result| outcome_result.outcome)
    };
    // The server answers questions after the batch in progress, so the outcome of the command that
    // ran is known.
    assert_eq!(of(runs), Some(Outcome::Executed));
    ensure!(of(waits).is_some());
    for _ in 0..2 {
        ensure!(matches!(connection.receive().await?, ServerFrame::Result(_)));
    }
    assert_eq!(
        outcome_result(&mut other, waits).await?.outcome,
        Outcome::Executed
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_settled_by_asking() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let first = cluster.all_agree().await?;
    // The coordinator dies inside the transaction, before the commit arrives.
    let data = doc! {
        "failCommands": ["commitTransaction"],
        "appName": "bellwether",
        "blockConnection": true,
        "blockTimeMS": 1_000,
    };
    let held = FailPoint::times(set.client(), "failCommand", 1, data).await?;
    let (mut connection, hello) = Connection::greeted(&cluster.servers[first.coordinator].url()).await?;
    let id = mint(hello.server_time_ms);
    connection.command(id, INSERT).await?;
    held.entered().await?;
    cluster.servers[first.coordinator].process.kill()?;

    let one_shot = OneShot::new(Native::new(), cluster.urls().join(",").parse()?);
    let told = one_shot
        .deadline(Duration::from_secs(50))
        .outcome(id, |_| {})
        .await?;
    // The answer stays true: no transaction of an earlier epoch commits any more.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let documents = set.client().database("app").collection::<bson::Document>("notes");
    let there = documents.count_documents(doc! {}).await?;
    match told.outcome {
        Outcome::Executed => assert_eq!(there, 1),
        Outcome::NotExecuted => assert_eq!(there, 0),
        Outcome::Unknown => bail!("a coordinator that does not hold the command knows"),
    }
    Ok(())
}

async fn outcome_result(connection: &mut Connection, id: CommandId) -> Result<OutcomeResult> {
    connection.ask(id).await?;
    told(connection.receive().await?)
}

fn told(frame: ServerFrame) -> Result<OutcomeResult> {
    match frame {
        ServerFrame::OutcomeResult(outcome_result) => Ok(outcome_result),
        other => bail!("expected an outcome_result, not {other:?}"),
    }
}

async fn no_outcome_result(connection: &mut Connection, id: CommandId) -> Result<ErrorFrame> {
    connection.ask(id).await?;
    match connection.receive().await? {
        ServerFrame::Error(error) => Ok(error),
        other => bail!("expected an error, not {other:?}"),
    }
}
