use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};
use bellwether_client::ServerList;
use bellwether_testkit::{Cluster, ClusterOptions, Failover, Process, ReplicaSet, ReplicaSetOptions};
use tempfile::TempDir;

use crate::gauge::Gauge;

/// A replica set and three servers in front of it.
pub(crate) struct Bed {
    // Dropped in this order, the servers first.
    pub(crate) cluster: Cluster,
    pub(crate) replica_set: ReplicaSet,
    _logs: TempDir,
}

impl Bed {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(Vec::new()).await
    }

    /// Starts the servers with further arguments.
    pub(crate) async fn start_with(args: Vec<OsString>) -> Result<Self> {
        Self::start_for(|options| ClusterOptions { args, ..options }).await
    }

    /// Starts servers with these numbers, which serve the page from this directory.
    pub(crate) async fn start_for_page(www: PathBuf, numbers: &[u64]) -> Result<Self> {
        Self::start_for(|options| ClusterOptions {
            www: Some(www),
            numbers: numbers.to_vec(),
            ..options
        })
        .await
    }

    async fn start_for(change: impl FnOnce(ClusterOptions) -> ClusterOptions) -> Result<Self> {
        let replica_set = ReplicaSet::start_with(ReplicaSetOptions {
            test_commands: false,
            failover: Failover::Quick,
            ..ReplicaSetOptions::default()
        })
        .await?;
        let (cluster, logs) = start(change(ClusterOptions::new(replica_set.uri()))).await?;
        Ok(Self {
            cluster,
            replica_set,
            _logs: logs,
        })
    }

    /// Returns the coordinator's port for clients, when all servers agree on the coordinator.
    pub(crate) async fn coordinator_port(&mut self) -> Result<u16> {
        let agreement = self.cluster.all_agree().await?;
        Ok(self.cluster.servers[agreement.coordinator].port)
    }

    /// Reads the use of the machine by all processes so far.
    pub(crate) fn gauge(&self) -> Gauge {
        let servers = self.cluster.servers.iter().map(|server| &server.process);
        let members = self.replica_set.members.iter().map(|member| &member.process);
        Gauge {
            servers: servers.map(Process::pid).collect(),
            mongods: members.map(Process::pid).collect(),
            client: self.replica_set.client().clone(),
        }
    }
}

/// Starts three servers in front of this replica set. Their logs are of no interest as long as all
/// goes well.
pub(crate) async fn servers(replica_set: &ReplicaSet, args: Vec<OsString>) -> Result<(Cluster, TempDir)> {
    let options = ClusterOptions::new(replica_set.uri());
    start(ClusterOptions { args, ..options }).await
}

async fn start(options: ClusterOptions) -> Result<(Cluster, TempDir)> {
    let logs = TempDir::with_prefix("bellwether-bench-").context("making a directory for logs")?;
    let options = ClusterOptions {
        logs: Some(logs.path().to_path_buf()),
        ..options
    };
    Ok((Cluster::start_with(options).await?, logs))
}

/// Returns the cluster's list as a client may have it, with this server first.
pub(crate) fn list_from(cluster: &Cluster, first: usize) -> Result<ServerList> {
    let mut urls = cluster.urls();
    let count = urls.len();
    urls.rotate_left(first % count);
    Ok(urls.join(",").parse()?)
}
