//! The choices a cluster makes about its coordinator. Every server of a cluster should make the same.

use core::time::Duration;

/// Whether a server with a larger rank takes over from a coordinator that works.
///
/// Without [`Preemption::Always`] the coordinator need not be the server with the largest rank, only one that
/// had it among those that were there when it was elected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preemption {
    /// As soon as it can: classic Bully. Choose it when it matters which server is coordinator, for example
    /// with priorities, and a hand-over costs little.
    #[default]
    Always,
    /// Once it has followed the coordinator without a break for this long. Choose it when priorities matter but
    /// a server that has just started should first warm up, or may soon crash again.
    After(Duration),
    /// Never: the coordinator stays as long as it works. Choose it when a change is what costs most.
    Never,
}

/// Who has to agree before a server is coordinator, and has to be heard for it to stay one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quorum {
    /// Nobody, beyond the grant of an epoch. The fastest, and available on both sides of a partition: both
    /// then have a coordinator until it heals. Choose it when whatever the coordinator writes to checks the
    /// epoch, or when two coordinators for a while do no harm.
    #[default]
    None,
    /// More than half of the servers that are not observers. A coordinator that has not heard so many for
    /// nine tenths of [`Config::timeout`](crate::Config::timeout) stops, and only after the whole of it can
    /// another be elected; so there are never two, as long as no clock runs more than a tenth faster than
    /// another and every clock goes on while its machine is suspended: `Election` says where that is so. Choose it when
    /// nothing else checks the epoch. The price: a minority has no coordinator, and
    /// a crash is answered after the timeout, not at once, for a closed connection is no proof of a crash.
    ///
    /// Servers keep nothing on disk. One that restarts gives no vote until all it promised before has run
    /// out; still, when a majority restarts, epochs may begin again unless the arbiter remembers them.
    Majority,
    /// The arbiter, which confirms the coordinator's epoch at every heartbeat. A coordinator that is told that
    /// there is a newer one, or is told nothing for nine tenths of the timeout, stops. Choose it when a
    /// coordinator should notice that it was replaced even if it writes nothing and hears nobody. It does not
    /// keep two from being coordinator at a time, for the arbiter may grant a new epoch a moment after it has
    /// confirmed the old one; it bounds how long the older one goes on. The arbiter has to answer claims, too,
    /// within that time.
    Arbiter,
}

/// What servers do when the coordinator is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Succession {
    /// The next in the line of succession takes over, once one more server has lost the coordinator too: at
    /// most as many messages as there are survivors. Everybody knows the line, because it travels with the
    /// answers to heartbeats.
    #[default]
    Direct,
    /// The classic algorithm: every server that notices asks all with a larger rank, and each of these does
    /// the same: up to m² + m − 1 messages for m survivors, and no check whether others still hear the
    /// coordinator. It is here to compare with.
    Classic,
}

/// When a silent coordinator is doubted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Detection {
    /// After [`Config::timeout`](crate::Config::timeout). Choose it unless you have measured that it is too slow.
    #[default]
    Fixed,
    /// After the mean time between the coordinator's answers and four times its mean deviation, as observed by
    /// each server (V. Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988), but never before `floor`
    /// and never after [`Config::timeout`](crate::Config::timeout). Choose it when the network is steady most of the
    /// time and noticing silence early is worth a false alarm now and then. Of no use with
    /// [`Quorum::Majority`], where nobody may take over before the timeout anyway.
    Adaptive {
        /// At least twice the heartbeat interval; choose longer than the pauses you want to forgive.
        floor: Duration,
    },
}
