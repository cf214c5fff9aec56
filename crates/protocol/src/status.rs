//! What `GET /status` answers.

use serde::{Deserialize, Serialize};

use crate::frame::{CoordinatorHint, RoleName};

/// A server's view of itself and of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// This server's id.
    pub server: String,
    /// The version of the server program.
    pub version: String,
    /// The number this server drew when it started, in decimal. Text, because a JSON number of 64 bits loses
    /// digits in many languages.
    pub number: String,
    /// This server's role.
    pub role: RoleName,
    /// Since when it has had this role, in milliseconds since the Unix epoch, by its own clock.
    pub since_ms: u64,
    /// The newest epoch this server knows a coordinator of.
    pub epoch: Option<u64>,
    /// The coordinator this server knows.
    pub coordinator: Option<CoordinatorHint>,
    /// The other servers, in order of their ids.
    pub peers: Vec<PeerStatus>,
    /// What this server knows of MongoDB.
    pub mongodb: DatabaseStatus,
    /// Commands since this server started.
    pub commands: CommandCounts,
    /// Clients' connections.
    #[serde(default)]
    pub connections: ConnectionCounts,
}

/// Another server, as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its id.
    pub server: String,
    /// Its number, if it was ever heard of.
    pub number: Option<String>,
    /// Whether the link to it is up.
    pub connected: bool,
    /// Where clients reach it, if it has said so.
    pub url: Option<String>,
    /// Why there can be no link to it until somebody changes something: it refuses this server, or this server it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a server knows of MongoDB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// Whether a primary is known and answers.
    pub available: bool,
    /// The primary's address.
    pub primary: Option<String>,
    /// The last error, while there is no primary.
    pub error: Option<String>,
}

/// Commands since a server started, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandCounts {
    /// Waiting now.
    pub queued: u64,
    /// Executed and committed.
    pub executed: u64,
    /// Answered from a stored reply.
    pub replayed: u64,
    /// Answered with an error whose outcome is `not_executed`.
    pub not_executed: u64,
    /// Answered with an error whose outcome is `unknown`.
    pub unknown: u64,
    /// Time since the batch in hand began, in milliseconds. Absent while nothing is executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_ms: Option<u64>,
}

/// Clients' connections, over HTTP and WebSocket together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounts {
    /// Open now.
    pub open: u64,
    /// Refused since the server started, since all places were taken or all that their address may have.
    pub refused: u64,
}
