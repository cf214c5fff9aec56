//! The elected coordinator when servers come and go, without any fault in between.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::Outcome;
use bellwether_testkit::{Cluster, ClusterOptions, ReplicaSet, execute, execute_within, wait_until};

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

#[tokio::test]
async fn the_largest_number_is_coordinator_and_everyone_says_so() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let options = ClusterOptions {
        numbers: vec![10, u64::MAX, 20],
        ..ClusterOptions::steady(set.uri())
    };
    let mut cluster = Cluster::start_with(options).await?;
    let agreement = cluster.all_agree().await?;
    assert_eq!(agreement.coordinator, 1);
    // A machine that stands still may cost a server its links, or MongoDB, for a moment.
    wait_until("every server to say so", async || {
        for (server, number) in cluster.servers.iter().zip([10, u64::MAX, 20]) {
            let status = server.status().await?;
            ensure!(status.server == server.id, "{status:?}");
            ensure!(status.number == number.to_string(), "{status:?}");
            let coordinator = status.coordinator.context("no coordinator")?;
            let url = cluster.servers[1].url();
            ensure!(coordinator.url.as_ref() == Some(&url), "{coordinator:?}");
            ensure!(status.mongodb.available, "{:?}", status.mongodb);
            let mut peers = status.peers.iter();
            let linked = peers.all(|peer| peer.connected && peer.number.is_some());
            ensure!(linked, "{:?}", status.peers);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_equal_numbers_the_largest_id_is_coordinator() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let options = ClusterOptions {
        numbers: vec![7, 7, 7],
        ..ClusterOptions::steady(set.uri())
    };
    let mut cluster = Cluster::start_with(options).await?;
    assert_eq!(cluster.all_agree().await?.coordinator, 2);
    Ok(())
}

#[tokio::test]
async fn servers_come_and_go() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start(set.uri()).await?;

    // Each in turn; `all_agree` checks that the largest number wins.
    for index in 0..cluster.servers.len() {
        let old_number = cluster.servers[index].status().await?.number;
        let epoch = cluster.all_agree().await?.epoch;
        cluster.servers[index].process.restart()?;
        let agreement = cluster.all_agree().await?;
        assert_ne!(
            cluster.servers[index].status().await?.number,
            old_number,
            "a start draws a new number"
        );
        assert!(agreement.epoch >= epoch);
        execute(&cluster.urls(), INSERT).await??;
    }

    // Only one server is left, the smallest: MongoDB grants epochs, and no majority of servers is
    // needed.
    for _ in 0..2 {
        let coordinator = cluster.agreement().await?.coordinator;
        cluster.servers[coordinator].process.kill()?;
    }
    let alone = cluster.agreement().await?;
    execute(&cluster.urls(), INSERT).await??;

    // None left.
    cluster.servers[alone.coordinator].process.kill()?;
    let failure = execute_within(Duration::from_secs(6), &cluster.urls(), INSERT)
        .await?
        .expect_err("no server runs");
    assert_eq!(failure.outcome, Outcome::NotExecuted);
    assert_eq!(failure.attempts.len(), 3, "{failure:?}");

    // And back.
    for server in &mut cluster.servers {
        server.process.restart()?;
    }
    let agreement = cluster.all_agree().await?;
    assert!(agreement.epoch > alone.epoch);
    execute(&cluster.urls(), INSERT).await??;
    Ok(())
}
