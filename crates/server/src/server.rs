//! A server: the election, the pipeline and the endpoint, put together.

use core::fmt;
use core::future::Future;
use core::mem::discriminant;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_election::{Arbiter, Claim, Election, Epoch, Member, Number, Role, ServerId};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::assistant;
use crate::client_url;
use crate::config::{Config, ConfigError};
use crate::database::{self, ClaimError, ConnectError, Database, Fence};
use crate::endpoint::{self, Cluster, Page};
use crate::own_thread::OwnThread;
use crate::peer::{Directory, Flush, PeerSettings, PeerTransport};
use crate::pipeline::Pipeline;

/// How long the last messages to the peers may take when a server leaves.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long clients may take to receive what they are owed when a server leaves.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that has taken its ports and joined the election. It serves nobody until it [runs](Self::run).
pub struct Server {
    cluster: Arc<Cluster>,
    listener: TcpListener,
    client_address: SocketAddr,
    peer_address: SocketAddr,
    flush: Flush,
    /// Where the election runs, and the links to the peers.
    election_thread: OwnThread,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.cluster.config.id)
            .field("client_address", &self.client_address)
            .field("peer_address", &self.peer_address)
            .finish_non_exhaustive()
    }
}

/// A server cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port cannot be had.
    #[error("cannot listen for {what} on {address}: {error}; {}", remedy(.error))]
    Listen {
        /// Who would connect there.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The thread for the election cannot be had.
    #[error("cannot start the election's thread: {0}; raise the limits on threads and open files")]
    Thread(#[source] io::Error),
    /// The page's directory cannot be had.
    #[error("the page cannot be served from {path}: it holds no index.html")]
    NoPage {
        /// The directory.
        path: String,
    },
    /// The database cannot be used as it was named.
    #[error(transparent)]
    Database(#[from] ConnectError),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port: stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
        _ => "choose another address",
    }
}

impl Server {
    /// Takes the ports, begins to connect to MongoDB and joins the election. Neither MongoDB nor any peer need
    /// be up.
    ///
    /// # Errors
    /// [`StartError`] if the server can never work as it is configured.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.validate()?;
        if let Some(www) = &config.www
            && !www.join("index.html").is_file()
        {
            return Err(StartError::NoPage {
                path: www.display().to_string(),
            });
        }
        let page = match &config.www {
            Some(www) => Some(Page::load(www).await),
            None => None,
        };
        let database = Database::connect(&config.mongodb_uri, &config.database).await?;
        let (listener, client_address) = listen("clients", config.listen).await?;
        let (peer_listener, peer_address) = listen("peers", config.peer_listen).await?;
        let client_url = config
            .client_url
            .clone()
            .or_else(|| (!client_address.ip().is_unspecified()).then(|| format!("ws://{client_address}/v1")))
            // An address with a zone is none for a URL.
            .filter(|url| client_url::is_usable(url));
        let directory = Directory::default();
        directory.set(&config.id, client_url.as_deref(), true);
        if config.peer_secrets.is_none() && !config.peers.is_empty() {
            warn!(
                %peer_address,
                "no peer secret: any program on this machine can join this cluster as a peer, and be sent its clients; \
                 make a secret with `bellwether-server new-secret > FILE` and give it to every server with --peer-secret-file"
            );
        }
        let peer_settings = PeerSettings {
            cluster: config.cluster.clone(),
            id: config.id.clone(),
            client_url,
            peers: config.peers.clone(),
            secrets: config.peer_secrets.clone(),
        };

        let fence = Fence::new(database.clone());
        let pipeline = Pipeline::start(database.clone(), fence.clone(), config.pipeline);
        let me = Member::new(config.id.clone(), config.number.unwrap_or_else(Number::random));
        let peers = config.peers.keys().cloned();
        let timing = config.election.clone();
        let arbiter = FenceArbiter {
            fence,
            runtime: Handle::current(),
        };
        let election_thread = OwnThread::start("election").map_err(StartError::Thread)?;
        let (election, flush) = {
            let _on_its_thread = election_thread.enter();
            let listener = peer_listener.into_std().and_then(TcpListener::from_std);
            let listener = listener.map_err(StartError::Thread)?;
            let (transport, flush) = PeerTransport::start(peer_settings, listener, &directory);
            let election = Election::start(timing, me, peers, transport, arbiter);
            (election.map_err(ConfigError::from)?, flush)
        };
        let cluster = Cluster {
            config,
            database,
            directory,
            election,
            pipeline,
            page,
            since: SystemTime::now().into(),
        };
        Ok(Self {
            cluster: Arc::new(cluster),
            listener,
            client_address,
            peer_address,
            flush,
            election_thread,
        })
    }

    /// Where clients connect. Differs from the configuration if that said port 0.
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Where peers connect.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// The server's role, now and at every change.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.cluster.election.role()
    }

    /// The server's pipeline, for commands of the program it is embedded in. It refuses them unless this
    /// server is coordinator. When to lead and to retire is the server's to say. Where the future of
    /// [`run`](Self::run) is dropped, drop this too: what is left of the server would go on to lead.
    pub fn pipeline(&self) -> Pipeline {
        self.cluster.pipeline.clone()
    }

    /// Serves until `shutdown` completes, then leaves in order: the command in hand is finished, the office
    /// handed over, every client told to go elsewhere.
    ///
    /// Dropping the future instead is like a crash: nothing committed is lost, and another server takes over.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            cluster,
            listener,
            flush,
            election_thread,
            ..
        } = self;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_pipeline_in_step(Arc::clone(&cluster)));
        tasks.spawn(report_fitness(
            cluster.election.clone(),
            cluster.database.clone(),
            cluster.directory.clone(),
        ));
        tasks.spawn(report_fencing(cluster.election.clone(), cluster.pipeline.clone()));
        tasks.spawn(watch_since(Arc::clone(&cluster)));
        tasks.spawn(database::watch_access(cluster.database.clone()));
        tasks.spawn(report_trouble(cluster.database.clone()));
        if cluster.config.assist_failover {
            let election = cluster.election.clone();
            let pipeline = cluster.pipeline.clone();
            let leads = move || assistant::assists(&election.view()) && !pipeline.may_have_caused_a_loss();
            tasks.spawn(database::assist(cluster.database.clone(), leads));
        }
        let endpoint = tokio::spawn(endpoint::serve(Arc::clone(&cluster), listener, stopped));

        shutdown.await;
        info!("leaving: finishing the command in hand and handing over");
        cluster.election.leave().await;
        stop.send_replace(true);
        flush.wait(FLUSH_TIMEOUT).await;
        election_thread.end().await;
        if tokio::time::timeout(DRAIN_TIMEOUT, endpoint).await.is_err() {
            warn!("some clients did not take their answers in time");
        }
        cluster.pipeline.retire().await;
        info!("left");
    }
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen { what, address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Epochs come from the fence document, which is also what refuses writes under older ones.
struct FenceArbiter {
    fence: Fence,
    /// Where the connections to MongoDB are: the election's thread has none.
    runtime: Handle,
}

impl Arbiter for FenceArbiter {
    type Error = ClaimError;

    async fn claim(&self, claim: Claim) -> Result<Epoch, ClaimError> {
        let fence = self.fence.clone();
        let Claim { rank, .. } = claim;
        let claimed = self.runtime.spawn(async move {
            let number = rank.number.to_string();
            fence.claim(rank.id.as_str(), &number).await
        });
        claimed.await.unwrap_or(Err(ClaimError::CutShort)).map(Epoch)
    }

    async fn confirm(&self, epoch: Epoch) -> Result<bool, ClaimError> {
        let fence = self.fence.clone();
        let confirmed = self.runtime.spawn(async move { fence.is_newest(epoch.0).await });
        confirmed.await.unwrap_or(Err(ClaimError::CutShort))
    }

    async fn newest(&self) -> Result<Option<Epoch>, ClaimError> {
        let fence = self.fence.clone();
        let newest = self.runtime.spawn(async move { fence.newest().await });
        newest
            .await
            .unwrap_or(Err(ClaimError::CutShort))
            .map(Epoch)
            .map(Some)
    }
}

/// The pipeline leads exactly while this server is coordinator.
async fn keep_pipeline_in_step(cluster: Arc<Cluster>) {
    let Cluster {
        election, pipeline, ..
    } = &*cluster;
    let mut role = election.role();
    loop {
        let now = role.borrow_and_update().clone();
        match now {
            Role::Coordinator { epoch } => {
                if let Err(error) = pipeline.lead(epoch.0).await {
                    // Another claim of this server has taken its place; its epoch follows.
                    warn!(%error, "cannot begin to lead");
                    election.step_down(epoch);
                }
            }
            Role::Draining { epoch, .. } => {
                pipeline.retire().await;
                election.drained(epoch);
            }
            _ => pipeline.retire().await,
        }
        if role.changed().await.is_err() {
            return pipeline.retire().await;
        }
    }
}

/// A server that sees no primary does not stand, nor does one that the others refuse.
async fn report_fitness(election: Election, database: Database, directory: Directory) {
    let mut health = database.health();
    let mut reception = directory.reception();
    let mut role = election.role();
    let mut said_shut_out = None;
    loop {
        if matches!(
            *role.borrow_and_update(),
            Role::Coordinator { .. } | Role::Follower { .. }
        ) {
            directory.accepted();
        }
        let available = health.borrow_and_update().available;
        let shut_out = reception.borrow_and_update().shut_out();
        if said_shut_out != shut_out {
            match &shut_out {
                Some(why) => warn!("{why}"),
                None => info!("no longer refused by all: it may stand"),
            }
            said_shut_out.clone_from(&shut_out);
        }
        election.set_fit(available && shut_out.is_none());
        // Only what changes fitness matters; the topology changes for many other reasons.
        let changed = tokio::select! {
            changed = health.wait_for(|health| health.available != available) => changed.is_ok(),
            changed = reception.wait_for(|reception| reception.shut_out() != shut_out) => changed.is_ok(),
            changed = role.changed() => match changed {
                Ok(()) => true,
                Err(_) => return,
            },
        };
        if !changed {
            return error!("the watch on what makes this server fit has ended");
        }
    }
}

/// Writes to the log what trouble there is with MongoDB, at each change of its kind.
async fn report_trouble(database: Database) {
    let mut health = database.health();
    let mut said = None;
    loop {
        let now = health.borrow_and_update().clone();
        let kind = now.trouble.as_ref().map(discriminant);
        if said != Some(kind) {
            match now.error {
                None => info!(primary = now.primary, "MongoDB has a primary"),
                Some(error) if now.available => warn!(error, "MongoDB cannot commit"),
                Some(error) if now.primary.is_some() => warn!(error, "MongoDB refuses this server"),
                Some(error) => warn!(error, "MongoDB has no reachable primary"),
            }
            said = Some(kind);
        }
        if health.changed().await.is_err() {
            return;
        }
    }
}

async fn report_fencing(election: Election, pipeline: Pipeline) {
    let mut fenced = pipeline.fenced();
    while fenced.changed().await.is_ok() {
        let epoch = *fenced.borrow_and_update();
        if let Some(epoch) = epoch {
            warn!(
                epoch,
                "a newer coordinator has been granted an epoch: stepping down"
            );
            election.step_down(Epoch(epoch));
        }
    }
}

async fn watch_since(cluster: Arc<Cluster>) {
    let mut role = cluster.election.role();
    while role.changed().await.is_ok() {
        role.borrow_and_update();
        cluster.since.set(SystemTime::now());
    }
}

impl Cluster {
    /// The coordinator this server knows, itself included.
    pub(crate) fn coordinator(&self) -> Option<ServerId> {
        match &*self.election.role().borrow() {
            Role::Follower { coordinator } => Some(coordinator.rank.id.clone()),
            Role::Coordinator { .. } => Some(self.config.id.clone()),
            Role::Draining { successor, .. } => successor.clone(),
            _ => None,
        }
    }
}
