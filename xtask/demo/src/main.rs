//! Everything on one machine: three `mongod`, three servers, the page, and a table that stays true.
//!
//! `cargo xtask demo` builds this program together with the server and the client, and starts it.

mod screen;
mod table;

use std::io::{self, BufRead};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_programs::{asked_to_end, root, say};
use bellwether_testkit::{
    Cluster, ClusterOptions, Failover, PeerSecretFiles, ReplicaSet, ReplicaSetOptions, client_program,
    target_dir,
};
use clap::Parser;
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::sleep;

use screen::Screen;

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Origins of the pages that may use the demo's servers, in addition to the servers' own.
const OWN_PAGES: &str = "http://localhost:*,https://localhost:*";

/// Disk space for three members with fresh data and room for notes.
const DISK_NEEDED: u64 = 1_000_000_000;

/// The ports of 127.0.0.1, three of each kind.
#[derive(Parser)]
struct Ports {
    /// For clients and the page
    #[arg(long, value_delimiter = ',', required = true)]
    clients: Vec<u16>,
    /// Between the servers
    #[arg(long, value_delimiter = ',', required = true)]
    peers: Vec<u16>,
    /// For MongoDB
    #[arg(long, value_delimiter = ',', required = true)]
    mongodb: Vec<u16>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let ports = Ports::parse();
    let failed = tokio::select! {
        ended = run(ports) => ended.err(),
        () = asked_to_end() => None,
    };
    // The demo is dropped by now, and with it everything that it has started.
    match failed {
        Some(error) => {
            say(format_args!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
        None => {
            say(format_args!(
                "\nEnded, and everything this command had started with it."
            ));
            ExitCode::SUCCESS
        }
    }
}

async fn run(ports: Ports) -> Result<()> {
    let dir = directory()?;
    say(format_args!(
        "Starting three mongod as a replica set, their data in {} for now.",
        dir.path().display()
    ));
    let replica_set = ReplicaSet::start_with(ReplicaSetOptions {
        ports: ports.mongodb,
        dir: Some(dir.path().to_path_buf()),
        test_commands: false,
        failover: Failover::Quick,
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
