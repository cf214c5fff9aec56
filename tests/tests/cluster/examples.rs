//! The server crate's examples behave as documented, run as programs of their own.

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{PATIENCE, ReplicaSet, server_example};
use bson::{Document, doc};
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn embedded_pipeline() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let said = run("embedded_pipeline", &set).await?;
    in_order(
        &said,
        &[
            "Leading in epoch 1.",
            "Inserted: {\"n\":",
            "Again, replayed (true): {\"n\":",
            "What became of it: executed, in epoch Some(1)",
            "Counted: {\"n\":{\"$numberInt\":\"1\"}",
            "Fenced by epoch 2; the command: not_executed",
            "Retired.",
        ],
    )?;
    assert_eq!(orders(&set).await?, 1, "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_server() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    let said = run("embedded_server", &set).await?;
    in_order(
        &said,
        &[
            "Coordinator in epoch 1.",
            "Executed in epoch 1: {\"n\":",
            "Executed in epoch 1: {\"cursor\":",
            "Left.",
        ],
    )?;
    assert_eq!(orders(&set).await?, 1, "{said}");
    Ok(())
}

/// Returns the output of the example, if it succeeds.
async fn run(example: &str, set: &ReplicaSet) -> Result<String> {
    let mut command = Command::new(server_example(example).await?);
    command.arg(set.uri()).kill_on_drop(true);
    let ended = timeout(PATIENCE, command.output())
        .await
        .with_context(|| format!("{example} does not end"))??;
    let said = String::from_utf8(ended.stdout)?;
    let complaints = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.success(),
        "{example}: {}\n{said}{complaints}",
        ended.status
    );
    Ok(said)
}

fn in_order(said: &str, expected: &[&str]) -> Result<()> {
    let lines: Vec<&str> = said.lines().collect();
    let as_expected = lines
        .iter()
        .zip(expected)
        .all(|(line, start)| line.starts_with(start));
    ensure!(lines.len() == expected.len() && as_expected, "{said}");
    Ok(())
}

async fn orders(set: &ReplicaSet) -> Result<u64> {
    let orders = set.client().database("embedded").collection::<Document>("orders");
    Ok(orders.count_documents(doc! {}).await?)
}
