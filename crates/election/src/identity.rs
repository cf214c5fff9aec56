//! Who is who: server ids, the numbers they draw, ranks and epochs.

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

/// The text cannot be a [`ServerId`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a server id: use 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct InvalidServerId(String);

impl ServerId {
    /// The id as text.
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

/// The large random number a server draws each time it starts. The largest becomes coordinator.
///
/// Because it is drawn anew at every start it also tells two incarnations of one server apart.
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

// As text: a JSON number of 64 bits loses digits in many languages.
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

/// Who wins: the larger priority, between equal ones the larger number, and between equal numbers the larger
/// id. A total order, so two servers cannot tie.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rank {
    /// Above the number: set it to prefer some servers to others whatever they draw. Usually 0.
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
    /// Its rank.
    pub rank: Rank,
    /// Whether it could do the coordinator's work now. Servers that are not fit do not stand.
    pub fit: bool,
    /// An observer never stands and has no vote; it only learns who is coordinator.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_false"))]
    pub observer: bool,
}

#[cfg(feature = "serde")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(observer: &bool) -> bool {
    !observer
}

impl Member {
    /// A fit server of priority 0.
    pub fn new(id: ServerId, number: Number) -> Self {
        let rank = Rank {
            priority: 0,
            number,
            id,
        };
        Self {
            rank,
            fit: true,
            observer: false,
        }
    }

    /// The same with this priority: 0 to 255, the larger is preferred.
    #[must_use]
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.rank.priority = priority;
        self
    }

    /// The same as an observer.
    #[must_use]
    pub fn as_observer(mut self) -> Self {
        self.observer = true;
        self
    }

    /// The server's id.
    pub fn id(&self) -> &ServerId {
        &self.rank.id
    }

    /// Whether it could become coordinator now.
    pub fn stands(&self) -> bool {
        self.fit && !self.observer
    }
}

/// The line of succession: the servers a coordinator hears that could take its place, best rank first, at most
/// [`Roster::LIMIT`] of them. Cloning is cheap: the members are shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Roster {
    /// Grows with every change under one epoch, and is at least 1.
    pub version: u64,
    /// The first is the successor, the second the witness it waits for.
    pub members: Arc<[Member]>,
}

impl Roster {
    /// As many servers would have to fail at once before the survivors do not know who is next. A bound keeps
    /// the message small in a cluster of thousands.
    pub const LIMIT: usize = 8;
}

/// The fencing token: every coordinator has one of its own, and a later one is larger.
///
/// Hand it to whatever the coordinator writes to, and have that refuse writes under an epoch smaller than
/// the largest it knows. An election alone cannot stop a coordinator that was paused and does not know it
/// yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before the first coordinator.
    pub const ZERO: Epoch = Epoch(0);

    /// The epoch after this one.
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

/// A coordinator and the epoch it was granted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Incumbent {
    /// Who it is.
    pub rank: Rank,
    /// Its epoch.
    pub epoch: Epoch,
}

impl Incumbent {
    /// Whether this one stays when it meets `other`: the larger epoch, and between equal epochs (possible
    /// only without a durable arbiter) the larger rank.
    pub fn outranks(&self, other: &Incumbent) -> bool {
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
