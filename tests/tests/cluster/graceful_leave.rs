//! SIGTERM: a server finishes its commands in progress, hands over and ends.

use anyhow::Result;
use bellwether_testkit::{Cluster, Load, ReplicaSet};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_end_hands_over_and_exits_with_0() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let load = Load::start(&cluster.urls(), 4, "leaving")?;

    let before = cluster.all_agree().await?;
    let coordinator = &mut cluster.servers[before.coordinator].process;
    coordinator.terminate()?;
    let status = coordinator.ended().await?;
    assert_eq!(status.code(), Some(0), "the coordinator");
    let after = cluster.agreement().await?;
    assert!(after.epoch > before.epoch);

    let follower = 3 - before.coordinator - after.coordinator;
    let follower = &mut cluster.servers[follower].process;
    follower.terminate()?;
    assert_eq!(follower.ended().await?.code(), Some(0), "a follower");
    assert_eq!(
        cluster.agreement().await?,
        after,
        "a follower that leaves changes nothing for the others"
    );

    let report = load.finish().await?;
    report.check(set.client()).await?;
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    Ok(())
}
