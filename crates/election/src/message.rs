use alloc::vec::Vec;

use crate::{Epoch, Incumbent, Member};

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
    },
    /// "Stand for election": to the best-ranked server the sender knows, or, from a better-ranked server to
    /// the coordinator, "hand over to me".
    Election,
    /// "I stand": the sender of `Election` waits for the announcement.
    Answer,
    /// "I cannot": the sender of `Election` asks the next.
    Decline,
    /// "I am coordinator."
    Coordinator {
        /// The epoch granted to the sender.
        epoch: Epoch,
    },
    /// From a follower to its coordinator.
    Heartbeat {
        /// The epoch the follower follows.
        epoch: Epoch,
    },
    /// From the coordinator to a follower.
    HeartbeatAck {
        /// The coordinator's epoch.
        epoch: Epoch,
        /// Every server the coordinator hears, so that each follower knows who comes next.
        roster: Vec<Member>,
    },
    /// "I was coordinator and have stopped working. It is your turn."
    Handover {
        /// The epoch that ends with this.
        epoch: Epoch,
    },
}
