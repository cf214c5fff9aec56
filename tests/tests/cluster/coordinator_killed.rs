//! `kill -9` of the coordinator while clients write.

use std::time::Duration;

use anyhow::Result;
use bellwether_testkit::{Cluster, Load, ReplicaSet};
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_insert_is_there_exactly_once() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    let load = Load::start(&cluster.urls(), 6, "killed")?;
    let mut epoch = 0;
    for _ in 0..4 {
        let before = cluster.all_agree().await?;
        assert!(before.epoch > epoch);
        sleep(Duration::from_millis(300)).await;
        cluster.servers[before.coordinator].process.kill()?;
        let after = cluster.agreement().await?;
        assert_ne!(after.coordinator, before.coordinator);
        assert!(after.epoch > before.epoch);
        epoch = before.epoch;
        sleep(Duration::from_millis(300)).await;
        cluster.servers[before.coordinator].process.restart()?;
    }
    let report = load.finish().await?;
    report.check(set.client()).await?;
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    Ok(())
}
