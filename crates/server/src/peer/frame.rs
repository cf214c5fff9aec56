//! What servers say to each other before the election's own messages.

use bellwether_election::ServerId;
use data_encoding::HEXLOWER;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::proof::BYTES;

/// What the WebSocket subprotocols between servers, of whatever version, begin with.
pub(super) const SUBPROTOCOLS: &str = "bellwether-peer.";
/// The one of this server.
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
    /// Random, and never used again. Whoever has a secret sends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<Bytes>,
}

/// The second frame in either direction, the dialler's first, between servers that have a secret.
#[derive(Serialize, Deserialize)]
pub(super) struct PeerProof {
    pub(super) proof: Bytes,
}

/// In hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) [u8; BYTES]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(digits.as_bytes()).map_err(D::Error::custom)?;
        let bytes = <[u8; BYTES]>::try_from(bytes);
        bytes.map(Self).map_err(|_| D::Error::custom("not 32 bytes"))
    }
}

/// Why two servers do not talk to each other, in words for the log of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The connection is closed with it.
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Refusal {
    /// The other side is not who it should be.
    pub(super) const STRANGER: u16 = 4403;
    /// The other side has not shown that it is who it says.
    pub(super) const UNPROVEN: u16 = 4401;

    pub(super) fn stranger(reason: String) -> Self {
        let code = Self::STRANGER;
        Self { code, reason }
    }

    /// A message has not arrived as and when this peer sent it.
    pub(super) fn forged(peer: &ServerId) -> Self {
        Self::unproven(format!(
            "a message of {peer} was altered, repeated or lost on the way"
        ))
    }

    pub(super) fn unproven(reason: String) -> Self {
        let code = Self::UNPROVEN;
        Self { code, reason }
    }
}

impl PeerHello {
    /// Whether the other side is the one expected.
    pub(super) fn check(&self, other: &PeerHello) -> Result<(), Refusal> {
        if other.cluster != self.cluster {
            // A cluster's name is no longer than that; what a stranger sends may be.
            let others: String = other.cluster.chars().take(64).collect();
            return Err(Refusal::stranger(format!(
                "{} belongs to cluster {others:?} and {} to {:?}: check --cluster and --peer",
                other.from, self.from, self.cluster
            )));
        }
        if other.to != self.from {
            return Err(Refusal::stranger(format!(
                "{} wanted to reach {} and reached {}: check its --peer addresses",
                other.from, other.to, self.from
            )));
        }
        if other.from == self.from {
            return Err(Refusal::stranger(format!(
                "two servers have the id {}: give each its own --id",
                self.from
            )));
        }
        Ok(())
    }

    /// Whether both sides have a secret or neither has. Which one it is shows later.
    pub(super) fn check_secrecy(&self, other: &PeerHello) -> Result<(), Refusal> {
        let (with, without) = match (&self.nonce, &other.nonce) {
            (Some(_), None) => (&self.from, &other.from),
            (None, Some(_)) => (&other.from, &self.from),
            _ => return Ok(()),
        };
        Err(Refusal::unproven(format!(
            "{without} has no peer secret and {with} has one: give both the same --peer-secret-file"
        )))
    }
}

pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    // Ids, numbers and lists of them: there is nothing in it that JSON could refuse.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_32_bytes() {
        let hello = |nonce: &str| {
            let text = format!(r#"{{"cluster":"c","from":"a","to":"b","nonce":{nonce}}}"#);
            serde_json::from_str::<PeerHello>(&text)
        };
        let digits = "0f".repeat(BYTES);
        let read = hello(&format!("\"{digits}\"")).unwrap();
        assert_eq!(read.nonce, Some(Bytes([0x0f; BYTES])));
        assert!(to_json(&read).contains(&digits));
        for bad in [
            "7",
            "\"\"",
            "\"0f\"",
            &format!("\"{digits}0f\""),
            &format!("\"{}\"", "zz".repeat(BYTES)),
        ] {
            assert!(hello(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stranger_is_refused_briefly() {
        let hello = |cluster: String, from: &str, to: &str| PeerHello {
            cluster,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            client_url: None,
            nonce: None,
        };
        let ours = hello("bellwether".to_owned(), "s1", "s2");
        let theirs = hello("b".repeat(100_000), "s2", "s1");
        let refusal = ours.check(&theirs).unwrap_err();
        assert!(refusal.reason.len() < 300, "{}", refusal.reason);
    }
}
