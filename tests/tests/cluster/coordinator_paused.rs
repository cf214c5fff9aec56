//! A coordinator that is paused for longer than the timeout and then goes on as if nothing had
//! happened.

use std::time::Duration;

use anyhow::Result;
use bellwether_protocol::ServerFrame;
use bellwether_testkit::{Cluster, Connection, Load, ReplicaSet, mint};
use bson::{Document, doc};
use mongodb::Client;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn it_commits_nothing_under_its_old_epoch() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    let load = Load::start(&cluster.urls(), 6, "paused")?;
    for _ in 0..5 {
        let before = cluster.all_agree().await?;
        let old = before.coordinator;
        let (mut connection, hello) = Connection::greeted(&cluster.servers[old].url()).await?;
        cluster.servers[old].process.pause()?;
        // It lies in the paused server's receive buffer: the first thing it sees when it goes on.
        let id = mint(hello.server_time_ms);
        connection
            .command(id, r#"{"insert":"late","documents":[{}]}"#)
            .await?;
        let after = cluster.agreement().await?;
        assert_ne!(after.coordinator, old);
        assert!(after.epoch > before.epoch);

        let committed = committed_up_to(set.client(), before.epoch).await?;
        cluster.servers[old].process.resume()?;
        // It may answer that it is no coordinator, or execute it after it was elected again, but
        // not as if nothing had happened.
        if let ServerFrame::Result(result) = connection.receive().await? {
            assert!(
                result.epoch > before.epoch,
                "executed in the old epoch: {result:?}"
            );
        }
        let again = cluster.all_agree().await?;
        assert!(again.epoch >= after.epoch);
        sleep(Duration::from_millis(200)).await;
        assert_eq!(
            committed_up_to(set.client(), before.epoch).await?,
            committed,
            "epoch {}",
            before.epoch
        );
    }
    let report = load.finish().await?;
    report.check(set.client()).await?;
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    Ok(())
}

/// Counts the commands that were committed in this epoch and the epochs before.
async fn committed_up_to(client: &Client, epoch: u64) -> Result<u64> {
    let records = client.database("app_bellwether").collection::<Document>("ledger");
    let epoch = i64::try_from(epoch)?;
    Ok(records
        .count_documents(doc! { "_id": { "$ne": "fence" }, "epoch": { "$lte": epoch } })
        .await?)
}
