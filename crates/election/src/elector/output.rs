//! What an elector says to its caller.

use thiserror::Error;

use crate::{Epoch, Incumbent, Member, Message, Rank, ServerId};

/// What a server is in the election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It knows of no coordinator.
    Electing,
    /// It follows a coordinator.
    Follower {
        /// Whom it follows.
        coordinator: Incumbent,
    },
    /// It is coordinator.
    Coordinator {
        /// Its fencing token.
        epoch: Epoch,
    },
    /// It is coordinator for the last time: finish the work in hand, start none, then report
    /// [`Elector::drained`](crate::Elector::drained).
    Draining {
        /// The epoch that is about to end.
        epoch: Epoch,
        /// Who comes next, if there is anyone.
        successor: Option<ServerId>,
    },
    /// It has left the election and takes no further part.
    Left,
}

impl Role {
    /// The epoch of the server's own office: it is coordinator, though perhaps for the last time.
    pub fn office(&self) -> Option<Epoch> {
        match self {
            Self::Coordinator { epoch } | Self::Draining { epoch, .. } => Some(*epoch),
            _ => None,
        }
    }
}

/// What the caller is to do. Take them from [`Elector::poll_output`](crate::Elector::poll_output) in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// Send this message. It may be lost; nothing depends on its arrival.
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        message: Message,
    },
    /// Ask the arbiter for an epoch and report with [`Elector::handle_claim`](crate::Elector::handle_claim). There
    /// is never more than one unanswered.
    Claim(Claim),
    /// Ask the arbiter whether this epoch is still the newest and report with
    /// [`Elector::handle_confirmation`](crate::Elector::handle_confirmation). Only with
    /// [`Quorum::Arbiter`](crate::Quorum::Arbiter).
    Confirm(Epoch),
    /// Ask the arbiter for the newest epoch that it has granted and report with
    /// [`Elector::handle_newest`](crate::Elector::handle_newest). There is never more than one unanswered. Asked once
    /// for each new larger epoch that a peer names; again, after a pause, while the arbiter cannot be reached or a peer
    /// goes on to name an epoch that was refuted.
    AskNewest,
    /// The role has changed.
    Role(Role),
}

/// The answer of the arbiter to [`Output::AskNewest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Newest {
    /// The newest epoch that it has granted; [`Epoch::ZERO`] if it has granted none.
    Epoch(Epoch),
    /// It keeps no record of what it has granted, so peers are believed.
    NotRecorded,
    /// It could not be reached, so peers are believed until it can.
    Unreachable,
}

/// A request for an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Who asks.
    pub rank: Rank,
    /// The largest epoch the claimant knows of, for arbiters without a record of their own: the one granted must be
    /// larger. A peer may have made it up, so an arbiter with a record should ignore it.
    pub above: Epoch,
}

/// What a transport knows about the way to a peer. Hints only: they make the election faster, and it is
/// correct without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Messages can be sent.
    Up,
    /// The connection is lost and the transport is trying again.
    Down,
    /// The connection is lost and the peer's host refused another: nobody listens there any more.
    Refused,
}

/// A peer as the elector sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// The peer's id.
    pub id: ServerId,
    /// What it last said of itself.
    pub member: Option<Member>,
    /// Whether the link to it is up, as far as the transport has said.
    pub connected: bool,
}

/// Why a coordinator did not hand over its office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ResignError {
    /// There is nothing to hand over.
    #[error("this server is not coordinator")]
    NotCoordinator,
    /// It stays coordinator; try again later.
    #[error("no follower could take over: none is heard that is fit and not an observer")]
    NoSuccessor,
    /// It did hand over, the successor failed, and it is coordinator again under another epoch.
    #[error("the successor failed before it took over, and this server is coordinator again")]
    SuccessorFailed,
}
