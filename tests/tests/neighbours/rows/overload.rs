//! Ten times as many clients as the queue has room for. Each comes back at the time that the answer
//! names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{ErrorCode, Outcome, ServerFrame};
use bellwether_testkit::{Cluster, ClusterOptions, ReplicaSet};
use bson::doc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::caller::Caller;
use crate::row::{Row, shown};

const QUEUE: usize = 24;
const CLIENTS: usize = 10 * QUEUE;
/// Number of commands of each client that are executed.
const COMMANDS: usize = 8;

pub(crate) fn rows() -> Vec<Row> {
    vec![Row::alone("coming_back_as_told_is_worth_it", || {
        Box::pin(coming_back())
    })]
}

async fn coming_back() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_with(ClusterOptions {
        args: vec!["--queue".into(), QUEUE.to_string().into()],
        ..ClusterOptions::steady(set.uri())
    })
    .await?;
    let before = cluster.all_agree().await?;
    let url = cluster.servers[before.coordinator].url();
    let refusals = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(insist(url.clone(), Arc::clone(&refusals)));
    }
    while let Some(client) = clients.join_next().await {
        client?.context("a client that comes back as it is told")?;
    }
    let (refusals, answers) = (refusals.load(Ordering::SeqCst), CLIENTS * COMMANDS);
    ensure!(
        refusals <= 2 * answers,
        "{refusals} refusals for {answers} answers"
    );
    ensure!(refusals > 0, "the queue was never full");
    let there = set
        .client()
        .database("app")
        .collection::<bson::Document>("c")
        .count_documents(doc! {})
        .await?;
    ensure!(usize::try_from(there)? == answers, "{there} documents are there");
    ensure!(
        cluster.agreement().await? == before,
        "another coordinator was elected"
    );
    Ok(())
}

/// Has all its commands executed, whatever it takes.
async fn insist(url: String, refusals: Arc<AtomicUsize>) -> Result<()> {
    let mut caller = Caller::open(&url).await?;
    let insert = r#"{"insert":"c","documents":[{}]}"#;
    for _ in 0..COMMANDS {
        let id = caller.new_id();
        loop {
            caller.send_as(id, insert, None).await?;
            match caller.answer(id).await? {
                ServerFrame::Result(_) => break,
                ServerFrame::Error(error)
                    if error.code == ErrorCode::Overloaded && error.outcome == Outcome::NotExecuted =>
                {
                    refusals.fetch_add(1, Ordering::SeqCst);
                    let told = error
                        .retry_after_ms
                        .context("it does not say when to come back")?;
                    sleep(Duration::from_millis(told)).await;
                }
                other => bail!("{}", shown(&other)),
            }
        }
    }
    Ok(())
}
