//! The answer to `GET /status`.

use serde::{Deserialize, Serialize};

use crate::frame::{CoordinatorHint, RoleName};

/// The cluster as one server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the cluster.
    pub cluster: String,
    /// Id of this server.
    pub server: String,
    /// Version of the server program.
    pub version: String,
    /// The number that this server drew when it started, in decimal. A text, because a JSON number
    /// of 64 bits loses digits in many languages.
    pub number: String,
    /// Role of this server.
    pub role: RoleName,
    /// Start of the role, in milliseconds since the Unix epoch, by the server's own clock.
    pub since_ms: u64,
    /// The newest epoch of a coordinator that this server knows.
    pub epoch: Option<u64>,
    /// The coordinator that this server knows.
    pub coordinator: Option<CoordinatorHint>,
    /// The other servers, in order of their ids.
    pub peers: Vec<PeerStatus>,
    /// State of MongoDB, as this server sees it.
    pub mongodb: DatabaseStatus,
    /// Numbers of commands since this server started.
    pub commands: CommandCounts,
    /// Numbers of client connections.
    #[serde(default)]
    pub connections: ConnectionCounts,
    /// State of the TLS certificate. Absent if the server does not speak TLS itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsStatus>,
    /// Version of the access file. Absent if the server asks no client for its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_version: Option<u64>,
}

/// Another server, as this server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Id of the peer.
    pub server: String,
    /// Number of the peer, if this server has received it.
    pub number: Option<String>,
    /// `true` if the link to the peer is up.
    pub connected: bool,
    /// URL for clients, if the peer has sent one.
    pub url: Option<String>,
    /// Set when either server refuses the other. An operator must then change an option of one of
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// State of MongoDB, as a server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// `true` if a primary is known and answers.
    pub available: bool,
    /// Address of the primary.
    pub primary: Option<String>,
    /// The last error, while there is no primary.
    pub error: Option<String>,
}

/// Numbers of commands since a server started, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandCounts {
    /// Commands in the queue now.
    pub queued: u64,
    /// Commands executed and committed.
    pub executed: u64,
    /// Commands answered from a stored reply.
    pub replayed: u64,
    /// Commands answered with an error whose outcome is `not_executed`.
    pub not_executed: u64,
    /// Commands answered with an error whose outcome is `unknown`.
    pub unknown: u64,
    /// Time since the current batch began, in milliseconds. Absent while no command is executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_ms: Option<u64>,
}

/// Numbers of client connections, over HTTP and WebSocket together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounts {
    /// Connections open now.
    pub open: u64,
    /// Connections refused since the server started, because a limit was reached: for all clients,
    /// or for one address.
    pub refused: u64,
}

/// State of the TLS certificate that a server shows to new clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsStatus {
    /// The last moment at which the certificate is valid, in milliseconds since the Unix epoch.
    pub not_after_ms: u64,
    /// The reason why the server does not use the files of its certificate as they are now. The
    /// server then keeps the certificate that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
