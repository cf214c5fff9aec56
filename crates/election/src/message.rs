use core::time::Duration;

use crate::{Epoch, Incumbent, Instant, Member, Roster, ServerId};

/// What one server says to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message {
    /// Who says it. The number tells incarnations apart: it changes when a server restarts.
    pub sender: Member,
    /// What it says.
    pub body: Body,
}

/// The messages of the election.
///
/// `Election`, `Answer` and `Coordinator` are those of the Bully algorithm (H. Garcia-Molina, "Elections in a
/// Distributed Computing System", IEEE Transactions on Computers C-31(1), 1982). The others make it cheaper,
/// so that a crash costs no round of elections, and calmer, so that one broken link deposes nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Body {
    /// "Who is coordinator, and do you hear it?"
    Query,
    /// The answer to `Query`, and to a `Heartbeat` that reached somebody who is not coordinator. Naming an
    /// incumbent means: I hear it, or heard it within the timeout.
    Known {
        /// The coordinator the sender hears.
        incumbent: Option<Incumbent>,
        /// The largest epoch the sender knows any coordinator to have had. Tells an old word of a coordinator
        /// about itself from a new one, and a server that has forgotten where epochs are.
        epoch: Epoch,
    },
    /// "Stand for election": to the server whose turn it is. From the second in the line of succession it
    /// means "I have lost the coordinator too"; from a better-ranked server to the coordinator, "hand over to
    /// me".
    Election,
    /// "I stand": the sender of `Election` waits for the announcement.
    Answer,
    /// "I cannot": the sender of `Election` asks the next.
    Decline,
    /// "Vote for me", where a majority has to agree.
    Ballot {
        /// The epoch the sender wants to be coordinator in.
        epoch: Epoch,
    },
    /// The answer to `Ballot`. A vote is a promise not to support anybody else for the length of the timeout.
    Vote {
        /// The ballot's epoch; if not granted, the largest epoch the sender has promised anybody.
        epoch: Epoch,
        /// Whether the vote is given.
        granted: bool,
    },
    /// "I am coordinator."
    Coordinator {
        /// The epoch granted to the sender.
        epoch: Epoch,
        /// When it was sent.
        stamp: Stamp,
    },
    /// From a follower to its coordinator.
    Heartbeat {
        /// The epoch the follower follows.
        epoch: Epoch,
        /// The version of the roster the follower has; 0 if none.
        roster: u64,
        /// The stamp of the last word of the coordinator, if the follower supports nobody else: the promise
        /// not to do so for the length of the timeout from when it came.
        echo: Option<Stamp>,
    },
    /// From the coordinator to a follower.
    HeartbeatAck {
        /// The coordinator's epoch.
        epoch: Epoch,
        /// When it was sent.
        stamp: Stamp,
        /// The line of succession, if the follower has another version of it.
        roster: Option<Roster>,
    },
    /// "I was coordinator and have stopped working." The successor is to take over.
    Handover {
        /// The epoch that ends with this.
        epoch: Epoch,
        /// Votes and heartbeats up to this epoch promised the sender support for what ends with this. It may be
        /// larger than `epoch`, since an arbiter need not grant the epoch that was voted on.
        releases: Epoch,
        /// Whose turn it is.
        successor: Option<ServerId>,
    },
}

/// When a coordinator sent something, in microseconds on its own clock. Only the coordinator itself can make
/// sense of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Stamp(pub u64);

impl Stamp {
    pub(crate) fn new(now: Instant) -> Self {
        Self(u64::try_from(now.elapsed_since_origin().as_micros()).unwrap_or(u64::MAX))
    }

    /// Rounded down, which is the safe side for the length of a promise.
    pub(crate) fn instant(self) -> Instant {
        Instant::since_origin(Duration::from_micros(self.0))
    }
}
