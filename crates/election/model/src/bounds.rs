//! The scope of a run of the checker.

use std::fmt;
use std::time::Duration;

use bellwether_election::{Config, Preemption, Quorum};

/// A cluster and its faults.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    /// The servers' numbers, in order of their ids.
    pub(crate) numbers: &'static [u64],
    /// Numbers that a restarted server may draw.
    pub(crate) redrawn: &'static [u64],
    pub(crate) start: Start,
    /// Servers that sleep when the exploration begins.
    pub(crate) asleep: &'static [usize],
    /// Servers that have not been started yet.
    pub(crate) absent: &'static [usize],
    pub(crate) clocks: Clocks,
    pub(crate) order: Order,
    pub(crate) arbiter: Grants,
    pub(crate) quorum: Quorum,
    pub(crate) preemption: Preemption,
    /// In heartbeat intervals.
    pub(crate) timeout: u32,
    /// Link hints may be wrong.
    pub(crate) false_hints: bool,
    /// The run must have a state in which two servers believe that they are coordinator. Otherwise
    /// its faults are harmless.
    pub(crate) shows_two: bool,
    pub(crate) budget: Budget,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Every server has just started.
    Cold,
    /// The best server is coordinator, the others follow it, and no message is in flight.
    Settled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// Each server's clock runs at any speed, independent of the others: its next deadline may come
    /// now or never. No property that holds here depends on time.
    Own,
    /// All clocks run alike, and a server that is awake never misses a deadline. Messages still
    /// take as long as they like. Properties that depend on leases can only hold here.
    Common,
}

/// The order of the messages on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    /// In any order, like datagrams. Two equal messages count as one: the loss of the second is
    /// explored, and the arrival of the first twice is a duplication.
    Any,
    /// In the order of sending, like on a connection.
    AsSent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grants {
    /// Never grants an epoch twice.
    Durable,
    /// Grants the epoch after the largest the claimant knows of.
    Local,
}

/// Number of times that each action may still happen. Without a limit on the granted epochs the
/// number of states would be infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    pub(crate) grants: u8,
    pub(crate) refusals: u8,
    pub(crate) timeouts: u8,
    pub(crate) pauses: u8,
    pub(crate) crashes: u8,
    pub(crate) restarts: u8,
    pub(crate) losses: u8,
    /// Links that may take their time. Where clocks are common, time does not pass before all
    /// others have delivered.
    pub(crate) stalls: u8,
    pub(crate) duplicates: u8,
    pub(crate) hints: u8,
    pub(crate) writes: u8,
    pub(crate) leaves: u8,
    pub(crate) resignations: u8,
    pub(crate) eligibility: u8,
    /// Epochs that a peer makes up. Without them all that is named was granted, and the arbiter
    /// confirms it at once.
    pub(crate) lies: u8,
}

/// As often as it likes.
pub(crate) const ANY: u8 = u8::MAX;

/// Takes one from a budget, if there is one left.
pub(crate) fn spend(left: &mut u8) {
    if *left != ANY {
        *left = left.saturating_sub(1);
    }
}

impl Bounds {
    /// Returns a configuration with small numbers, so that few deadlines lie between two events.
    /// Only their order matters.
    pub(crate) fn config(&self) -> Config {
        let heartbeat = Duration::from_millis(1);
        let timeout = heartbeat * self.timeout;
        Config {
            heartbeat,
            timeout,
            probe: heartbeat,
            startup_grace: timeout,
            claim_timeout: timeout * 2,
            claim_retry: timeout,
            drain_timeout: timeout * 2,
            ineligible_timeout: timeout,
            ineligible_grace: timeout * 2,
            preemption: self.preemption,
            quorum: self.quorum,
            ..Config::default()
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            numbers,
            start,
            clocks,
            order,
            arbiter,
            quorum,
            preemption,
            timeout,
            ..
        } = self;
        write!(
            f,
            "{} servers {numbers:?}, timeout {timeout}, {start:?} start, {clocks:?} clocks, {order:?} order, {arbiter:?} arbiter, quorum {quorum:?}, preemption {preemption:?}",
            numbers.len()
        )?;
        let b = &self.budget;
        let counts = [
            ("grants", b.grants),
            ("refusals", b.refusals),
            ("timeouts", b.timeouts),
            ("pauses", b.pauses),
            ("crashes", b.crashes),
            ("restarts", b.restarts),
            ("losses", b.losses),
            ("stalled links", b.stalls),
            ("duplicates", b.duplicates),
            ("hints", b.hints),
            ("writes", b.writes),
            ("leaves", b.leaves),
            ("resignations", b.resignations),
            ("eligibility", b.eligibility),
            ("lies", b.lies),
        ];
        if !self.asleep.is_empty() {
            write!(f, ", asleep {:?}", self.asleep)?;
        }
        if !self.absent.is_empty() {
            write!(f, ", absent {:?}", self.absent)?;
        }
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            match count {
                ANY => write!(f, ", any {what}")?,
                count => write!(f, ", {count} {what}")?,
            }
        }
        Ok(())
    }
}
