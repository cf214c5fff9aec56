//! A command whose effect is committed and whose reply never arrives; and other repeats of an id.

use anyhow::{Result, bail};
use bellwether_protocol::{ErrorCode, Outcome, ServerFrame};
use bellwether_testkit::{Cluster, Connection, ReplicaSet, ReplyCutter, execute, mint};
use bson::{Document, doc};

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_retry_gets_the_stored_reply() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let coordinator = cluster.all_agree().await?.coordinator;
    let cutter = ReplyCutter::start(cluster.servers[coordinator].url()).await?;

    let executed = execute(&[cutter.url()], INSERT).await??;
    assert!(cutter.has_cut());
    assert_eq!(cutter.passed(), 1);
    assert!(executed.replayed);
    let reply: Document = serde_json::from_str(executed.result.as_str())?;
    assert_eq!(
        bson::Bson::from(reply)
            .as_document()
            .and_then(|reply| reply.get("n").cloned()),
        Some(1.into())
    );
    assert_eq!(notes(&set).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_has_no_second_effect_whoever_is_coordinator() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let first = cluster.all_agree().await?;
    let (mut connection, hello) = Connection::greeted(&cluster.servers[first.coordinator].url()).await?;
    let id = mint(hello.server_time_ms);

    connection.command(id, INSERT).await?;
    let original = result(connection.receive().await?)?;
    assert!(!original.replayed);
    connection.command(id, INSERT).await?;
    let repeat = result(connection.receive().await?)?;
    assert!(repeat.replayed);

    cluster.servers[first.coordinator].process.kill()?;
    let second = cluster.agreement().await?;
    let (mut connection, _) = Connection::greeted(&cluster.servers[second.coordinator].url()).await?;
    connection.command(id, INSERT).await?;
    let elsewhere = result(connection.receive().await?)?;
    assert!(elsewhere.replayed);
    for again in [repeat, elsewhere] {
        assert_eq!(again.result.as_str(), original.result.as_str());
        assert_eq!(
            again.epoch, original.epoch,
            "the epoch of the execution, not of the answer"
        );
    }
    assert_eq!(notes(&set).await?, 1);

    connection
        .command(
            id,
            r#"{"insert":"notes","documents":[{"text":"something else"}]}"#,
        )
        .await?;
    let ServerFrame::Error(error) = connection.receive().await? else {
        bail!("expected an error")
    };
    assert_eq!(error.code, ErrorCode::IdReused);
    assert_eq!(error.id, Some(id));
    assert_eq!(notes(&set).await?, 1);

    let old = mint(1_000_000_000_000);
    connection.command(old, INSERT).await?;
    let ServerFrame::Error(error) = connection.receive().await? else {
        bail!("expected an error")
    };
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::IdExpired, Outcome::NotExecuted)
    );
    assert_eq!(notes(&set).await?, 1);
    Ok(())
}

fn result(frame: ServerFrame) -> Result<bellwether_protocol::CommandResult> {
    match frame {
        ServerFrame::Result(result) => Ok(result),
        other => bail!("expected a result, not {other:?}"),
    }
}

async fn notes(set: &ReplicaSet) -> Result<u64> {
    Ok(set
        .client()
        .database("app")
        .collection::<Document>("notes")
        .count_documents(doc! {})
        .await?)
}
