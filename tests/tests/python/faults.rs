use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::Outcome;
use bellwether_testkit::{Cluster, ReplicaSet};
use bson::{Document, doc};
use futures_util::TryStreamExt;
use mongodb::Client;
use serde::Deserialize;
use tokio::time::sleep;

use crate::program::python;

const CLIENTS: &str = "6";

/// One insert, as `clients/python/tests/load.py` prints it.
#[derive(Debug, Deserialize)]
struct Insert {
    key: String,
    outcome: Outcome,
    /// It had time enough for an election.
    patient: bool,
    told: Vec<String>,
}

/// Each coordinator in turn is killed, or paused and resumed after another has taken over, while
/// the clients write. Each acknowledged insert is there exactly once, and each client's outcome is
/// true.
#[tokio::test(flavor = "multi_thread")]
async fn every_insert_is_there_as_its_client_was_told() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    let urls = cluster.urls();
    let mut args = vec!["tests/load.py", CLIENTS];
    args.extend(urls.iter().map(String::as_str));
    let mut load = python(&args)
        .await?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = load.stdin.take();
    let play = async {
        for paused in [false, true, false, true] {
            sleep(Duration::from_millis(500)).await;
            let before = cluster.all_agree().await?;
            let process = &mut cluster.servers[before.coordinator].process;
            if paused {
                process.pause()?;
            } else {
                process.kill()?;
            }
            let after = cluster.agreement().await?;
            assert_ne!(after.coordinator, before.coordinator);
            // The clients that wait for the silent server notice the new coordinator.
            sleep(Duration::from_millis(1_500)).await;
            let process = &mut cluster.servers[before.coordinator].process;
            if paused {
                process.resume()?;
            } else {
                process.restart()?;
            }
        }
        cluster.all_agree().await?;
        drop(stdin);
        anyhow::Ok(())
    };
    let (played, output) = tokio::join!(play, load.wait_with_output());
    played?;
    let output = output?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the clients failed: {said}");
    ensure!(said.is_empty(), "the clients complain: {said}");
    let printed = String::from_utf8(output.stdout)?;
    let inserts: Vec<Insert> = printed
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("a client printed {line}")))
        .collect::<Result<_>>()?;
    check(&inserts, set.client()).await
}

/// Compares the outcomes with the data.
async fn check(inserts: &[Insert], client: &Client) -> Result<()> {
    let mut found: HashMap<String, usize> = HashMap::new();
    let collection = client.database("app").collection::<Document>("python");
    let mut documents = collection.find(doc! {}).await?;
    while let Some(document) = documents.try_next().await? {
        *found.entry(document.get_str("key")?.to_owned()).or_default() += 1;
    }
    let doubtful = inserts.iter().filter(|insert| !insert.told.is_empty());
    println!(
        "{} inserts, of which {} were told an error first",
        inserts.len(),
        doubtful.count()
    );
    for insert in inserts {
        let count = found.remove(&insert.key).unwrap_or(0);
        let right = match insert.outcome {
            Outcome::Executed => count == 1,
            Outcome::NotExecuted => count == 0,
            Outcome::Unknown => count <= 1,
        };
        ensure!(right, "it is there {count} times: {insert:?}");
        // With 30 s, an election of the servers is no reason to fail, and it is none for a client
        // that asks again.
        ensure!(
            insert.outcome == Outcome::Executed || !insert.patient && insert.outcome == Outcome::NotExecuted,
            "its client gave up: {insert:?}"
        );
    }
    ensure!(found.is_empty(), "documents nobody inserted: {:?}", found.keys());
    ensure!(!inserts.is_empty(), "no client inserted anything");
    Ok(())
}
