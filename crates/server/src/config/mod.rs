//! The configuration of a server.

mod limits;
pub(crate) mod origin;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_election::{Number, ServerId};
use thiserror::Error;

use crate::client_url;
use crate::command::AllowedCommands;
use crate::peer::PeerSecrets;
use crate::pipeline::Settings;
use crate::tls::TlsFiles;
pub use limits::{AddressRange, ClientLimits, InvalidAddressRange};
pub use origin::{AllowedOrigin, InvalidOrigin};

/// The configuration of a server. Begin with [`Config::new`] and change single fields.
///
/// `Debug` shows neither the connection string, which may hold a password, nor the peers' secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The server's id, unique in its cluster.
    pub id: ServerId,
    /// The cluster's name. The server refuses servers and clients that name another cluster.
    pub cluster: String,
    /// The address at which clients connect: WebSocket at `/v1`, `GET /livez`, `/readyz`,
    /// `/status`, and the page. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// The address of this server that clients receive. The default is `ws://<listen>/v1`, or
    /// `wss://<listen>/v1` with `tls`. There is no default if `listen` is a wildcard, because no
    /// client could connect to it. At most 1,024 visible ASCII characters, without a user name or a
    /// fragment. With `tls`, its host must be a name of the certificate, and its scheme `wss`.
    pub client_url: Option<String>,
    /// The certificate with which the server speaks TLS at `listen`. Without it, the server speaks
    /// neither `https` nor `wss`. With it, the server speaks nothing else there.
    pub tls: Option<TlsFiles>,
    /// The address at which the other servers connect.
    pub peer_listen: SocketAddr,
    /// Host and port of every other server. Each connection looks up the host name again.
    pub peers: BTreeMap<ServerId, String>,
    /// The secrets with which the servers of the cluster authenticate each other. Required unless
    /// `peer_listen` is a loopback address. Either all servers have them or none. Without them any
    /// program on this machine can join as a peer.
    pub peer_secrets: Option<PeerSecrets>,
    /// The replica set, as a MongoDB connection string with `replicaSet=…`.
    pub mongodb_uri: String,
    /// The users' database. The records and the fence live in the database `<database>_bellwether`.
    pub database: String,
    /// A directory with the page. Without it the server serves only the interfaces.
    pub www: Option<PathBuf>,
    /// Web pages from these origins may connect. Pages from this server itself, and from peers that
    /// have proven that they have one of `peer_secrets`, may connect, too.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// A file with the issuers whose tokens the server accepts, and with API keys: `docs/access.md`
    /// describes it. The server then executes only commands of clients that have proven an
    /// identity. Each of them may do everything. Without a file, so may each client that reaches
    /// `listen`. The server reads the file again when its content changes.
    pub access: Option<PathBuf>,
    /// Set if clients may list, create and drop collections and indexes.
    pub schema: bool,
    /// The number of this server, instead of a random one. For tests.
    pub number: Option<Number>,
    /// The election's timing.
    pub election: bellwether_election::Config,
    /// Set if this server shortens the failover of MongoDB (`replSetStepUp`). As soon as the
    /// primary's address refuses connections, this server asks a secondary to stand for election.
    /// If this field is not set, the members of the set wait for their election timeout. Only the
    /// coordinator asks, or the server that would be the next coordinator.
    ///
    /// The user in the URI needs the action `replSetStateChange` on the cluster; without it, all
    /// else works. Off by default, because it acts on the whole replica set.
    pub assist_failover: bool,
    /// Limits on clients.
    pub limits: ClientLimits,
    /// Limits of the pipeline.
    pub pipeline: Settings,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("id", &self.id)
            .field("cluster", &self.cluster)
            .field("listen", &self.listen)
            .field("client_url", &self.client_url)
            .field("tls", &self.tls)
            .field("peer_listen", &self.peer_listen)
            .field("peers", &self.peers)
            .field("peer_secrets", &self.peer_secrets)
            .field("database", &self.database)
            .field("election", &self.election)
            .finish_non_exhaustive()
    }
}

/// A [`Config`] that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The server is named among its own peers.
    #[error("{0} is this server's own id: its peers are the other servers only")]
    OwnPeer(ServerId),
    /// A peer's address is not `host:port`.
    #[error("the address of peer {peer} is {address:?}: give it as host:port")]
    PeerAddress {
        /// The peer.
        peer: ServerId,
        /// The address given.
        address: String,
    },
    /// Other machines may reach the address for peers, and without a secret the server cannot tell
    /// a peer from a stranger.
    #[error(
        "peers connect at {0}, which is not a loopback address, and there is no secret to know them by. Make \
         one with `bellwether-server new-secret > FILE`. Give every server of the cluster the same, and name it with \
         --peer-secret-file"
    )]
    NoPeerSecret(SocketAddr),
    /// The client URL cannot be used.
    #[error(
        "the client URL {0:?} cannot be used: give it as ws://host:port/v1, in at most {max} visible ASCII characters and \
         without a user name or a fragment",
        max = client_url::MAX_BYTES
    )]
    ClientUrl(String),
    /// The server speaks TLS, and the client URL sends clients to it without TLS.
    #[error(
        "the client URL {0:?} begins with ws:, and this server speaks TLS: begin it with wss:, or start the server \
         without --tls-cert and --tls-key"
    )]
    ClientUrlWithoutTls(String),
    /// The cluster's name cannot be used.
    #[error("the cluster name {0:?} cannot be used: give 1 to 64 printable characters")]
    Cluster(String),
    /// A limit is outside its range.
    #[error("{option} is {value}: give {least} to {most}")]
    Limit {
        /// The option of the program that sets it.
        option: &'static str,
        /// The value given.
        value: u64,
        /// The smallest permitted value.
        least: u64,
        /// The largest permitted value.
        most: u64,
    },
    /// The server would take clients that answer every ping for idle.
    #[error(
        "pings are sent every {ping:?} and a connection is idle after {idle:?}: --ping-ms has to be less than \
         --idle-timeout-ms"
    )]
    PingTooRare {
        /// The interval between two pings.
        ping: Duration,
        /// The time after which a connection is idle.
        idle: Duration,
    },
    /// The election's timing.
    #[error(transparent)]
    Election(#[from] bellwether_election::ConfigError),
}

impl Config {
    /// Returns the configuration of a single server on loopback, with all defaults.
    pub fn new(id: ServerId, mongodb_uri: impl Into<String>) -> Self {
        Self {
            id,
            cluster: "bellwether".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7001)),
            client_url: None,
            tls: None,
            peer_listen: SocketAddr::from(([127, 0, 0, 1], 7101)),
            peers: BTreeMap::new(),
            peer_secrets: None,
            mongodb_uri: mongodb_uri.into(),
            database: "app".to_owned(),
            www: None,
            allowed_origins: Vec::new(),
            access: None,
            schema: false,
            number: None,
            election: bellwether_election::Config::default(),
            assist_failover: false,
            limits: ClientLimits::default(),
            pipeline: Settings::default(),
        }
    }

    /// Returns the commands that clients may send.
    pub fn allowed_commands(&self) -> AllowedCommands {
        AllowedCommands { schema: self.schema }
    }

    /// Checks that the values can work together.
    ///
    /// # Errors
    /// The first violated rule.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.peers.contains_key(&self.id) {
            return Err(ConfigError::OwnPeer(self.id.clone()));
        }
        for (peer, address) in &self.peers {
            let port = address
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty())
                .map(|(_, port)| port);
            if port.is_none_or(|port| port.parse::<u16>().is_err()) {
                return Err(ConfigError::PeerAddress {
                    peer: peer.clone(),
                    address: address.clone(),
                });
            }
        }
        if !self.peer_listen.ip().is_loopback() && self.peer_secrets.is_none() {
            return Err(ConfigError::NoPeerSecret(self.peer_listen));
        }
        if let Some(url) = &self.client_url
            && !client_url::is_usable(url)
        {
            return Err(ConfigError::ClientUrl(url.chars().take(100).collect()));
        }
        if let Some(url) = &self.client_url
            && self.tls.is_some()
            && !client_url::is_secure(url)
        {
            return Err(ConfigError::ClientUrlWithoutTls(url.chars().take(100).collect()));
        }
        let printable = |name: &str| name.chars().all(|c| !c.is_control());
        if self.cluster.is_empty() || self.cluster.chars().count() > 64 || !printable(&self.cluster) {
            return Err(ConfigError::Cluster(self.cluster.chars().take(80).collect()));
        }
        limits::validate(&self.limits, &self.pipeline)?;
        Ok(self.election.validate()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let config = Config::new("s1".parse().unwrap(), "mongodb://app:hunter2@m1/?replicaSet=rs0");
        assert!(!format!("{config:#?}").contains("hunter2"));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let config = || Config::new("s1".parse().unwrap(), "mongodb://localhost/?replicaSet=rs0");
        assert_eq!(config().validate(), Ok(()));
        let with_tls = |c: &mut Config, url: &str| {
            c.tls = Some(TlsFiles {
                certificate: "cert.pem".into(),
                key: "key.pem".into(),
            });
            c.client_url = Some(url.to_owned());
        };
        let mut secure = config();
        with_tls(&mut secure, "WSS://db1.example:7001/v1");
        assert_eq!(secure.validate(), Ok(()));
        let mut insecure = config();
        with_tls(&mut insecure, "ws://db1.example:7001/v1");
        assert_eq!(
            insecure.validate(),
            Err(ConfigError::ClientUrlWithoutTls(
                "ws://db1.example:7001/v1".into()
            ))
        );
        let broken: [fn(&mut Config); 9] = [
            |c| drop(c.peers.insert(c.id.clone(), "localhost:1".into())),
            |c| drop(c.peers.insert("s2".parse().unwrap(), "localhost".into())),
            |c| drop(c.peers.insert("s2".parse().unwrap(), ":7".into())),
            |c| c.peer_listen = "0.0.0.0:7101".parse().unwrap(),
            |c| c.client_url = Some("localhost:7001".into()),
            |c| c.client_url = Some("http://localhost:7001".into()),
            |c| c.cluster = String::new(),
            |c| c.limits.connections = 0,
            |c| c.election.timeout = Duration::ZERO,
        ];
        for (index, break_it) in broken.into_iter().enumerate() {
            let mut config = config();
            break_it(&mut config);
            assert!(config.validate().is_err(), "rule {index}");
        }
    }
}
