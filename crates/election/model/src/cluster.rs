//! One state of the model: the electors and everything around them that an election depends on.

use bellwether_election::{Epoch, Newest, Role};

use crate::bounds::Budget;
use crate::network::Network;
use crate::process::Process;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    pub(crate) network: Network,
    /// The largest epoch granted.
    pub(crate) granted: Epoch,
    /// The newest write that was accepted: under which epoch, and whose.
    pub(crate) written: Option<(Epoch, usize)>,
    pub(crate) left: Budget,
    /// Which invariant the last step broke.
    pub(crate) broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    /// None while it is crashed or has left.
    pub(crate) process: Option<Process>,
    pub(crate) claim: Option<Claim>,
    pub(crate) confirmation: Option<Confirmation>,
    pub(crate) question: Option<Question>,
    /// The arbiter has not answered its last question.
    pub(crate) unanswered: bool,
    /// The largest epoch under which any process of this server was coordinator.
    pub(crate) held: Epoch,
    /// The largest epoch this process has followed or led under.
    pub(crate) known: Epoch,
    /// It does nothing until it wakes.
    pub(crate) asleep: bool,
}

/// The arbiter's work on the claim of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    Asked {
        above: Epoch,
    },
    /// Granted; the server does not know yet.
    Granted(Epoch),
}

/// The arbiter's work to confirm an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Confirmation {
    Asked(Epoch),
    /// `true` if it was the newest; the server does not know yet.
    Said(Epoch, bool),
}

/// The question to the arbiter for the newest epoch, while it is in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// Asked when the server knew this epoch.
    Asked(Epoch),
    /// The same, and the answer, which the server does not know yet.
    Said(Epoch, Newest),
}

impl Server {
    pub(crate) const NONE: Self = Self {
        process: None,
        claim: None,
        confirmation: None,
        question: None,
        unanswered: false,
        held: Epoch::ZERO,
        known: Epoch::ZERO,
        asleep: false,
    };

    pub(crate) fn role(&self) -> Option<&Role> {
        self.process.as_ref().map(Process::role)
    }

    /// Returns the epoch under which it believes that it may write.
    pub(crate) fn own_epoch(&self) -> Option<Epoch> {
        self.role()?.own_epoch()
    }
}
