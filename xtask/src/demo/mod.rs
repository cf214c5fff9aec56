//! Everything on one machine: three `mongod`, three servers, the page, and a table that stays true.

mod screen;
mod table;

use std::io::{self, BufRead};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_tests::{
    Cluster, ClusterOptions, PeerSecretFiles, ReplicaSet, ReplicaSetOptions, client_program, is_free,
    target_dir,
};
use clap::Args;
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::step::{cargo, root, run as run_step, say};
use crate::{provision, web};
use screen::Screen;

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Origins of the pages that may use the demo's servers, in addition to the servers' own.
const OWN_PAGES: &str = "http://localhost:*,https://localhost:*";

/// Disk space for three members with fresh data and room for notes.
const DISK_NEEDED: u64 = 1_000_000_000;

#[derive(Args)]
pub(crate) struct Options {
    /// The first of the ports: N to N+2 for clients and the page, N+100 to N+102 between the
    /// servers, N+200 to N+202 for MongoDB
    #[arg(long, value_name = "N", default_value_t = 7001, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    ports_from: u16,
}

struct Ports {
    clients: [u16; 3],
    peers: [u16; 3],
    mongodb: [u16; 3],
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let ports = Ports::from(options.ports_from);
    ports.expect_free(options.ports_from)?;
    provision::mongod().await?;
    web::build().await?;
    say(format_args!(
        "Building the server and the client, unoptimised: that compiles fastest."
    ));
    run_step(&mut cargo([
        "build",
        "--package",
        "bellwether-server",
        "--package",
        "bellwether-client",
    ]))
    .await?;

    let dir = directory()?;
    say(format_args!(
        "Starting three mongod as a replica set, their data in {} for now.",
        dir.path().display()
    ));
    let replica_set = ReplicaSet::start_with(ReplicaSetOptions {
        ports: ports.mongodb.into(),
        dir: Some(dir.path().to_path_buf()),
        test_commands: false,
        ..ReplicaSetOptions::default()
    })
    .await?;
    say(format_args!("Starting three servers."));
    let mut cluster = Cluster::start_with(ClusterOptions {
        ports: [ports.clients, ports.peers].concat(),
        www: Some(root().join("www")),
        logs: Some(dir.path().to_path_buf()),
        // Or any program of this machine could join them.
        secrets: PeerSecretFiles::Shared,
        // Developers serve their pages from ports of their own.
        args: ["--assist-failover", "--allow-origin", OWN_PAGES]
            .map(Into::into)
            .into(),
        ..ClusterOptions::new(replica_set.uri())
    })
    .await?;
    let notes = notes(&cluster, &replica_set, &client_program().await?, dir.path());
    keep_table_true(&mut cluster, notes).await
}

/// Shows the table whenever it changes, and starts killed servers again when Enter is pressed. Ends
/// only with the task.
async fn keep_table_true(cluster: &mut Cluster, notes: String) -> Result<()> {
    let mut screen = Screen::new(notes);
    let mut enter = lines_typed();
    loop {
        let rows = table::rows(cluster).await;
        screen.show(&table::render(&rows, enter.is_some()))?;
        let typed = async {
            match &mut enter {
                Some(enter) => enter.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep(LOOK_AGAIN) => {}
            line = typed => match line {
                Some(()) => restart_killed(cluster)?,
                None => enter = None,
            },
        }
    }
}

fn restart_killed(cluster: &mut Cluster) -> Result<()> {
    for server in &mut cluster.servers {
        if !server.process.is_running() {
            server.process.restart()?;
        }
    }
    Ok(())
}

impl Ports {
    fn from(first: u16) -> Self {
        let three = |from: u16| [from, from + 1, from + 2];
        Self {
            clients: three(first),
            peers: three(first + 100),
            mongodb: three(first + 200),
        }
    }

    fn expect_free(&self, first: u16) -> Result<()> {
        let taken = [self.clients, self.peers, self.mongodb]
            .concat()
            .into_iter()
            .find(|port| !is_free(*port));
        if let Some(port) = taken {
            let other = if first < 64_000 { first + 1000 } else { 7001 };
            bail!(
                "port {port} of 127.0.0.1 is taken, perhaps by another demo. \
                 Choose others: cargo xtask demo --ports-from {other}"
            );
        }
        Ok(())
    }
}

/// Makes a directory for data and logs that is removed at the end.
fn directory() -> Result<TempDir> {
    let target = target_dir()?;
    let disk = statvfs(&target).with_context(|| format!("looking at the disk of {}", target.display()))?;
    let free = disk.blocks_available() * disk.fragment_size();
    ensure!(
        free >= DISK_NEEDED,
        "only {} MB are free on the disk of {}, and MongoDB needs about {} MB for the demo. \
         Free some, or set CARGO_TARGET_DIR to a directory on another disk",
        free / 1_000_000,
        target.display(),
        DISK_NEEDED / 1_000_000
    );
    TempDir::with_prefix_in("demo-", &target).context("making a directory for MongoDB's data")
}

/// Returns the lines that do not change while the demo runs.
fn notes(cluster: &Cluster, replica_set: &ReplicaSet, client: &Path, dir: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let client = client.strip_prefix(here).unwrap_or(client).display();
    let servers: Vec<String> = cluster
        .servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port))
        .collect();
    let servers = servers.join(",");
    format!(
        "The page        {page}\n\
         In a terminal   {client} --servers {servers} \\\n\
         \x20                 '{{\"insert\":\"notes\",\"documents\":[{{\"text\":\"hi\"}}]}}'\n\
         \x20               {client} --servers {servers} '{{\"find\":\"notes\"}}'\n\
         Your own page   may connect from localhost, on any port\n\
         MongoDB         {mongodb}\n\
         Logs            {logs}\n",
        page = cluster.servers[0].page(),
        mongodb = replica_set.uri(),
        logs = dir.join("*.log").display(),
    )
}

/// Sends a message for every typed line, if this program reads from the terminal. The system would
/// stop a program in the background that reads from it.
fn lines_typed() -> Option<mpsc::Receiver<()>> {
    let foreground = nix::unistd::tcgetpgrp(io::stdin()).ok()?;
    if foreground != nix::unistd::getpgrp() {
        return None;
    }
    let (sender, receiver) = mpsc::channel(1);
    // A thread of its own: the runtime would wait at its end for a read that never returns.
    std::thread::spawn(move || {
        for _ in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(()).is_err() {
                return;
            }
        }
    });
    Some(receiver)
}
