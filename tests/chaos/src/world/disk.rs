use std::time::Duration;

use anyhow::{Context, Result};
use bellwether_testkit::Member;
use bson::doc;

/// Time limit for a member's confirmation.
const PATIENCE: Duration = Duration::from_secs(2);

/// MongoDB's own fail points: neither its journal nor its data is written to the disk any more.
const FAIL_POINTS: [&str; 2] = ["pauseJournalFlusherBeforeFlush", "pauseCheckpointThread"];

/// Has a member's disk take no more writes, or take them again.
pub(super) async fn stall(member: &Member, stalled: bool) -> Result<()> {
    let mode = if stalled { "alwaysOn" } else { "off" };
    for fail_point in FAIL_POINTS {
        let admin = member.direct.database("admin");
        // The driver's futures must not be dropped half done.
        let switched = tokio::spawn(async move {
            let command = doc! { "configureFailPoint": fail_point, "mode": mode };
            admin.run_command(command).await
        });
        tokio::time::timeout(PATIENCE, switched)
            .await
            .with_context(|| format!("{} does not answer", member.process.name()))??
            .with_context(|| format!("switching {fail_point} to {mode}"))?;
    }
    Ok(())
}
