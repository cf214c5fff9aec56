//! The frames between servers before the messages of the election.

use bellwether_election::ServerId;
use data_encoding::HEXLOWER;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::proof::BYTES;
use super::refusal::Refusal;
use crate::client_url;

/// Prefix of the WebSocket subprotocols between servers, in all versions.
pub(super) const SUBPROTOCOLS: &str = "bellwether-peer.";
/// The subprotocol of this server.
pub(super) const SUBPROTOCOL: &str = "bellwether-peer.v2";

/// Length limit of a message between servers. This limit is several times the length of a roster of
/// a thousand servers.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// The names of the sender, and the names under which it knows the other side. The hello is the
/// dialler's first frame. The acceptor's hello follows as soon as the dialler has proven itself, or
/// at once if there is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerHello {
    pub(super) cluster: String,
    pub(super) from: ServerId,
    pub(super) to: ServerId,
    /// The address at which clients reach the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_url: Option<String>,
    /// A random number that is never used again. Each server with a secret sends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<Bytes>,
}

/// The acceptor's first frame between servers that have a secret. The challenge contains no names,
/// because any program may have dialled.
#[derive(Serialize, Deserialize)]
pub(super) struct PeerChallenge {
    /// The nonce of the acceptor's hello.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<Bytes>,
}

/// The dialler's second frame, and the acceptor's third, between servers that have a secret.
#[derive(Serialize, Deserialize)]
pub(super) struct PeerProof {
    pub(super) proof: Bytes,
}

/// Bytes that are written in hexadecimal digits.
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

impl PeerHello {
    /// Checks that the other side is the expected server, and that its client URL can be used.
    pub(super) fn check(&self, other: &PeerHello) -> Result<(), Refusal> {
        if other.cluster != self.cluster {
            // A cluster's name has at most 64 characters, but a stranger's text may be longer.
            let others: String = other.cluster.chars().take(64).collect();
            return Err(Refusal::stranger(
                format!(
                    "{} belongs to cluster {others:?} and {} to {:?}: check --cluster and --peer",
                    other.from, self.from, self.cluster
                ),
                "the two servers belong to different clusters: check --cluster and --peer",
            ));
        }
        if other.to != self.from {
            return Err(Refusal::stranger(
                format!(
                    "{} wanted to reach {} and reached {}: check its --peer addresses",
                    other.from, other.to, self.from
                ),
                "the address leads to another server than the one wanted: check the --peer addresses",
            ));
        }
        if other.from == self.from {
            return Err(Refusal::stranger(
                format!("two servers have the id {}: give each its own --id", self.from),
                "two servers have the same id: give each its own --id",
            ));
        }
        match &other.client_url {
            Some(url) if !client_url::is_usable(url) => {
                let shown: String = url.chars().take(100).collect();
                Err(Refusal::stranger(
                    format!(
                        "the client URL of {} is {shown:?}, which cannot be used: check its --client-url",
                        other.from
                    ),
                    "the client URL cannot be used: check --client-url",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Checks that either both sides or neither side has a secret. A later step compares the
    /// secrets.
    pub(super) fn check_secrecy(&self, other: &PeerHello) -> Result<(), Refusal> {
        match (&self.nonce, &other.nonce) {
            (Some(_), None) => Err(without_secret(&other.from, &self.from)),
            (None, Some(_)) => Err(without_secret(&self.from, &other.from)),
            _ => Ok(()),
        }
    }
}

/// Returns the refusal for the case that only one of two servers has a secret.
pub(super) fn without_secret(without: &ServerId, with: &ServerId) -> Refusal {
    Refusal::unproven(
        format!("{without} has no peer secret and {with} has one: give both the same --peer-secret-file"),
        "one of the two servers has no peer secret and the other has one: give both the same --peer-secret-file",
    )
}

pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    // The values are ids, numbers and lists of them, so JSON can represent all of them.
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

    fn hello(cluster: &str, from: &str, to: &str, client_url: Option<&str>) -> PeerHello {
        PeerHello {
            cluster: cluster.to_owned(),
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            client_url: client_url.map(str::to_owned),
            nonce: None,
        }
    }

    #[test]
    fn a_stranger_is_refused_briefly_and_told_no_names() {
        let ours = hello("ours", "server-one", "server-two", None);
        let (cluster, url) = ("b".repeat(100_000), format!("ws://h/{}", "x".repeat(100_000)));
        for theirs in [
            hello(&cluster, "server-two", "server-one", None),
            hello("ours", "server-two", "server-two", None),
            hello("ours", "server-one", "server-one", None),
            hello("ours", "server-two", "server-one", Some(&url)),
            hello("ours", "server-two", "server-one", Some("http://h/")),
        ] {
            let refusal = ours.check(&theirs).unwrap_err();
            assert!(refusal.reason.len() < 300, "{}", refusal.reason);
            assert!(refusal.reason.contains("server-"), "{}", refusal.reason);
            let told = refusal.told();
            assert!(!told.contains("ours") && !told.contains("server-"), "{told}");
            let proven = refusal.clone().after_proof();
            assert_eq!(proven.told(), refusal.reason);
        }
        let theirs = hello("ours", "server-two", "server-one", Some("ws://h:1/v1"));
        assert_eq!(ours.check(&theirs), Ok(()));
    }
}
