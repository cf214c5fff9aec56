use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddrV4;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwether_protocol::Status;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::agreement::Agreement;
use crate::host::Host;
use crate::http::http_get_from;
use crate::ports::free_ports;
use crate::process::{Process, Recipe};
use crate::program::server_program;
use crate::wait::wait_until;

/// Number of lines of each server's log that a test shows when it fails.
const LOG_LINES_SHOWN: usize = 60;

/// Time between two looks at the agreement of servers that have just started.
const SETTLES_IN: Duration = Duration::from_millis(300);
/// Number of such looks.
const LOOKS: usize = 20;

/// Options of a [`Cluster`].
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Number of servers: `s1`, `s2` and so on.
    pub servers: usize,
    /// The replica set's connection string.
    pub mongodb_uri: String,
    /// The users' database.
    pub database: String,
    /// The servers' numbers, in order. A server without one draws one.
    pub numbers: Vec<u64>,
    /// The ports for clients, in order, and after them those for peers; free ones if empty.
    pub ports: Vec<u16>,
    /// Hosts of the servers, in order; a server without one runs on this machine's loopback.
    pub hosts: Vec<Host>,
    /// The directory with the page, if the servers must serve it.
    pub www: Option<PathBuf>,
    /// The directory of the logs. If not given, it is a temporary one, and the ends of the logs are
    /// printed when the cluster is dropped. `cargo test` shows them for a failed test, and only
    /// then.
    pub logs: Option<PathBuf>,
    /// The secrets with which the servers authenticate each other.
    pub secrets: PeerSecretFiles,
    /// Gives each server `--allow-origin` with the addresses of all servers. So the page of one
    /// server may ask the others, even while they do not know that server as a peer.
    pub allow_own_pages: bool,
    /// `true` if the servers suspect a silent server after 10 s, not after their default of 500 ms.
    pub steady: bool,
    /// Further arguments for every server.
    pub args: Vec<OsString>,
}

/// The files of peer secrets that the servers of a [`Cluster`] are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerSecretFiles {
    /// One new secret for all of them.
    Shared,
    /// These contents, in order of the servers. A server for which there is none has no such file.
    Each(Vec<String>),
    /// None, so that any program of this machine is a peer.
    None,
}

impl PeerSecretFiles {
    /// Returns the contents of the servers' files, in order. If they share one secret, each call
    /// makes a new one.
    fn contents(&self, servers: usize) -> Vec<String> {
        match self {
            Self::Shared => vec![random_secret(); servers],
            Self::Each(contents) => contents.clone(),
            Self::None => Vec::new(),
        }
    }
}

impl ClusterOptions {
    /// Returns options for three servers in front of this replica set.
    pub fn new(mongodb_uri: impl Into<String>) -> Self {
        Self {
            servers: 3,
            mongodb_uri: mongodb_uri.into(),
            database: "app".into(),
            numbers: Vec::new(),
            ports: Vec::new(),
            hosts: Vec::new(),
            www: None,
            logs: None,
            secrets: PeerSecretFiles::Shared,
            allow_own_pages: true,
            steady: false,
            args: Vec::new(),
        }
    }

    /// Does the same as [`ClusterOptions::new`], but a server is silent for 10 s before the others
    /// suspect it. If the machine stands still for some seconds, the servers hold no election. For
    /// programs that do not pause the coordinator.
    pub fn steady(mongodb_uri: impl Into<String>) -> Self {
        Self {
            steady: true,
            ..Self::new(mongodb_uri)
        }
    }
}

/// Bellwether servers, on 127.0.0.1 unless other hosts are given, each a process of its own.
/// Everything ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The servers, in order of their ids.
    pub servers: Vec<Server>,
    temporary_logs: Option<TempDir>,
}

/// One server, running or not.
#[derive(Debug)]
pub struct Server {
    /// Its id.
    pub id: String,
    /// Its host.
    pub host: Host,
    /// Its port for clients.
    pub port: u16,
    /// Its port for peers.
    pub peer_port: u16,
    /// Path of its file of peer secrets, if it was given one.
    pub secrets: PathBuf,
    /// Its process, to pause, kill and restart.
    pub process: Process,
}

impl Cluster {
    /// Starts three servers and waits until they agree on a coordinator.
    ///
    /// # Errors
    /// If they cannot be started or do not agree; the error states the reason.
    pub async fn start(mongodb_uri: impl Into<String>) -> Result<Self> {
        Self::start_with(ClusterOptions::new(mongodb_uri)).await
    }

    /// Does the same as [`Cluster::start`], with [`ClusterOptions::steady`].
    ///
    /// # Errors
    /// As for [`Cluster::start`].
    pub async fn start_steady(mongodb_uri: impl Into<String>) -> Result<Self> {
        Self::start_with(ClusterOptions::steady(mongodb_uri)).await
    }

    /// Starts servers and waits until they agree on a coordinator.
    ///
    /// # Errors
    /// If they cannot be started or do not agree; the error states the reason.
    pub async fn start_with(options: ClusterOptions) -> Result<Self> {
        let mut cluster = Self::spawn(options).await?;
        cluster.settle().await?;
        Ok(cluster)
    }

    /// Waits until the servers agree, and still do a moment later. Servers that start at the same
    /// time may all claim an epoch. MongoDB may grant the last claim after all servers have agreed.
    async fn settle(&mut self) -> Result<()> {
        let mut before = self.all_agree().await?;
        for _ in 0..LOOKS {
            sleep(SETTLES_IN).await;
            let now = self.all_agree().await?;
            if now == before {
                return Ok(());
            }
            before = now;
        }
        bail!("the servers elect again and again");
    }

    /// Starts servers, without waiting for anything.
    ///
    /// # Errors
    /// If one cannot be started.
    pub async fn spawn(options: ClusterOptions) -> Result<Self> {
        let program = server_program().await?;
        let count = options.servers;
        let ports = if options.ports.is_empty() {
            free_ports(2 * count)?
        } else {
            options.ports.clone()
        };
        if ports.len() != 2 * count {
            bail!("{count} servers need {} ports, not {}", 2 * count, ports.len());
        }
        let (logs, temporary_logs) = match &options.logs {
            Some(dir) => (dir.clone(), None),
            None => {
                let dir = TempDir::with_prefix("bellwether-logs-").context("making a directory for logs")?;
                (dir.path().to_path_buf(), Some(dir))
            }
        };
        let (client_ports, peer_ports) = ports.split_at(count);
        let contents = options.secrets.contents(count);
        let servers = (0..count)
            .map(|index| {
                let id = id(index);
                let mut args = arguments(&options, index, client_ports, peer_ports);
                let secrets = logs.join(format!("{id}.secrets"));
                if let Some(text) = contents.get(index) {
                    write_secret(&secrets, text).context("writing a file of peer secrets")?;
                    args.extend(["--peer-secret-file".into(), secrets.clone().into()]);
                }
                let host = Host::at(&options.hosts, index);
                let process = Process::start(Recipe {
                    name: format!("server {id}"),
                    launcher: host.launcher.clone(),
                    program: program.clone(),
                    args,
                    log: logs.join(format!("{id}.log")),
                })?;
                Ok(Server {
                    id,
                    host,
                    port: client_ports[index],
                    peer_port: peer_ports[index],
                    secrets,
                    process,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            servers,
            temporary_logs,
        })
    }

    /// Returns the addresses of all servers, as a client gets them.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// Waits until all servers that run name the same coordinator in the same epoch, and the
    /// coordinator is one of them and agrees. A paused server does not count as running.
    ///
    /// # Errors
    /// If they do not agree for a long time; the error repeats the last status of each.
    pub async fn agreement(&mut self) -> Result<Agreement> {
        wait_until("the running servers to agree on a coordinator", async || {
            Agreement::among(&self.views().await?)
        })
        .await
    }

    /// Does the same as [`Cluster::agreement`], but all servers must run, and the coordinator must
    /// be the one with the largest number. Until then, a server that has just started may follow
    /// for a moment and then take over.
    ///
    /// # Errors
    /// If a server has ended, with the end of its log, or as for [`Cluster::agreement`].
    pub async fn all_agree(&mut self) -> Result<Agreement> {
        wait_until("all servers to agree on the largest number", async || {
            self.servers
                .iter_mut()
                .try_for_each(|server| server.process.expect_running())?;
            Agreement::on_the_largest(&self.views().await?)
        })
        .await
    }

    /// Returns the status of each server that runs and is not paused, with its place.
    async fn views(&mut self) -> Result<Vec<(usize, Status)>> {
        let mut views = Vec::new();
        for (index, server) in self.servers.iter_mut().enumerate() {
            if server.process.is_running() && !server.process.is_paused() {
                let status = server
                    .status()
                    .await
                    .with_context(|| format!("{} does not answer", server.id))?;
                views.push((index, status));
            }
        }
        Ok(views)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.temporary_logs.is_some() {
            for server in &self.servers {
                eprintln!(
                    "--- end of the log of {} ---\n{}",
                    server.id,
                    server.process.log_tail(LOG_LINES_SHOWN)
                );
            }
        }
    }
}

impl Server {
    /// Returns its URL for clients.
    pub fn url(&self) -> String {
        format!("ws://{}/v1", self.address())
    }

    /// Returns the address of the page it serves.
    pub fn page(&self) -> String {
        format!("http://{}/", self.address())
    }

    /// Returns the address at which it listens for clients.
    pub fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host.address, self.port)
    }

    /// Returns its status.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self) -> Result<Status> {
        let answer = http_get_from(self.address(), "/status", &[]).await?;
        serde_json::from_str(&answer.body).with_context(|| format!("/status answers {}", answer.body))
    }
}

/// Returns 32 random bytes in hexadecimal digits, as `bellwether-server new-secret` prints them.
fn random_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.map(|byte| format!("{byte:02x}")).concat()
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn id(index: usize) -> String {
    format!("s{}", index + 1)
}

fn arguments(
    options: &ClusterOptions,
    index: usize,
    client_ports: &[u16],
    peer_ports: &[u16],
) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    let mut flag = |name: &str, value: &dyn AsRef<Path>| {
        args.push(name.into());
        args.push(value.as_ref().into());
    };
    flag("--id", &id(index));
    let address = |place: usize, port: u16| SocketAddrV4::new(Host::at(&options.hosts, place).address, port);
    flag("--listen", &address(index, client_ports[index]).to_string());
    flag("--peer-listen", &address(index, peer_ports[index]).to_string());
    for (peer, port) in peer_ports.iter().enumerate().filter(|(peer, _)| *peer != index) {
        flag("--peer", &format!("{}={}", id(peer), address(peer, *port)));
    }
    let pages = client_ports.iter().enumerate();
    for (place, port) in pages.filter(|_| options.allow_own_pages) {
        flag("--allow-origin", &format!("http://{}", address(place, *port)));
    }
    flag("--mongodb-uri", &options.mongodb_uri);
    flag("--database", &options.database);
    if options.steady {
        flag("--timeout-ms", &"10000");
    }
    if let Some(number) = options.numbers.get(index) {
        flag("--number", &number.to_string());
    }
    if let Some(www) = &options.www {
        flag("--www", www);
    }
    args.extend(options.args.iter().cloned());
    args
}
