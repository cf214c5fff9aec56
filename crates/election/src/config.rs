use core::time::Duration;

use thiserror::Error;

use crate::{Detection, Preemption, Quorum, Succession};

/// The timing and the policies of an election. All servers of a cluster should have the same.
///
/// [`Config::default`] suits servers in one data centre. For servers further apart set `heartbeat`
/// to at least the round trip between the furthest two, and `timeout` to five times that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Interval of a follower's heartbeats to its coordinator. Default 100 ms; at least 1 ms.
    ///
    /// Choose a few round trips. A shorter interval costs messages, and finds silent failures no
    /// sooner than `timeout` allows.
    pub heartbeat: Duration,

    /// Longest silence of a coordinator before a follower suspects it (see [`Detection`]). Default
    /// 500 ms; at least twice `heartbeat`, and three times with a quorum.
    ///
    /// Choose a value above the longest pause that you want to tolerate: a stall of the process or
    /// its host, or a lost packet. A follower notices a crash at once if the connection is refused,
    /// whatever this value is.
    pub timeout: Duration,

    /// Interval at which a coordinator announces itself to peers that it does not hear: peers that
    /// are down, and peers that may be back. It never stops. Default 200 ms; at least `heartbeat`.
    ///
    /// Choose less than `timeout`: a server that hears the coordinator, but is not heard, then
    /// stays a follower. Where the transport reports no links, this also limits how long two
    /// coordinators continue after a partition has healed. Costs one message per silent peer.
    pub probe: Duration,

    /// Time for which a server that has just started looks for the others before it campaigns
    /// without them. Default 1 s.
    ///
    /// Choose a value above the difference of the start-up times of servers that you start
    /// together. Otherwise the first server becomes coordinator, and hands over when a better one
    /// appears.
    pub startup_grace: Duration,

    /// Time limit for the announcement of a candidate, and for a claim with the arbiter before
    /// others continue without it. Default 5 s.
    pub claim_timeout: Duration,

    /// Pause of a server after the arbiter has refused it or was unreachable. Default 500 ms. Up to
    /// half of it is added at random, so that servers do not move in step.
    ///
    /// A server that steps down for a coordinator that it does not hear also waits for this time.
    /// The next such pause is twice as long, and so on up to sixteen times. So two sides of a
    /// partition do not take the leadership from each other without end.
    pub claim_retry: Duration,

    /// Time limit for a coordinator that hands over to finish its work. The handover then continues
    /// in any case. Default 10 s.
    pub drain_timeout: Duration,

    /// Time for which a coordinator that is not eligible watches an eligible follower before it
    /// hands over. Default 3 s. Choose a value above the difference with which servers notice the
    /// same fault.
    pub ineligible_timeout: Duration,

    /// Time for which a coordinator stays coordinator while no server is eligible. Default 20 s.
    /// Choose a value above the time in which the coordinator's database recovers by itself. Giving
    /// up the epoch during that time gains nothing.
    pub ineligible_grace: Duration,

    /// The rule for a server with a larger rank than a working coordinator. Default: the server
    /// takes over, always.
    pub preemption: Preemption,

    /// The servers that must agree before a server is coordinator, and that a coordinator must
    /// hear. Default: none.
    pub quorum: Quorum,

    /// The way in which servers replace a failed coordinator. Default: the next in the roster takes
    /// over.
    #[doc(hidden)]
    pub succession: Succession,

    /// The moment at which servers suspect a silent coordinator. Default: after `timeout`.
    pub detection: Detection,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            timeout: Duration::from_millis(500),
            probe: Duration::from_millis(200),
            startup_grace: Duration::from_secs(1),
            claim_timeout: Duration::from_secs(5),
            claim_retry: Duration::from_millis(500),
            drain_timeout: Duration::from_secs(10),
            ineligible_timeout: Duration::from_secs(3),
            ineligible_grace: Duration::from_secs(20),
            preemption: Preemption::default(),
            quorum: Quorum::default(),
            succession: Succession::default(),
            detection: Detection::default(),
        }
    }
}

/// A [`Config`] that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The heartbeat interval is below 1 ms.
    #[error("the heartbeat interval is {0:?}; choose at least 1 ms")]
    HeartbeatTooShort(Duration),
    /// The timeout leaves no room for one lost heartbeat.
    #[error("the timeout is {timeout:?}; choose at least twice the heartbeat interval of {heartbeat:?}")]
    TimeoutTooShort {
        /// The timeout given.
        timeout: Duration,
        /// The heartbeat interval given.
        heartbeat: Duration,
    },
    /// Promises would expire before they can be renewed, even without a loss.
    #[error(
        "the timeout is {timeout:?}; with a quorum choose at least three times the heartbeat interval of {heartbeat:?} and a round trip"
    )]
    TimeoutTooShortForQuorum {
        /// The given timeout.
        timeout: Duration,
        /// The given heartbeat interval.
        heartbeat: Duration,
    },
    /// A coordinator would announce itself to silent peers more often than it receives heartbeats.
    #[error("the probe interval is {probe:?}; choose at least the heartbeat interval of {heartbeat:?}")]
    ProbeTooShort {
        /// The probe interval given.
        probe: Duration,
        /// The heartbeat interval given.
        heartbeat: Duration,
    },
    /// The floor of adaptive detection leaves no room for one lost heartbeat, or lies above the
    /// timeout.
    #[error(
        "the floor of the detection is {floor:?}; choose at least twice the heartbeat interval of {heartbeat:?} and at most the timeout of {timeout:?}"
    )]
    FloorOutOfRange {
        /// The floor given.
        floor: Duration,
        /// The heartbeat interval given.
        heartbeat: Duration,
        /// The timeout given.
        timeout: Duration,
    },
}

impl Config {
    /// Checks that the values can work together.
    ///
    /// # Errors
    /// The first rule that the values break.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.heartbeat < Duration::from_millis(1) {
            return Err(ConfigError::HeartbeatTooShort(self.heartbeat));
        }
        let Self {
            heartbeat,
            timeout,
            probe,
            ..
        } = *self;
        if timeout < heartbeat.saturating_mul(2) {
            return Err(ConfigError::TimeoutTooShort { timeout, heartbeat });
        }
        // The answer to an answer renews a promise, so the promise is two intervals old before its
        // renewal.
        if self.quorum != Quorum::None && timeout < heartbeat.saturating_mul(3) {
            return Err(ConfigError::TimeoutTooShortForQuorum { timeout, heartbeat });
        }
        if probe < heartbeat {
            return Err(ConfigError::ProbeTooShort { probe, heartbeat });
        }
        match self.detection {
            Detection::Adaptive { floor } if floor < heartbeat.saturating_mul(2) || floor > timeout => {
                Err(ConfigError::FloorOutOfRange {
                    floor,
                    heartbeat,
                    timeout,
                })
            }
            _ => Ok(()),
        }
    }
}
