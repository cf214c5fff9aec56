//! The policies of a cluster for its coordinator. All servers of a cluster should have the same.

use core::time::Duration;

/// The rule for a server with a larger rank than a working coordinator.
///
/// Without [`Preemption::Always`] the coordinator need not be the server with the largest rank. It
/// only had the largest rank of the servers that were present at its election.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preemption {
    /// The larger rank takes over as soon as it can: classic Bully. Choose it when a certain server
    /// should be coordinator, for example with priorities, and a handover costs little.
    #[default]
    Always,
    /// The larger rank takes over after it has followed the coordinator without a break for this
    /// long. Choose it when priorities matter, but a new server should first warm up, or may soon
    /// crash again.
    After(Duration),
    /// The coordinator stays as long as it works. Choose it when a change costs more than anything
    /// else.
    Never,
}

/// The servers that must agree before a server is coordinator, and that a coordinator must hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quorum {
    /// No server must agree; the grant of an epoch is enough. The fastest policy, and available on
    /// both sides of a partition: both have a coordinator until the partition heals. Choose it when
    /// the coordinator's data store checks the epoch, or when two coordinators for a while do no
    /// harm.
    #[default]
    None,
    /// More than half of the servers that are not observers. A coordinator that has not heard a
    /// majority for nine tenths of [`Config::timeout`](crate::Config::timeout) stops. Only after
    /// the whole timeout can another server be elected, so there are never two coordinators. That
    /// holds as long as no clock runs more than a tenth faster than another. Every clock must also
    /// count the time during which its machine is suspended: see `Election`.
    ///
    /// Choose it when nothing else checks the epoch. The price: a minority has no coordinator.
    /// Also, servers replace a crashed coordinator after the timeout and not at once, because a
    /// closed connection is no proof of a crash.
    ///
    /// Servers keep nothing on disk. A server that restarts gives no vote until all its earlier
    /// promises have expired. Even so, when a majority restarts, epochs may begin again unless the
    /// arbiter remembers them.
    Majority,
    /// The arbiter, which confirms the coordinator's epoch at every heartbeat. A coordinator stops
    /// if the arbiter names a newer epoch, or does not answer for nine tenths of the timeout.
    /// Choose it when a coordinator should notice its replacement even if it writes nothing and
    /// hears no peer.
    ///
    /// It does not prevent two coordinators at a time, because the arbiter may grant a new epoch
    /// just after a confirmation of the old one. It limits the time for which the old coordinator
    /// continues. The arbiter must answer claims within that time, too.
    Arbiter,
}

/// The way in which servers replace a failed coordinator. For the benchmarks, which compare the
/// two; a program has no use for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Succession {
    /// The next server in the roster takes over, after one more server has lost the coordinator
    /// too. That costs at most one message per survivor. Every server knows the roster, because
    /// answers to heartbeats carry it.
    #[default]
    Direct,
    /// The classic algorithm. Every server that notices the failure asks all servers with a larger
    /// rank, and each of these does the same. That costs up to m² + m − 1 messages for m survivors,
    /// and no server checks if others still hear the coordinator.
    Classic,
}

/// The moment at which a follower suspects a silent coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detection {
    /// After [`Config::timeout`](crate::Config::timeout). Choose it unless you have measured that
    /// it is too slow.
    #[default]
    Fixed,
    /// After the mean time between the coordinator's answers plus four times its mean deviation, as
    /// each server observes them (V. Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988).
    /// Never before `floor`, and never after [`Config::timeout`](crate::Config::timeout).
    ///
    /// Choose it when the network is steady most of the time, and early detection is worth a false
    /// alarm now and then. It has no use with [`Quorum::Majority`], where no server may take over
    /// before the timeout.
    Adaptive {
        /// At least twice the heartbeat interval. Choose a value above the pauses that you want to
        /// tolerate.
        floor: Duration,
    },
}
