//! A MongoDB primary that is killed is replaced at the coordinator's request, not by MongoDB's own timeout.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_tests::{Cluster, ClusterOptions, ReplicaSet, ReplicaSetOptions, execute_within, wait_until};
use bson::doc;

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;
/// Longer than MongoDB's own failover, so that nothing here depends on how fast something is.
const PATIENT: Duration = Duration::from_secs(60);
const ASKING: &str = "asking a secondary to stand";
const WHAT_TO_GRANT: &str = "grant this server's user the action replSetStateChange";

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_stands_at_the_coordinators_request() -> Result<()> {
    let mut set = start_slow().await?;
    let mut cluster = start_assisting(&set).await?;
    let before = cluster.all_agree().await?;
    execute_within(PATIENT, &cluster.urls(), INSERT).await??;

    let killed = set.wait_for_primary().await?;
    set.members[killed].process.kill()?;
    execute_within(PATIENT, &cluster.urls(), INSERT).await??;
    assert_eq!(reason_of_last_election(&set).await?, "stepUpRequest");
    for (server, log) in logs(&cluster)?.iter().enumerate() {
        let asked = log.contains(ASKING);
        assert_eq!(
            asked,
            server == before.coordinator,
            "{}",
            cluster.servers[server].id
        );
        assert!(!log.contains(WHAT_TO_GRANT));
    }
    assert_eq!(
        cluster.all_agree().await?,
        before,
        "MongoDB's failover is none of the servers'"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_privilege_mongodb_takes_its_own_time_and_the_log_says_what_to_grant() -> Result<()> {
    let mut set = start_slow().await?;
    let cluster = start_assisting(&set).await?;
    execute_within(PATIENT, &cluster.urls(), INSERT).await??;
    for member in &set.members {
        let refuse = doc! {
            "configureFailPoint": "failCommand",
            "mode": "alwaysOn",
            "data": { "failCommands": ["replSetStepUp"], "errorCode": 13 },
        };
        member.direct.database("admin").run_command(refuse).await?;
    }

    let killed = set.wait_for_primary().await?;
    set.members[killed].process.kill()?;
    execute_within(PATIENT, &cluster.urls(), INSERT).await??;
    assert_eq!(reason_of_last_election(&set).await?, "electionTimeout");
    wait_until("the coordinator to say what to grant", async || {
        let said = logs(&cluster)?.concat().matches(WHAT_TO_GRANT).count();
        ensure!(said == 1, "it is said {said} times");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_only_silent_is_left_to_mongodb() -> Result<()> {
    let mut set = ReplicaSet::start(3).await?;
    let cluster = start_assisting(&set).await?;
    execute_within(PATIENT, &cluster.urls(), INSERT).await??;

    let paused = set.wait_for_primary().await?;
    set.members[paused].process.pause()?;
    execute_within(PATIENT, &cluster.urls(), INSERT).await??;
    set.members[paused].process.resume()?;
    set.all_follow().await?;
    assert!(!logs(&cluster)?.concat().contains(ASKING));
    Ok(())
}

/// A replica set whose own failover takes so long that the coordinator asks before.
async fn start_slow() -> Result<ReplicaSet> {
    ReplicaSet::start_with(ReplicaSetOptions {
        default_timing: true,
        ..ReplicaSetOptions::default()
    })
    .await
}

async fn start_assisting(set: &ReplicaSet) -> Result<Cluster> {
    Cluster::start_with(ClusterOptions {
        // On a machine with much else to do, no server is to find another silent.
        args: ["--assist-failover", "--timeout-ms", "5000"]
            .map(Into::into)
            .into(),
        ..ClusterOptions::new(set.uri())
    })
    .await
}

async fn reason_of_last_election(set: &ReplicaSet) -> Result<String> {
    let primary = set.wait_for_primary().await?;
    let admin = set.members[primary].direct.database("admin");
    let status = admin.run_command(doc! { "replSetGetStatus": 1 }).await?;
    let metrics = status.get_document("electionCandidateMetrics")?;
    let reason = metrics.get_str("lastElectionReason");
    Ok(reason.context("of the last election")?.to_owned())
}

fn logs(cluster: &Cluster) -> Result<Vec<String>> {
    let logs = cluster
        .servers
        .iter()
        .map(|server| Ok(fs::read_to_string(server.process.log())?));
    logs.collect()
}
