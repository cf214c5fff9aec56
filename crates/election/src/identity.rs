//! Server ids, numbers, ranks and epochs.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use rand::RngCore;
use thiserror::Error;

/// The name of a server: 1 to 64 of the characters `A-Z a-z 0-9 . _ -`, unique in its cluster.
///
/// Cloning is cheap: the text is shared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(transparent))]
pub struct ServerId(#[cfg_attr(feature = "serde", serde(serialize_with = "serialize_id"))] Arc<str>);

#[cfg(feature = "serde")]
fn serialize_id<S: serde::Serializer>(id: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id)
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ServerId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The error for a text that cannot be a [`ServerId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a server id: use 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct InvalidServerId(String);

impl ServerId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerId {
    type Err = InvalidServerId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(InvalidServerId(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The large random number that a server draws each time it starts. The largest becomes
/// coordinator.
///
/// A server draws a new number at every start, so the number also distinguishes two incarnations of
/// one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(pub u64);

impl Number {
    /// Draws a number: uniform over all 64 bits.
    pub fn draw(rng: &mut impl RngCore) -> Self {
        Self(rng.next_u64())
    }

    /// Draws a number from the thread's random number generator.
    #[cfg(feature = "tokio")]
    pub fn random() -> Self {
        Self::draw(&mut rand::rng())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// A text, because a JSON number of 64 bits loses digits in many languages.
#[cfg(feature = "serde")]
impl serde::Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The order of servers: the larger priority wins, then the larger number, then the larger id. A
/// total order, so two servers cannot tie.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rank {
    /// Comes before the number: set it to prefer some servers to others, whatever they draw.
    /// Usually 0.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_zero"))]
    pub priority: u8,
    /// The number drawn at this start.
    pub number: Number,
    /// The server's id.
    pub id: ServerId,
}

#[cfg(feature = "serde")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(priority: &u8) -> bool {
    *priority == 0
}

impl fmt::Debug for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.priority {
            0 => write!(f, "{}({})", self.id, self.number),
            priority => write!(f, "{}({priority}/{})", self.id, self.number),
        }
    }
}

/// A server as its peers know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Member {
    /// Rank of the server.
    pub rank: Rank,
    /// `true` if the server could do the coordinator's work now. Servers that are not eligible do
    /// not campaign.
    pub eligible: bool,
    /// `true` for an observer, which never campaigns and has no vote, and only learns the
    /// coordinator.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_false"))]
    pub observer: bool,
}

#[cfg(feature = "serde")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(observer: &bool) -> bool {
    !observer
}

impl Member {
    /// Returns an eligible server of priority 0.
    pub fn new(id: ServerId, number: Number) -> Self {
        let rank = Rank {
            priority: 0,
            number,
            id,
        };
        Self {
            rank,
            eligible: true,
            observer: false,
        }
    }

    /// Returns the same server with this priority: 0 to 255. The larger priority wins.
    #[must_use]
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.rank.priority = priority;
        self
    }

    /// Returns the same server as an observer.
    #[must_use]
    pub fn as_observer(mut self) -> Self {
        self.observer = true;
        self
    }

    /// Returns the server's id.
    pub fn id(&self) -> &ServerId {
        &self.rank.id
    }

    /// Returns `true` if the server could become coordinator now.
    pub fn can_campaign(&self) -> bool {
        self.eligible && !self.observer
    }
}

/// The order of succession: the servers that a coordinator hears and that could replace it. At most
/// [`Roster::LIMIT`], best rank first. A clone is cheap: clones share the members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Roster {
    /// Version of the roster. Grows with every change under one epoch, and is at least 1.
    pub version: u64,
    /// The members. The first is the successor; the second is the witness for which the successor
    /// waits.
    pub members: Arc<[Member]>,
}

impl Roster {
    /// Largest number of members. If this number of servers fails at once, the survivors do not
    /// know the next. The limit keeps the message small in a cluster of thousands.
    pub const LIMIT: usize = 8;
}

/// The fencing token: every coordinator has one of its own, and a later one is larger.
///
/// Send it with every write of the coordinator. The data store must refuse writes under an epoch
/// smaller than the largest that it knows. An election alone cannot stop a coordinator that was
/// paused and does not know this yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch before the first coordinator.
    pub const ZERO: Epoch = Epoch(0);

    /// Returns the next epoch.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A coordinator with the epoch that the arbiter has granted to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Coordinator {
    /// Rank of the coordinator.
    pub rank: Rank,
    /// Epoch of the coordinator.
    pub epoch: Epoch,
}

impl Coordinator {
    /// Returns `true` if this coordinator stays when it meets `other`. The larger epoch stays;
    /// between equal epochs (possible only without a durable arbiter) the larger rank.
    pub fn outranks(&self, other: &Coordinator) -> bool {
        (self.epoch, &self.rank) > (other.epoch, &other.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(number: u64, id: &str) -> Rank {
        Member::new(id.parse().unwrap(), Number(number)).rank
    }

    #[test]
    fn equal_numbers_cannot_tie() {
        assert!(rank(7, "b") > rank(7, "a"));
        assert!(rank(8, "a") > rank(7, "b"));
    }

    #[test]
    fn priority_goes_before_the_number() {
        let preferred = Member::new("a".parse().unwrap(), Number(1)).with_priority(1).rank;
        assert!(preferred > rank(u64::MAX, "b"));
    }

    #[test]
    fn ids_are_checked() {
        assert!("s1".parse::<ServerId>().is_ok());
        for bad in ["", "a b", "ü", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<ServerId>().is_err(), "{bad}");
        }
    }
}
