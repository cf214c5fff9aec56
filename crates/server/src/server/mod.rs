//! The server: puts the election, the pipeline and the endpoint together.

mod tasks;

use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_election::{Election, Member, Number, Role};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::access::{AccessError, Authenticator};
use crate::assistant;
use crate::client_url;
use crate::config::{Config, ConfigError};
use crate::database::{self, ConnectError, Database, Fence, FenceArbiter};
use crate::endpoint::{self, Page};
use crate::own_thread::OwnThread;
use crate::peer::{Directory, Flush, PeerSettings, PeerTransport};
use crate::pipeline::Pipeline;
use crate::server_state::ServerState;
use crate::tls::{CertificateReload, Tls, TlsError};

/// Time limit for the last messages to the peers when a server leaves.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Time limit for clients to receive their answers when a server leaves.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that has taken its ports and joined the election. Such a server serves no client until
/// it [runs](Self::run).
pub struct Server {
    state: Arc<ServerState>,
    page: Option<Page>,
    listener: TcpListener,
    client_address: SocketAddr,
    peer_address: SocketAddr,
    flush: Flush,
    /// The thread of the election and of the links to the peers.
    election_thread: OwnThread,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.state.config.id)
            .field("client_address", &self.client_address)
            .field("peer_address", &self.peer_address)
            .finish_non_exhaustive()
    }
}

/// The error if a server cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server cannot use a port.
    #[error("cannot listen for {what} on {address}: {error}; {}", remedy(.error))]
    Listen {
        /// `clients` or `peers`: they would connect to the port.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The reason.
        error: io::Error,
    },
    /// The operating system gives no thread for the election.
    #[error("cannot start the election's thread: {0}; raise the limits on threads and open files")]
    Thread(#[source] io::Error),
    /// The directory of the page cannot be used.
    #[error("the page cannot be served from {path}: it holds no index.html")]
    NoPage {
        /// The directory.
        path: String,
    },
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The access file, or a file that it names, cannot be used.
    #[error("the access file cannot be used: {0}")]
    Access(#[from] AccessError),
    /// The configured database cannot be used.
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
    /// Takes the ports, begins to connect to MongoDB and joins the election. MongoDB and the peers
    /// need not run yet.
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
        let tls = match &config.tls {
            Some(files) => Some(Tls::load(files.clone()).await?),
            None => None,
        };
        let access = match &config.access {
            Some(path) => Some(Arc::new(Authenticator::open(path)?)),
            None => None,
        };
        let database = Database::connect(&config.mongodb_uri, &config.database).await?;
        let (listener, client_address) = listen("clients", config.listen).await?;
        let (peer_listener, peer_address) = listen("peers", config.peer_listen).await?;
        let client_url = config
            .client_url
            .clone()
            .or_else(|| default_client_url(client_address, tls.is_some()))
            // A URL cannot contain an address with a zone.
            .filter(|url| client_url::is_usable(url));
        if let Some(tls) = &tls
            && let Some(host) = client_url.as_deref().and_then(client_url::host)
        {
            tls.certificate().set_host(&host);
        }
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
        let arbiter = FenceArbiter::new(fence, Handle::current());
        let election_thread = OwnThread::start("election").map_err(StartError::Thread)?;
        let (election, flush) = {
            let _on_its_thread = election_thread.enter();
            let listener = peer_listener.into_std().and_then(TcpListener::from_std);
            let listener = listener.map_err(StartError::Thread)?;
            let (transport, flush) = PeerTransport::start(peer_settings, listener, &directory);
            let election = Election::start(timing, me, peers, transport, arbiter);
            (election.map_err(ConfigError::from)?, flush)
        };
        let state = ServerState {
            config,
            database,
            directory,
            election,
            pipeline,
            tls,
            role_changed_at: SystemTime::now().into(),
            access,
        };
        Ok(Self {
            state: Arc::new(state),
            page,
            listener,
            client_address,
            peer_address,
            flush,
            election_thread,
        })
    }

    /// Returns the address at which clients connect. The address differs from the configuration if
    /// that contains port 0.
    pub fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Returns the address at which peers connect.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// Returns the part that checks the files of the certificate on request, or `None` if the
    /// server does not speak TLS.
    pub fn certificate_reload(&self) -> Option<CertificateReload> {
        let tls = self.state.tls.as_ref()?;
        Some(CertificateReload::new(tls.certificate()))
    }

    /// Returns a receiver of the server's role and of all its changes.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.state.election.role()
    }

    /// Returns the server's pipeline, for commands of the program that embeds the server. The
    /// pipeline refuses them unless this server is coordinator. Only the server itself decides when
    /// the pipeline leads and retires. If you drop the future of [`run`](Self::run), drop the
    /// pipeline, too. Otherwise the rest of the server would continue to lead.
    pub fn pipeline(&self) -> Pipeline {
        self.state.pipeline.clone()
    }

    /// Serves until `shutdown` completes, then leaves in order. The server finishes the commands in
    /// progress, hands over, and tells every client to go to another server.
    ///
    /// Dropping the future has the effect of a crash: no committed command is lost, and another
    /// server takes over.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            state,
            page,
            listener,
            flush,
            election_thread,
            ..
        } = self;
        let (stop, stopped) = watch::channel(false);
        let mut running = JoinSet::new();
        running.spawn(tasks::keep_pipeline_in_step(Arc::clone(&state)));
        running.spawn(tasks::report_eligibility(
            state.election.clone(),
            state.database.clone(),
            state.directory.clone(),
        ));
        running.spawn(tasks::report_fencing(
            state.election.clone(),
            state.pipeline.clone(),
        ));
        running.spawn(tasks::note_role_changes(Arc::clone(&state)));
        running.spawn(database::watch_access(state.database.clone()));
        running.spawn(tasks::report_trouble(state.database.clone()));
        if let Some(tls) = &state.tls {
            running.spawn(Arc::clone(tls.certificate()).keep_current());
        }
        if let Some(access) = &state.access {
            info!(
                version = access.version(),
                "commands of authenticated clients only"
            );
            running.spawn(Arc::clone(access).watch());
        }
        if state.config.assist_failover {
            let election = state.election.clone();
            let pipeline = state.pipeline.clone();
            let leads = move || assistant::assists(&election.view()) && !pipeline.may_have_caused_a_loss();
            running.spawn(database::assist(state.database.clone(), leads));
        }
        let endpoint = tokio::spawn(endpoint::serve(Arc::clone(&state), page, listener, stopped));

        shutdown.await;
        info!("leaving: finishing the current batch and handing over");
        state.election.leave().await;
        stop.send_replace(true);
        flush.wait(FLUSH_TIMEOUT).await;
        election_thread.end().await;
        if tokio::time::timeout(DRAIN_TIMEOUT, endpoint).await.is_err() {
            warn!("some clients did not take their answers in time");
        }
        state.pipeline.retire().await;
        info!("left");
    }
}

/// Returns the URL at which clients reach the server without a name of it, or `None` if the address
/// is a wildcard.
fn default_client_url(address: SocketAddr, speaks_tls: bool) -> Option<String> {
    let scheme = if speaks_tls { "wss" } else { "ws" };
    (!address.ip().is_unspecified()).then(|| format!("{scheme}://{address}/v1"))
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen { what, address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
