use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellwether_protocol::ServerFrame;
use bellwether_testkit::markdown::{line, table};
use bellwether_testkit::wait_until;
use bson::doc;
use serde::Serialize;
use tokio::time::sleep;

use super::innocents::{ask, to_coordinator};
use crate::bed::Bed;
use crate::statistics::{Spread, millis};

/// The command's own deadline.
const DEADLINE_MS: u64 = 1000;

/// The time without service.
#[derive(Serialize)]
pub(super) struct Recovery {
    /// In milliseconds, from the sending of the command to the first write executed after it;
    /// nothing if none was executed in a minute.
    took: Option<f64>,
    epochs: u64,
}

/// Sends an update that MongoDB works on for days and cannot stop, and waits until another client's
/// write is executed. The replica set is this function's own, and is killed afterwards.
pub(super) async fn recovery() -> Result<Recovery> {
    let mut bed = Bed::start().await?;
    let ports: Vec<u16> = bed.cluster.servers.iter().map(|server| server.port).collect();
    let before = bed.cluster.all_agree().await?;
    let app = bed.replica_set.client().database("app");
    app.collection("burn").insert_one(doc! { "_id": 1 }).await?;
    let mut expression = "1".to_owned();
    for _ in 0..4 {
        expression = format!(
            r#"{{"$reduce":{{"input":{{"$range":[0,1000]}},"initialValue":0,"in":{{"$add":["$$value",{expression}]}}}}}}"#
        );
    }
    let burn = format!(
        r#"{{"update":"burn","updates":[{{"q":{{"_id":1}},"u":[{{"$set":{{"x":{expression}}}}}]}}]}}"#
    );
    let mut bad = to_coordinator(&ports).await?;
    let began = Instant::now();
    let burning = tokio::spawn(async move { ask(&mut bad, &burn, Some(DEADLINE_MS)).await });
    // So that the others' write is not in the same batch.
    sleep(Duration::from_millis(100)).await;
    let served = wait_until("somebody's write to be executed", async || {
        let mut other = to_coordinator(&ports).await?;
        let insert = r#"{"insert":"fine","documents":[{}]}"#;
        let answer = ask(&mut other, insert, Some(30_000)).await?;
        ensure!(matches!(answer, ServerFrame::Result(_)), "{answer:?}");
        Ok(())
    })
    .await;
    let took = served.is_ok().then(|| millis(began.elapsed()));
    burning.abort();
    let after = bed.cluster.agreement().await?;
    Ok(Recovery {
        took,
        epochs: after.epoch - before.epoch,
    })
}

pub(super) fn show(recoveries: &[Recovery]) {
    line(&format!(
        "An update that MongoDB works on for days and cannot stop, with a `deadline_ms` of {DEADLINE_MS}: time from when it was sent \
         until another client's write is executed, in ms; median (least–most) of {} runs, each with a replica set of its own.\n",
        recoveries.len()
    ));
    let took = Spread::of(recoveries.iter().filter_map(|recovery| recovery.took));
    let never = recoveries
        .iter()
        .filter(|recovery| recovery.took.is_none())
        .count();
    let epochs: u64 = recoveries.iter().map(|recovery| recovery.epochs).sum();
    let cells = vec![
        "an update of four nested loops".to_owned(),
        took.show(|ms| format!("{ms:.0}")),
        never.to_string(),
        epochs.to_string(),
    ];
    table(&["", "time to recover", "not in a minute", "epochs"], &[cells]);
}
