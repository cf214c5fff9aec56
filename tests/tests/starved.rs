//! Servers whose threads are kept busy: neither the election nor other clients may notice.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_protocol::{CommandId, ErrorCode, ServerFrame};
use bellwether_server::election::Role;
use bellwether_server::{Config, Server};
use bellwether_testkit::{Connection, ReplicaSet, free_ports, mint, unless_stalled, wait_until};
use futures_util::FutureExt;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Long enough for a thread to get a turn on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Several times the time to suspect a server, to elect another and to claim its epoch.
const BUSY: Duration = Duration::from_secs(6);
const WORKERS: usize = 2;

/// A server in a runtime of its own, as in a process of its own.
struct Embedded {
    /// There until this is dropped.
    runtime: Option<Runtime>,
    role: watch::Receiver<Role>,
}

impl Embedded {
    async fn start(config: Config) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()?;
        let server = runtime.spawn(Server::start(config)).await??;
        let role = server.role();
        runtime.spawn(server.run(pending()));
        Ok(Self {
            runtime: Some(runtime),
            role,
        })
    }

    fn role(&self) -> Role {
        self.role.borrow().clone()
    }

    /// Keeps every thread that runs this server's tasks from running any.
    fn keep_busy(&self) {
        let runtime = self.runtime.iter();
        for runtime in runtime.flat_map(|runtime| [runtime; WORKERS]) {
            runtime.spawn(async { thread::sleep(BUSY) });
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // A runtime that waits for its threads must not be dropped in another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_free_thread_stays_coordinator() -> Result<()> {
    let set = ReplicaSet::start(1).await?;
    // A machine that stands still is silent for all servers, and they do hold an election.
    let mut round = 0;
    unless_stalled(async || {
        round += 1;
        // Servers of the round before may still claim epochs of their own.
        stay_when_busy(&set, &format!("app_{round}")).await
    })
    .await
}

/// Starts three servers with this database, keeps all their threads busy, and checks that no role
/// changes.
async fn stay_when_busy(set: &ReplicaSet, database: &str) -> Result<()> {
    let ports = free_ports(3)?;
    let address = |port: u16| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let ids = ["s1", "s2", "s3"];
    let mut servers = BTreeMap::new();
    for (id, port) in ids.into_iter().zip(&ports) {
        let mut config = Config::new(id.parse()?, set.uri());
        config.listen = address(0).into();
        config.peer_listen = address(*port).into();
        for (peer, port) in ids.into_iter().zip(&ports).filter(|(peer, _)| *peer != id) {
            config.peers.insert(peer.parse()?, address(*port).to_string());
        }
        config.election.timeout = TIMEOUT;
        database.clone_into(&mut config.database);
        servers.insert(id, Embedded::start(config).await?);
    }
    let roles = || -> Vec<Role> { servers.values().map(Embedded::role).collect() };
    let agreed = wait_until("one server to lead and two to follow it", async || {
        let roles = roles();
        let epochs = roles.iter().filter_map(|role| match role {
            Role::Coordinator { epoch } => Some(*epoch),
            Role::Follower { coordinator } => Some(coordinator.epoch),
            _ => None,
        });
        let epochs: Vec<_> = epochs.collect();
        let leaders = roles
            .iter()
            .filter(|role| matches!(role, Role::Coordinator { .. }));
        ensure!(leaders.count() == 1 && epochs.len() == 3, "{roles:?}");
        ensure!(epochs.windows(2).all(|two| two[0] == two[1]), "{roles:?}");
        Ok(roles)
    })
    .await?;

    // Every one of them: followers that are not heard do not make a coordinator, either.
    let mut seen: Vec<_> = servers.values().map(|server| server.role.clone()).collect();
    seen.iter_mut().for_each(watch::Receiver::mark_unchanged);
    servers.values().for_each(Embedded::keep_busy);
    // The servers' own threads are asleep for that long; nothing is expected to happen at any point
    // of it.
    tokio::time::sleep(BUSY).await;
    for (role, expected) in seen.iter().zip(&agreed) {
        ensure!(
            *role.borrow() == *expected,
            "{:?} became {:?}",
            expected,
            *role.borrow()
        );
        let changed = role.has_changed().context("an election has ended")?;
        ensure!(!changed, "{expected:?} was something else meanwhile");
    }
    Ok(())
}

/// Long commands are read on threads for such work. While no such thread is free, no other client
/// waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_command_waits_for_a_thread_and_others_do_not() -> Result<()> {
    let mut config = Config::new("s1".parse()?, "mongodb://127.0.0.1:1/?replicaSet=rs0");
    config.listen = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into();
    config.peer_listen = config.listen;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(1)
        .enable_all()
        .build()?;
    let server = runtime.spawn(Server::start(config)).await??;
    let url = format!("ws://{}/v1", server.client_address());
    runtime.spawn(server.run(pending()));
    let (busy, idle) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    runtime.spawn_blocking({
        let (busy, idle) = (Arc::clone(&busy), Arc::clone(&idle));
        move || {
            busy.wait();
            idle.wait();
        }
    });
    busy.wait();

    let (mut long, hello) = Connection::greeted(&url).await?;
    let documents = vec!["{}"; 100_000].join(",");
    let insert = format!(r#"{{"insert":"c","documents":[{documents}]}}"#);
    let id = mint(hello.server_time_ms);
    long.command(id, &insert).await?;
    // It comes behind the long one.
    long.command(mint(hello.server_time_ms), r#"{"find":"c"}"#)
        .await?;
    let (mut short, _) = Connection::greeted(&url).await?;
    for _ in 0..1_000 {
        short
            .command(mint(hello.server_time_ms), r#"{"find":"c"}"#)
            .await?;
        is_refused(&short.receive().await?, None)?;
    }
    let early = long.receive().now_or_never();
    ensure!(
        early.is_none(),
        "it was read on a thread that serves sockets: {early:?}"
    );
    idle.wait();
    is_refused(&long.receive().await?, Some(id))?;
    is_refused(&long.receive().await?, None)?;
    runtime.shutdown_background();
    Ok(())
}

/// Checks the refusal: the server has no MongoDB, so it executes nothing.
fn is_refused(answer: &ServerFrame, id: Option<CommandId>) -> Result<()> {
    match answer {
        ServerFrame::Error(error) if error.code == ErrorCode::NoCoordinator => {
            ensure!(id.is_none() || error.id == id, "another command's: {error:?}");
            Ok(())
        }
        other => bail!("{other:?}"),
    }
}
