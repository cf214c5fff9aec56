//! The kinds of faults.

use core::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A kind of fault. Its victims and its strength are drawn when it is inflicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// `kill -9` of a server, the coordinator more often than another; healed by a start.
    ServerKill,
    /// `SIGSTOP` of a server, and `SIGCONT`.
    ServerPause,
    /// `SIGTERM` of a server, which hands its office over; healed by a start.
    ServerStop,
    /// A server and its peers do not hear each other.
    CutPeers,
    /// Two servers do not hear each other, while both hear the third.
    CutPair,
    /// A server hears its peers or MongoDB, and is not heard, or the other way about.
    CutOneWay,
    /// A server and MongoDB do not hear each other.
    CutMongodb,
    /// A server and the clients do not hear each other.
    CutClients,
    /// A server and all other processes do not hear each other.
    Isolate,
    /// Packets of some links take up to some hundred milliseconds longer, each another time.
    Delay,
    /// Some links lose packets.
    Loss,
    /// Results of commands do not arrive, and nothing else on their connections.
    LoseReplies,
    /// `kill -9` of a `mongod`, the primary more often than another; healed by a start.
    MongodKill,
    /// `SIGSTOP` of a `mongod`, and `SIGCONT`.
    MongodPause,
    /// MongoDB's primary steps down.
    StepDown,
    /// `kill -9` of two of three `mongod`s.
    MongodMajorityKill,
    /// A `mongod` and the other members do not hear each other.
    CutMember,
    /// A server's wall clock jumps by up to an hour, forwards or back.
    ClockJump,
    /// A `mongod`'s disk takes no writes. While it is the primary's, MongoDB acknowledges nothing
    /// and elects no other.
    DiskStall,
    /// MongoDB's primary works on an update of a client that it does not interrupt; healed by
    /// killing and starting it; only if it is named.
    Unstoppable,
}

impl Fault {
    /// Returns the kinds of a run that names none. [`Unstoppable`](Self::Unstoppable) is not among
    /// them: it uses up a processor as long as it lasts.
    pub fn usual() -> Vec<Self> {
        let all = Self::value_variants().iter().copied();
        all.filter(|fault| *fault != Self::Unstoppable).collect()
    }

    /// Returns `true` if this is a fault of the network, which needs a network of its own.
    pub(crate) fn is_of_the_network(self) -> bool {
        match self {
            Self::CutPeers
            | Self::CutPair
            | Self::CutOneWay
            | Self::CutMongodb
            | Self::CutClients
            | Self::Isolate
            | Self::Delay
            | Self::Loss
            | Self::LoseReplies
            | Self::CutMember => true,
            Self::ServerKill
            | Self::ServerPause
            | Self::ServerStop
            | Self::MongodKill
            | Self::MongodPause
            | Self::StepDown
            | Self::MongodMajorityKill
            | Self::ClockJump
            | Self::DiskStall
            | Self::Unstoppable => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// A host of the network, named after its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Node {
    /// A server, by its place: 0 is `s1`.
    Server(usize),
    /// A `mongod`, by its place: 0 is `m1`.
    Mongod(usize),
    /// A host of clients, by its place: 0 is `c1`.
    Clients(usize),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, place) = match self {
            Self::Server(place) => ('s', place),
            Self::Mongod(place) => ('m', place),
            Self::Clients(place) => ('c', place),
        };
        write!(f, "{letter}{}", place + 1)
    }
}
