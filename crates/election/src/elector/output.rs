//! Outputs of an elector, for its caller.

use thiserror::Error;

use crate::{Coordinator, Epoch, Member, Message, Rank, ServerId};

/// The role of a server in the election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The server knows no coordinator.
    Electing,
    /// The server follows a coordinator.
    Follower {
        /// The coordinator.
        coordinator: Coordinator,
    },
    /// The server is coordinator.
    Coordinator {
        /// The epoch, its fencing token.
        epoch: Epoch,
    },
    /// The server is coordinator for the last time. Finish the current work, start none, then
    /// report [`Elector::drained`](crate::Elector::drained).
    Draining {
        /// The epoch that is about to end.
        epoch: Epoch,
        /// The successor, if there is one.
        successor: Option<ServerId>,
    },
    /// The server has left the election permanently.
    Left,
}

impl Role {
    /// Returns the epoch of the server's own term: it is coordinator, though perhaps for the last
    /// time.
    pub fn own_epoch(&self) -> Option<Epoch> {
        match self {
            Self::Coordinator { epoch } | Self::Draining { epoch, .. } => Some(*epoch),
            _ => None,
        }
    }
}

/// An action for the caller. Take the actions from
/// [`Elector::poll_output`](crate::Elector::poll_output) in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// Send this message. It may be lost: the election does not depend on its arrival.
    Send {
        /// Receiver of the message.
        to: ServerId,
        /// The message.
        message: Message,
    },
    /// Ask the arbiter for an epoch and report with
    /// [`Elector::handle_claim`](crate::Elector::handle_claim). At most one such question is
    /// unanswered.
    Claim(Claim),
    /// Ask the arbiter if this epoch is still the newest, and report with
    /// [`Elector::handle_confirmation`](crate::Elector::handle_confirmation). Only with
    /// [`Quorum::Arbiter`](crate::Quorum::Arbiter).
    Confirm(Epoch),
    /// Ask the arbiter for the newest epoch that it has granted, and report with
    /// [`Elector::handle_newest`](crate::Elector::handle_newest). At most one such question is
    /// unanswered.
    ///
    /// The server asks once for each new larger epoch that a peer names. It asks again, after a
    /// pause, while the arbiter is unreachable, or a peer repeats a refuted epoch.
    AskNewest,
    /// The role has changed.
    Role(Role),
}

/// The answer of the arbiter to [`Output::AskNewest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Newest {
    /// The newest epoch that it has granted; [`Epoch::ZERO`] if it has granted none.
    Epoch(Epoch),
    /// The arbiter keeps no record of its grants, so the server believes its peers.
    NotRecorded,
    /// The arbiter was unreachable, so the server believes its peers until it answers.
    Unreachable,
}

/// A request for an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Rank of the claimant.
    pub rank: Rank,
    /// The largest epoch that the claimant knows, for arbiters without a record of their own. They
    /// must grant a larger epoch. A peer may have invented it, so an arbiter with a record should
    /// ignore it.
    pub above: Epoch,
}

/// The state of the way to a peer, from the transport. Only a hint: it makes the election faster,
/// and the election is correct without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// The transport can send messages.
    Up,
    /// The connection is lost, and the transport tries again.
    Down,
    /// The connection is lost, and the peer's host has refused another: no program listens there
    /// any more.
    Refused,
}

/// A peer as the elector sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// The peer's id.
    pub id: ServerId,
    /// The peer's last message about itself.
    pub member: Option<Member>,
    /// `true` if the link to the peer is up, as far as the transport has reported.
    pub connected: bool,
}

/// The error of a coordinator that has not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ResignError {
    /// The server is not coordinator.
    #[error("this server is not coordinator")]
    NotCoordinator,
    /// The server stays coordinator; try again later.
    #[error("no follower could take over: this server hears none that is eligible and not an observer")]
    NoSuccessor,
    /// The server did hand over, the successor failed, and the server is coordinator again under
    /// another epoch.
    #[error("the successor failed before it took over, and this server is coordinator again")]
    SuccessorFailed,
}
