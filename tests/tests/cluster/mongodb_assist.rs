//! A MongoDB primary that is killed is replaced at the coordinator's request, not by MongoDB's own
//! timeout.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_testkit::{
    Cluster, ClusterOptions, Failover, ReplicaSet, ReplicaSetOptions, execute_within, wait_until,
};
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
async fn the_successor_asks_when_the_coordinator_dies_with_the_primary() -> Result<()> {
    let mut set = start_slow().await?;
    let mut cluster = Cluster::start_with(ClusterOptions {
        numbers: vec![1, 2, 3],
        ..assisting(&set)
    })
    .await?;
    let before = cluster.all_agree().await?;
    assert_eq!(before.coordinator, 2);
    execute_within(PATIENT, &cluster.urls(), INSERT).await??;
    let term = term(&set).await?;

    // Paused first, so that it cannot act between the two kills: no server notices the pause before
    // it is dead.
    let primary = set.wait_for_primary().await?;
    cluster.servers[before.coordinator].process.pause()?;
    set.members[primary].process.kill()?;
    cluster.servers[before.coordinator].process.kill()?;
    execute_within(PATIENT, &cluster.urls()[..2], INSERT).await??;

    // One election, at the request of the successor: MongoDB's own would have had another reason.
    assert_eq!(reason_of_last_election(&set).await?, "stepUpRequest");
    assert_eq!(self::term(&set).await?, term + 1);
    let asked: Vec<bool> = logs(&cluster)?.iter().map(|log| log.contains(ASKING)).collect();
    assert_eq!(asked, [false, true, false]);
    let log = &logs(&cluster)?[1];
    let helped = log.find("MongoDB has a primary again").context("it has helped")?;
    // A busy MongoDB may not grant its first claim in time. Then the other server becomes
    // coordinator.
    match cluster.agreement().await?.coordinator {
        1 => {
            let executing = log.rfind("executing commands").context("it executes commands")?;
            assert!(helped < executing, "{log}");
        }
        other => assert_eq!(other, 0, "{log}"),
    }
    Ok(())
}

/// Two clusters in front of one replica set: each has a coordinator that asks.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_ask_at_once_do_no_harm() -> Result<()> {
    let mut set = start_slow().await?;
    let one_server = |database: &str| ClusterOptions {
        servers: 1,
        database: database.into(),
        ..assisting(&set)
    };
    let (one, other) = (one_server("one"), one_server("other"));
    let clusters = [Cluster::start_with(one).await?, Cluster::start_with(other).await?];
    for cluster in &clusters {
        execute_within(PATIENT, &cluster.urls(), INSERT).await??;
    }
    let term = term(&set).await?;

    let primary = set.wait_for_primary().await?;
    set.members[primary].process.kill()?;
    for cluster in &clusters {
        execute_within(PATIENT, &cluster.urls(), INSERT).await??;
    }
    assert_eq!(reason_of_last_election(&set).await?, "stepUpRequest");
    assert_eq!(self::term(&set).await?, term + 1, "one election is enough");
    let mut said = String::new();
    for cluster in &clusters {
        said.push_str(&logs(cluster)?.concat());
    }
    assert!(said.contains(ASKING));
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
    let mut set = ReplicaSet::start_quick(3).await?;
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

/// Starts a replica set whose own failover is so slow that the coordinator asks before.
async fn start_slow() -> Result<ReplicaSet> {
    ReplicaSet::start_with(ReplicaSetOptions {
        failover: Failover::Default,
        ..ReplicaSetOptions::default()
    })
    .await
}

async fn start_assisting(set: &ReplicaSet) -> Result<Cluster> {
    Cluster::start_with(assisting(set)).await
}

fn assisting(set: &ReplicaSet) -> ClusterOptions {
    ClusterOptions {
        args: vec!["--assist-failover".into()],
        ..ClusterOptions::steady(set.uri())
    }
}

/// Returns the number of MongoDB's elections so far.
async fn term(set: &ReplicaSet) -> Result<i64> {
    let primary = set.wait_for_primary().await?;
    let admin = set.members[primary].direct.database("admin");
    let status = admin.run_command(doc! { "replSetGetStatus": 1 }).await?;
    Ok(status.get_i64("term")?)
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
