//! The system under faults: a replica set, servers and hosts for clients.

mod clients;
mod cure;
mod disk;
mod inflict;
mod links;
mod options;
mod spoil;
mod unstoppable;
mod victims;
mod wall_clock;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_protocol::{RoleName, Status};
use bellwether_testkit::{Cluster, ClusterOptions, Failover, Host, ReplicaSet, ReplicaSetOptions};
use clap::ValueEnum;
use futures_util::future::join_all;
use mongodb::Client;
use tokio::time::timeout;

pub use clients::ClientsHost;
pub use options::WorldOptions;

use crate::fault::{Fault, Node};
use crate::network::{self, Network, NetworkHost};
use cure::Open;
use links::{OBSERVER, last_byte};
use wall_clock::WallClocks;

/// Number of `mongod`s: the smallest number of which one may fail.
const MEMBERS: usize = 3;

const MONGODB_PORT: u16 = 27_017;
const CLIENTS_PORT: u16 = 7001;
const PEERS_PORT: u16 = 7101;

/// Time limit for a server's status.
const STATUS_TIMEOUT: Duration = Duration::from_millis(300);

/// A replica set and servers, each process on a host of its own, and hosts for clients. It can
/// inflict and heal every kind of fault. This program itself is on a host that no fault ever
/// reaches.
///
/// Everything ends when it is dropped, or with this program.
#[derive(Debug)]
pub struct World {
    // Dropped in this order: each user before its dependency.
    cluster: Cluster,
    replica_set: ReplicaSet,
    network: Option<Network>,
    clocks: Option<WallClocks>,
    client_hosts: usize,
    open: BTreeMap<u64, Open>,
    next: u64,
}

/// A fault that is in force until it is healed.
#[derive(Debug)]
pub struct Inflicted {
    /// Its kind.
    pub fault: Fault,
    /// Its victims.
    pub nodes: Vec<Node>,
    /// Description, in one line for people.
    pub what: String,
    id: u64,
}

impl World {
    /// Starts everything and waits until all members follow a primary and all servers a
    /// coordinator.
    ///
    /// # Errors
    /// If something does not start, or the network cannot be created: see [`network::enclose`],
    /// which must be called first unless everything is on loopback.
    pub async fn start(options: WorldOptions) -> Result<Self> {
        ensure!(options.servers >= 1, "a world needs a server");
        ensure!(options.client_hosts >= 1, "a world needs a host for clients");
        fs::create_dir_all(&options.logs).with_context(|| format!("making {}", options.logs.display()))?;
        let network = if options.loopback {
            None
        } else {
            ensure!(
                network::is_enclosed(),
                "this program is not in a network namespace of its own, which it needs unless all are on loopback"
            );
            let nodes = links::nodes(options.servers, MEMBERS, options.client_hosts);
            let others: Vec<u8> = nodes.map(last_byte).collect();
            Some(Network::start(OBSERVER, &others, options.seed)?)
        };
        let replica_set = start_mongods(&options, network.as_ref()).await?;
        // A killed server leaves files of libfaketime in shared memory. They disappear only if the
        // shared memory is this program's own.
        let clocks = match network {
            Some(_) => WallClocks::new(&options.logs, options.servers)?,
            None => None,
        };
        let cluster = start_servers(&options, replica_set.uri(), network.as_ref(), clocks.as_ref()).await?;
        Ok(Self {
            cluster,
            replica_set,
            network,
            clocks,
            client_hosts: options.client_hosts,
            open: BTreeMap::new(),
            next: 0,
        })
    }

    /// Returns the faults that are possible here. On loopback there are no faults of the network
    /// and no jumps of clocks; elsewhere clocks jump only with libfaketime.
    pub fn possible(&self) -> BTreeSet<Fault> {
        let is_possible = |fault: &Fault| match fault {
            Fault::ClockJump => self.clocks.is_some(),
            Fault::CutPeers | Fault::CutPair if self.cluster.servers.len() == 1 => false,
            fault => self.network.is_some() || !fault.is_of_the_network(),
        };
        Fault::value_variants()
            .iter()
            .copied()
            .filter(is_possible)
            .collect()
    }

    /// Returns the servers' addresses, as clients get them.
    pub fn urls(&self) -> Vec<String> {
        self.cluster.urls()
    }

    /// Returns the observer's driver, which no fault cuts off. During a fault there may still be no
    /// primary.
    pub fn database(&self) -> &Client {
        self.replica_set.client()
    }

    /// Returns the servers and their processes, in order, for example to read their process ids.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns the replica set and its processes, in order, to read.
    pub fn replica_set(&self) -> &ReplicaSet {
        &self.replica_set
    }

    /// Returns the number of packets by fate until now, if the world has a network of its own.
    pub fn traffic(&self) -> Option<network::Traffic> {
        self.network.as_ref().map(Network::traffic)
    }

    /// Returns a host for clients. A place beyond the last one starts again at the first.
    pub fn clients_host(&self, place: usize) -> ClientsHost {
        let node = Node::Clients(place % self.client_hosts);
        ClientsHost::new(node, self.host(node).cloned())
    }

    /// Asks each server for its status, with a short time limit; a server with a fault gives none.
    pub async fn statuses(&self) -> Vec<Option<Status>> {
        let looks = self.cluster.servers.iter().map(async |server| {
            let answer = timeout(STATUS_TIMEOUT, server.status()).await;
            answer.ok()?.ok()
        });
        join_all(looks).await
    }

    /// Returns the place of the server that is coordinator, or of the newest one if several believe
    /// to be.
    pub(crate) async fn coordinator(&self) -> Option<usize> {
        let statuses = self.statuses().await.into_iter().enumerate();
        let coordinators = statuses.filter_map(|(place, status)| {
            let status = status.filter(|status| status.role == RoleName::Coordinator)?;
            Some((status.epoch, place))
        });
        coordinators.max().map(|(_, place)| place)
    }

    /// Returns all nodes that a fault can meet.
    pub fn nodes(&self) -> Vec<Node> {
        links::nodes(
            self.cluster.servers.len(),
            self.replica_set.members.len(),
            self.client_hosts,
        )
        .collect()
    }

    /// Returns the host of a node, if there is a network of its own.
    pub fn host(&self, node: Node) -> Option<&NetworkHost> {
        self.network.as_ref()?.host(last_byte(node))
    }
}

async fn start_mongods(options: &WorldOptions, network: Option<&Network>) -> Result<ReplicaSet> {
    let mut set = ReplicaSetOptions {
        members: MEMBERS,
        logs: Some(options.logs.clone()),
        // Else a member that follows a paused one finds that out late.
        args: ["--setParameter", "oplogNetworkTimeoutBufferSeconds=1"]
            .map(Into::into)
            .into(),
        failover: Failover::Quick,
        ..ReplicaSetOptions::default()
    };
    if let Some(network) = network {
        set.ports = vec![MONGODB_PORT; MEMBERS];
        set.hosts = hosts(network, (0..MEMBERS).map(Node::Mongod))?;
    }
    ReplicaSet::start_with(set).await
}

async fn start_servers(
    options: &WorldOptions,
    mongodb_uri: String,
    network: Option<&Network>,
    clocks: Option<&WallClocks>,
) -> Result<Cluster> {
    let mut cluster = ClusterOptions {
        servers: options.servers,
        logs: Some(options.logs.clone()),
        args: options.server_args.clone(),
        hosts: vec![Host::default(); options.servers],
        ..ClusterOptions::new(mongodb_uri)
    };
    if let Some(network) = network {
        cluster.ports = [CLIENTS_PORT, PEERS_PORT]
            .map(|port| vec![port; options.servers])
            .concat();
        cluster.hosts = hosts(network, (0..options.servers).map(Node::Server))?;
    }
    for (place, host) in cluster.hosts.iter_mut().enumerate() {
        // This program's own variables that begin with BELLWETHER_ do not reach a server: it gets
        // its variables explicitly.
        host.launcher.push("env".into());
        let clock = clocks.map(|clocks| clocks.environment(place)).unwrap_or_default();
        for (name, value) in clock.iter().chain(&options.server_environment) {
            let mut variable = OsString::from(name);
            variable.push("=");
            variable.push(value);
            host.launcher.push(variable);
        }
    }
    Cluster::start_with(cluster).await
}

fn hosts(network: &Network, nodes: impl Iterator<Item = Node>) -> Result<Vec<Host>> {
    let hosts = nodes.map(|node| network.host(last_byte(node)).map(NetworkHost::for_processes));
    hosts.collect::<Option<_>>().context("a node without a host")
}
