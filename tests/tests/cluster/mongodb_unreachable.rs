//! No MongoDB: no server may be coordinator, and clients get an error at once instead of waiting.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bellwether_protocol::{ErrorCode, Outcome, RoleName, ServerFrame};
use bellwether_testkit::{
    Cluster, ClusterOptions, Connection, FailPoint, ReplicaSet, execute, execute_within, free_ports,
    http_get, mint, wait_until,
};
use bson::doc;
use tokio::time::sleep;

const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_coordinator_and_clients_are_told() -> Result<()> {
    let nobody = free_ports(3)?
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect::<Vec<_>>()
        .join(",");
    let cluster = Cluster::spawn(ClusterOptions::new(format!("mongodb://{nobody}/?replicaSet=rs0"))).await?;
    wait_until("the servers to see each other and miss MongoDB", async || {
        for server in &cluster.servers {
            let status = server.status().await?;
            ensure!(
                status.peers.iter().all(|peer| peer.connected),
                "{}: {:?}",
                server.id,
                status.peers
            );
            ensure!(
                !status.mongodb.available && status.mongodb.error.is_some(),
                "{:?}",
                status.mongodb
            );
        }
        Ok(())
    })
    .await?;

    for _ in 0..30 {
        for server in &cluster.servers {
            let status = server.status().await?;
            assert_eq!(status.role, RoleName::Electing, "{}", server.id);
            assert_eq!(status.coordinator, None, "{}", server.id);
        }
        sleep(Duration::from_millis(50)).await;
    }
    for server in &cluster.servers {
        assert_eq!(http_get(server.port, "/livez", &[]).await?.status, 200);
        let ready = http_get(server.port, "/readyz", &[]).await?;
        assert_eq!(ready.status, 503);
        let body: serde_json::Value = serde_json::from_str(&ready.body)?;
        assert_eq!(body["ready"], false);
        assert!(
            body["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("MongoDB")),
            "{body}"
        );

        let (mut connection, hello) = Connection::greeted(&server.url()).await?;
        connection.command(mint(hello.server_time_ms), INSERT).await?;
        let ServerFrame::Error(error) = connection.receive().await? else {
            bail!("expected an error")
        };
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::NoCoordinator, Outcome::NotExecuted)
        );
        assert!(
            error.message.contains("MongoDB") || error.hint.is_some(),
            "{error:?}"
        );
    }

    let failure = execute_within(Duration::from_secs(6), &cluster.urls(), INSERT)
        .await?
        .expect_err("nobody can execute it");
    assert_eq!(failure.outcome, Outcome::NotExecuted);
    assert_eq!(failure.attempts.len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_resume_when_mongodb_comes_back() -> Result<()> {
    let mut set = ReplicaSet::start_quick(3).await?;
    let cluster = Cluster::start(set.uri()).await?;
    execute(&cluster.urls(), INSERT).await??;
    for member in &mut set.members {
        member.process.kill()?;
    }
    wait_until("the servers to miss MongoDB", async || {
        for server in &cluster.servers {
            ensure!(
                !server.status().await?.mongodb.available,
                "{} does not",
                server.id
            );
        }
        Ok(())
    })
    .await?;
    let failure = execute_within(Duration::from_secs(6), &cluster.urls(), INSERT)
        .await?
        .expect_err("there is no MongoDB");
    assert_eq!(failure.outcome, Outcome::NotExecuted, "{failure:?}");

    for member in &mut set.members {
        member.process.restart()?;
    }
    set.all_follow().await?;
    execute(&cluster.urls(), INSERT).await??;
    Ok(())
}

/// The outcome of the commit is in MongoDB, where the next coordinator finds it. That coordinator
/// must not wait meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_to_end_leaves_a_commit_in_doubt_to_others() -> Result<()> {
    let mut set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let coordinator = cluster.all_agree().await?.coordinator;
    let coordinator = &cluster.servers[coordinator];
    let (mut connection, hello) = Connection::greeted(&coordinator.url()).await?;
    let held = FailPoint::on(set.client(), "hangBeforeCommitingTxn", doc! {}).await?;
    // The command's own time is not over before the server ends.
    let id = mint(hello.server_time_ms);
    let insert = format!(r#"{{"type":"command","id":"{id}","deadline_ms":60000,"command":{INSERT}}}"#);
    connection.send_text(insert).await?;
    held.entered().await?;
    for member in &mut set.members {
        member.process.pause()?;
    }
    wait_until("the coordinator to miss MongoDB", async || {
        ensure!(!coordinator.status().await?.mongodb.available, "it does not");
        Ok(())
    })
    .await?;

    coordinator.process.terminate()?;
    let ServerFrame::Error(error) = connection.receive().await? else {
        bail!("expected an error")
    };
    assert_eq!(
        (error.code, error.outcome),
        (ErrorCode::DatabaseUnavailable, Outcome::Unknown)
    );
    Ok(())
}
