//! A server that can dial the others, while no process answers at the address that they have for
//! it, as after a move.

use anyhow::{Result, ensure};
use bellwether_testkit::{Cluster, ClusterOptions, Load, ReplicaSet, unless_stalled};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_answered_and_leads_or_follows_like_any_other() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut tries = 0;
    // A machine that stands still has further elections.
    unless_stalled(async || {
        tries += 1;
        come_and_go(&set, &format!("moved_{tries}")).await
    })
    .await
}

/// Kills and restarts the server three times, while clients write to the collection.
async fn come_and_go(set: &ReplicaSet, collection: &str) -> Result<()> {
    // Accepts, and never sends anything.
    let hole = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut cluster = Cluster::start_with(ClusterOptions {
        numbers: vec![1, 2, 3],
        args: vec!["--peer".into(), format!("s3={}", hole.local_addr()?).into()],
        ..ClusterOptions::new(set.uri())
    })
    .await?;
    let load = Load::start(&cluster.urls(), 6, collection)?;
    for _ in 0..3 {
        let before = cluster.all_agree().await?;
        ensure!(before.coordinator == 2, "{before:?}");
        cluster.servers[2].process.kill()?;
        let between = cluster.agreement().await?;
        ensure!(between.coordinator == 1, "{between:?} after {before:?}");
        cluster.servers[2].process.restart()?;
        // The server joins and gets a handover. In that moment it may be ineligible, as it has not
        // seen MongoDB yet, or its link may be lost. Then the other servers become coordinator
        // first, each once; no server does so again and again.
        let after = cluster.all_agree().await?;
        let handed = after.epoch - between.epoch;
        ensure!((1..=3).contains(&handed), "{after:?} after {between:?}");
    }
    let report = load.finish().await?;
    report.check(set.client()).await?;
    ensure!(report.failures().is_empty(), "{:#?}", report.failures());
    Ok(())
}
