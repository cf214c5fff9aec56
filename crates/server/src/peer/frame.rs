//! What servers say to each other before the election's own messages.

use bellwether_election::ServerId;
use serde::{Deserialize, Serialize};

/// The WebSocket subprotocol between servers.
pub(super) const SUBPROTOCOL: &str = "bellwether-peer.v1";

/// Longest message between servers: a roster of a thousand servers fits several times over.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// The first frame in either direction: who I am, and whom I take you for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerHello {
    pub(super) cluster: String,
    pub(super) from: ServerId,
    pub(super) to: ServerId,
    /// Where clients reach the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_url: Option<String>,
}

impl PeerHello {
    /// Whether the other side is the one expected; if not, why, in words for the log of either side.
    pub(super) fn check(&self, other: &PeerHello) -> Result<(), String> {
        if other.cluster != self.cluster {
            return Err(format!(
                "{} belongs to cluster {:?} and {} to {:?}: check --cluster and --peer",
                other.from, other.cluster, self.from, self.cluster
            ));
        }
        if other.to != self.from {
            return Err(format!(
                "{} wanted to reach {} and reached {}: check its --peer addresses",
                other.from, other.to, self.from
            ));
        }
        if other.from == self.from {
            return Err(format!(
                "two servers have the id {}: give each its own --id",
                self.from
            ));
        }
        Ok(())
    }
}

pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    // Ids, numbers and lists of them: there is nothing in it that JSON could refuse.
    serde_json::to_string(value).unwrap_or_default()
}
