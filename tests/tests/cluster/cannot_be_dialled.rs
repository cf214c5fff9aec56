//! A server that can dial the others, while no process answers at the address that they have for
//! it, as after a move.

use anyhow::{Result, ensure};
use bellwether_testkit::{Cluster, ClusterOptions, Load, ReplicaSet};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_answered_and_leads_or_follows_like_any_other() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    // Accepts, and never sends anything.
    let hole = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut cluster = Cluster::start_with(ClusterOptions {
        numbers: vec![1, 2, 3],
        args: vec!["--peer".into(), format!("s3={}", hole.local_addr()?).into()],
        ..ClusterOptions::new(set.uri())
    })
    .await?;
    let load = Load::start(&cluster.urls(), 6, "moved")?;
    for _ in 0..3 {
        let before = cluster.all_agree().await?;
        assert_eq!(before.coordinator, 2);
        cluster.servers[2].process.kill()?;
        let between = cluster.agreement().await?;
        assert_eq!(between.coordinator, 1);
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
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    Ok(())
}
