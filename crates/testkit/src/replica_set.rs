use std::ffi::OsString;
use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwether_programs::find_mongod;
use bson::{Document, doc};
use mongodb::Client;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ServerAddress};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::host::Host;
use crate::ports::free_ports;
use crate::process::{Process, Recipe};
use crate::wait::wait_until;

const NAME: &str = "rs0";

/// Time limit of a driver for a connection and for each look at a member, if the set is not
/// [`Failover::Quick`].
const STEADY_CONNECT: Duration = Duration::from_secs(10);

/// MongoDB's error code for the second configuration of a set.
const ALREADY_INITIALIZED: i32 = 23;

/// Options of a [`ReplicaSet`].
#[derive(Clone, Debug)]
pub struct ReplicaSetOptions {
    /// Number of members.
    pub members: usize,
    /// The members' ports, in order; free ones if empty.
    pub ports: Vec<u16>,
    /// Hosts of the members, in order; a member without one runs on this machine's loopback.
    pub hosts: Vec<Host>,
    /// Directory of the data; a temporary directory if not given.
    pub dir: Option<PathBuf>,
    /// Directory of the logs; the one of the data if not given.
    pub logs: Option<PathBuf>,
    /// Further arguments for every member.
    pub args: Vec<OsString>,
    /// `true` if `failCommand` and other test commands are available.
    pub test_commands: bool,
    /// The time after which the members replace a silent primary.
    pub failover: Failover,
}

/// The timing of a [`ReplicaSet`]: the time after which its members replace a silent primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failover {
    /// 10 s, as by default. A machine that stands still for some seconds changes no primary.
    /// Otherwise the members notice each other as soon as with [`Failover::Quick`].
    #[default]
    Steady,
    /// 1 s, for programs that kill or pause members.
    Quick,
    /// 10 s, and all other settings are MongoDB's own, too.
    Default,
}

impl Failover {
    /// Returns the settings of the replica set's configuration.
    fn settings(self) -> Document {
        let (timeout_ms, heartbeat_timeout_s) = match self {
            Self::Steady => (10_000, 10),
            Self::Quick => (1_000, 1),
            Self::Default => return doc! {},
        };
        doc! {
            "electionTimeoutMillis": timeout_ms,
            "heartbeatIntervalMillis": 500,
            "heartbeatTimeoutSecs": heartbeat_timeout_s,
        }
    }
}

impl Default for ReplicaSetOptions {
    fn default() -> Self {
        Self {
            members: 3,
            ports: Vec::new(),
            hosts: Vec::new(),
            dir: None,
            logs: None,
            args: Vec::new(),
            test_commands: true,
            failover: Failover::default(),
        }
    }
}

/// A MongoDB replica set, on 127.0.0.1 unless other hosts are given, each member a process of its
/// own. Everything ends when it is dropped.
///
/// One program can have only as many at a time as the machine has room for; starting another one
/// waits.
#[derive(Debug)]
pub struct ReplicaSet {
    // Dropped in this order: the processes must end before their data is removed.
    /// The members, running or not.
    pub members: Vec<Member>,
    client: Client,
    failover: Failover,
    _temporary: Option<TempDir>,
    _turn: SemaphorePermit<'static>,
}

/// One member of a [`ReplicaSet`].
#[derive(Debug)]
pub struct Member {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Its process, to pause, kill and restart.
    pub process: Process,
    /// A driver's client that talks to this member only, whatever its state.
    pub direct: Client,
}

impl ReplicaSet {
    /// Starts a set with this many members, with free ports and temporary data, and waits for its
    /// primary.
    ///
    /// # Errors
    /// If there is no `mongod`, or it does not start; the error states the reason.
    pub async fn start(members: usize) -> Result<Self> {
        Self::start_with(ReplicaSetOptions {
            members,
            ..ReplicaSetOptions::default()
        })
        .await
    }

    /// Does the same as [`ReplicaSet::start`], with [`Failover::Quick`].
    ///
    /// # Errors
    /// As for [`ReplicaSet::start`].
    pub async fn start_quick(members: usize) -> Result<Self> {
        Self::start_with(ReplicaSetOptions {
            members,
            failover: Failover::Quick,
            ..ReplicaSetOptions::default()
        })
        .await
    }

    /// Starts a set and waits until one member is primary and all others follow it.
    ///
    /// # Errors
    /// If there is no `mongod`, or it does not start; the error states the reason.
    pub async fn start_with(options: ReplicaSetOptions) -> Result<Self> {
        let mongod = find_mongod()?;
        let turn = turn().await?;
        let (dir, temporary) = match &options.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let temporary = TempDir::with_prefix("bellwether-mongodb-")
                    .context("making a temporary directory for MongoDB's data")?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        let ports = if options.ports.is_empty() {
            free_ports(options.members)?
        } else {
            options.ports.clone()
        };
        let start = |(place, port): (usize, &u16)| {
            let host = Host::at(&options.hosts, place);
            Member::start(mongod.clone(), host, *port, &dir, &options)
        };
        let members: Vec<Member> = ports.iter().enumerate().map(start).collect::<Result<_>>()?;
        let addresses = members.iter().map(Member::address);
        let mut whole = client_options(addresses, options.failover);
        whole.repl_set_name = Some(NAME.into());
        if options.failover != Failover::Quick {
            whole.server_selection_timeout = Some(Duration::from_secs(30));
        }
        let client = Client::with_options(whole)?;
        let mut set = Self {
            members,
            client,
            failover: options.failover,
            _temporary: temporary,
            _turn: turn,
        };
        set.initiate(options.failover).await?;
        Ok(set)
    }

    /// Returns the connection string. Unless the set is [`Failover::Quick`], a driver with this
    /// string keeps its connections on a machine that stands still for some seconds.
    pub fn uri(&self) -> String {
        let hosts: Vec<String> = self.members.iter().map(Member::host_and_port).collect();
        let uri = format!("mongodb://{}/?replicaSet={NAME}", hosts.join(","));
        match self.failover {
            Failover::Quick => uri,
            Failover::Steady | Failover::Default => {
                format!("{uri}&connectTimeoutMS={}", STEADY_CONNECT.as_millis())
            }
        }
    }

    /// Returns a driver's client for the set, apart from those of the servers.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the place of the member that is a writable primary at this moment.
    pub async fn primary(&self) -> Option<usize> {
        for (index, member) in self.members.iter().enumerate() {
            if member
                .hello()
                .await
                .is_ok_and(|hello| says(&hello, "isWritablePrimary"))
            {
                return Some(index);
            }
        }
        None
    }

    /// Waits until there is a writable primary and returns its index.
    ///
    /// # Errors
    /// If there is none for a long time.
    pub async fn wait_for_primary(&self) -> Result<usize> {
        wait_until("a primary of the replica set", async || {
            self.primary().await.context("there is none")
        })
        .await
    }

    /// Waits until there is a primary and all other members follow it.
    ///
    /// # Errors
    /// If they do not for a long time.
    pub async fn all_follow(&self) -> Result<()> {
        self.wait_for_primary().await?;
        wait_until(
            "all members of the replica set to follow its primary",
            async || {
                for member in &self.members {
                    let hello = member.hello().await?;
                    if !says(&hello, "isWritablePrimary") && !says(&hello, "secondary") {
                        bail!("{} is neither primary nor secondary", member.host_and_port());
                    }
                }
                Ok(())
            },
        )
        .await
    }

    /// Has the primary step down in favour of another member, and returns the index of the one that
    /// stepped down.
    ///
    /// # Errors
    /// If there is no primary, or it cannot step down.
    pub async fn step_down_primary(&self) -> Result<usize> {
        let index = self.wait_for_primary().await?;
        // It refuses while no other member has caught up.
        wait_until("the primary to step down", async || {
            let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 };
            Ok(self.members[index].admin(command).await?)
        })
        .await?;
        Ok(index)
    }

    /// Brings a set of fresh members to work: one primary, all others following it.
    async fn initiate(&mut self, failover: Failover) -> Result<()> {
        for member in &mut self.members {
            member.listening().await?;
        }
        let members: Vec<Document> = (0_i32..)
            .zip(&self.members)
            .map(|(id, member)| doc! { "_id": id, "host": member.host_and_port() })
            .collect();
        let config = doc! { "_id": NAME, "members": members, "settings": failover.settings() };
        let first = &self.members[0];
        wait_until("the first member to take its configuration", async || {
            match first.admin(doc! { "replSetInitiate": config.clone() }).await {
                // The answer to an earlier attempt was lost.
                Err(error) if has_code(&error, ALREADY_INITIALIZED) => Ok(()),
                initiated => Ok(initiated.map(drop)?),
            }
        })
        .await?;
        wait_until("the first primary of the replica set", async || {
            if let Some(primary) = self.primary().await {
                return Ok(primary);
            }
            // Refused until the member has read its configuration; then it need not wait for the
            // timeout.
            first.admin(doc! { "replSetStepUp": 1 }).await?;
            bail!("it stands for election")
        })
        .await?;
        self.all_follow().await
    }
}

impl Member {
    fn start(
        mongod: PathBuf,
        host: Host,
        port: u16,
        dir: &Path,
        options: &ReplicaSetOptions,
    ) -> Result<Self> {
        let address = SocketAddrV4::new(host.address, port);
        let name = if host == Host::default() {
            format!("mongod-{port}")
        } else {
            format!("mongod-{address}").replace(':', "-")
        };
        let data = dir.join(&name);
        fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
        let mut args: Vec<OsString> = Vec::new();
        args.extend(["--replSet", NAME, "--nounixsocket", "--bind_ip"].map(Into::into));
        args.push(host.address.to_string().into());
        args.extend([
            "--port".into(),
            port.to_string().into(),
            "--dbpath".into(),
            data.into(),
        ]);
        // A member for a few minutes on a shared machine: little memory, and no journal files of
        // 100 MB in advance.
        args.extend(["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"].map(Into::into));
        args.extend(["--wiredTigerEngineConfigString", "log=(prealloc=false)"].map(Into::into));
        args.extend(["--setParameter", "diagnosticDataCollectionEnabled=false"].map(Into::into));
        if options.test_commands {
            args.extend(["--setParameter", "enableTestCommands=1"].map(Into::into));
        }
        args.extend(options.args.iter().cloned());
        let process = Process::start(Recipe {
            name: format!("mongod at {address}"),
            launcher: host.launcher.clone(),
            program: mongod,
            args,
            log: options.logs.as_deref().unwrap_or(dir).join(format!("{name}.log")),
        })?;
        let mut direct = client_options([address], options.failover);
        direct.direct_connection = Some(true);
        Ok(Self {
            host,
            port,
            process,
            direct: Client::with_options(direct)?,
        })
    }

    /// Returns the address at which it listens.
    pub fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host.address, self.port)
    }

    /// Returns the same in MongoDB's form.
    fn host_and_port(&self) -> String {
        self.address().to_string()
    }

    async fn listening(&mut self) -> Result<()> {
        let what = format!("{} to listen", self.process.name());
        wait_until(&what, async || {
            self.process.expect_running()?;
            TcpStream::connect(self.address()).await?;
            Ok(())
        })
        .await
    }

    async fn admin(&self, command: Document) -> mongodb::error::Result<Document> {
        self.direct.database("admin").run_command(command).await
    }

    async fn hello(&self) -> mongodb::error::Result<Document> {
        self.admin(doc! { "hello": 1 }).await
    }
}

/// Waits until there is room for one more set: one for every two cores. `cargo test` starts as many
/// tests at once as there are cores, and servers that get no processor time find each other dead.
async fn turn() -> Result<SemaphorePermit<'static>> {
    static TURNS: OnceLock<Semaphore> = OnceLock::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let turns = TURNS.get_or_init(|| Semaphore::new((cores / 2).max(1)));
    turns.acquire().await.context("waiting for a turn")
}

fn has_code(error: &Error, code: i32) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if command.code == code)
}

fn says(hello: &Document, role: &str) -> bool {
    hello.get_bool(role).unwrap_or(false)
}

/// Settings with which a driver notices quickly that a member left or returned; its defaults take
/// 10 to 30 s. Only where members are killed or paused, it also takes a silent one for a lost one.
fn client_options(members: impl IntoIterator<Item = SocketAddrV4>, failover: Failover) -> ClientOptions {
    let members = members.into_iter().map(|address| ServerAddress::Tcp {
        host: address.ip().to_string(),
        port: Some(address.port()),
    });
    let connect = match failover {
        Failover::Quick => Duration::from_secs(1),
        Failover::Steady | Failover::Default => STEADY_CONNECT,
    };
    ClientOptions::builder()
        .hosts(members.collect::<Vec<_>>())
        .connect_timeout(connect)
        .heartbeat_freq(Duration::from_millis(500))
        .server_selection_timeout(Duration::from_secs(2))
        .build()
}
