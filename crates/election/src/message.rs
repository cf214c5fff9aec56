use core::time::Duration;

use crate::{Coordinator, Epoch, Instant, Member, Roster, ServerId};

/// A message from one server to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message {
    /// The sender. Its number distinguishes incarnations: it changes when a server restarts.
    pub sender: Member,
    /// The content.
    pub body: Body,
}

/// The messages of the election.
///
/// `Election`, `Answer` and `Coordinator` are those of the Bully algorithm (H. Garcia-Molina,
/// "Elections in a Distributed Computing System", IEEE Transactions on Computers C-31(1), 1982).
/// The others make it cheaper: a crash costs no round of elections. They also make it calmer: one
/// broken link deposes no coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Body {
    /// "Which coordinator do you know, and do you hear it?"
    Query,
    /// The answer to `Query`, and to a `Heartbeat` that reached a server that is not coordinator.
    /// The sender names a coordinator if it hears it, or has heard it within the timeout.
    Known {
        /// The coordinator that the sender hears.
        coordinator: Option<Coordinator>,
        /// The largest epoch of any coordinator that the sender knows. It distinguishes an old
        /// message of a coordinator about itself from a new one. It also shows that a server has
        /// forgotten the current epoch.
        epoch: Epoch,
    },
    /// "Start an election", to the server next in order. From the second in the roster
    /// it means "I have lost the coordinator too". From a better-ranked server to the coordinator
    /// it means "hand over to me".
    Election,
    /// "I am a candidate": the sender of `Election` waits for the announcement.
    Answer,
    /// "I cannot": the sender of `Election` asks the next server.
    Decline,
    /// "Vote for me", where a majority must agree.
    RequestVote {
        /// The epoch for which the sender campaigns.
        epoch: Epoch,
    },
    /// The answer to `RequestVote`. A vote is a promise to support no other server for the length
    /// of the timeout.
    Vote {
        /// The epoch of the request. If the vote is not granted: the largest epoch that the sender
        /// has promised to any server.
        epoch: Epoch,
        /// `true` if the sender gives its vote.
        granted: bool,
    },
    /// "I am coordinator."
    Coordinator {
        /// The epoch that the arbiter has granted to the sender.
        epoch: Epoch,
        /// Time of sending.
        sent_at: Timestamp,
    },
    /// A heartbeat of a follower to its coordinator.
    Heartbeat {
        /// Epoch of the coordinator.
        epoch: Epoch,
        /// Version of the follower's roster; 0 if it has none.
        roster: u64,
        /// The timestamp of the coordinator's last message, if the follower supports no other
        /// server. It promises not to do so for the length of the timeout, from the arrival of that
        /// message.
        echo: Option<Timestamp>,
    },
    /// The coordinator's answer to a follower.
    HeartbeatAck {
        /// Epoch of the coordinator.
        epoch: Epoch,
        /// Time of sending.
        sent_at: Timestamp,
        /// The roster, if the follower has another version.
        roster: Option<Roster>,
    },
    /// "I was coordinator and have stopped working." The successor takes over.
    Handover {
        /// The epoch that ends.
        epoch: Epoch,
        /// Votes and heartbeats up to this epoch promised support for the leadership that ends. It
        /// may be larger than `epoch`, since an arbiter need not grant the epoch of the vote.
        releases: Epoch,
        /// The successor.
        successor: Option<ServerId>,
    },
}

/// The time at which a coordinator sent a message, in microseconds on its own clock. Only that
/// coordinator can interpret it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub(crate) fn new(now: Instant) -> Self {
        Self(u64::try_from(now.elapsed_since_origin().as_micros()).unwrap_or(u64::MAX))
    }

    /// Rounds down, which is the safe side for the length of a promise.
    pub(crate) fn instant(self) -> Instant {
        Instant::since_origin(Duration::from_micros(self.0))
    }
}
