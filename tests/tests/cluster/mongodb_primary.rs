//! MongoDB's own primary steps down, dies, or is paused, while clients write.

use std::time::Duration;

use anyhow::Result;
use bellwether_testkit::{Cluster, Load, ReplicaSet, execute};
use tokio::time::sleep;

const SOME_LOAD: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn commands_resume_and_nothing_is_lost_or_doubled() -> Result<()> {
    let mut set = ReplicaSet::start_quick(3).await?;
    let cluster = Cluster::start(set.uri()).await?;
    let load = Load::start(&cluster.urls(), 6, "failover")?;
    sleep(SOME_LOAD).await;

    set.step_down_primary().await?;
    set.wait_for_primary().await?;
    execute(
        &cluster.urls(),
        r#"{"insert":"notes","documents":[{"after":"step-down"}]}"#,
    )
    .await??;
    sleep(SOME_LOAD).await;

    let killed = set.wait_for_primary().await?;
    set.members[killed].process.kill()?;
    execute(
        &cluster.urls(),
        r#"{"insert":"notes","documents":[{"after":"kill"}]}"#,
    )
    .await??;
    sleep(SOME_LOAD).await;
    set.members[killed].process.restart()?;
    set.all_follow().await?;

    let paused = set.wait_for_primary().await?;
    set.members[paused].process.pause()?;
    execute(
        &cluster.urls(),
        r#"{"insert":"notes","documents":[{"after":"pause"}]}"#,
    )
    .await??;
    set.members[paused].process.resume()?;
    set.all_follow().await?;

    let report = load.finish().await?;
    report.check(set.client()).await?;
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    Ok(())
}
