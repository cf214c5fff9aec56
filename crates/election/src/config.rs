use core::time::Duration;

use thiserror::Error;

use crate::{Detection, Preemption, Quorum, Succession};

/// The timing and the policies of an election. All servers of a cluster should have the same.
///
/// [`Config::default`] suits servers in one data centre. For servers further apart set `heartbeat` to at
/// least the round trip between the furthest two, and `timeout` to five times that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// How often a follower sends a heartbeat to its coordinator. Default 100 ms; at least 1 ms.
    ///
    /// Choose a few round trips. A shorter interval costs messages and finds silent failures no sooner than
    /// `timeout` allows.
    pub heartbeat: Duration,

    /// How long a follower waits for a silent coordinator before it doubts it, at most (see
    /// [`Detection`]). Default 500 ms; at least twice `heartbeat`, and three times with a quorum.
    ///
    /// Choose longer than the longest pause you want to forgive: a stall of the process or its host, a lost
    /// packet that must be sent again. A crash whose connection is refused is noticed at once, whatever this
    /// is.
    pub timeout: Duration,

    /// How often a coordinator announces itself to peers it does not hear: those that are down, and those it
    /// does not know to be back. It never gives up. Default 200 ms; at least `heartbeat`.
    ///
    /// Choose less than `timeout`: then a server that hears the coordinator but is not heard stays a follower.
    /// It also bounds how long two coordinators go on after a partition has healed, where the transport does
    /// not report links. Costs one message per silent peer.
    pub probe: Duration,

    /// How long a server that just started looks for the others before it stands without them. Default 1 s.
    ///
    /// Choose longer than the servers' start-up times differ when you start them together; otherwise the
    /// first one up becomes coordinator and hands over when a better one appears.
    pub startup_grace: Duration,

    /// How long to wait for the announcement of a server that said it stands, and the longest a claim with
    /// the arbiter may take before others go on without it. Default 5 s.
    pub claim_timeout: Duration,

    /// How long a server rests after the arbiter refused it or could not be reached. Default 500 ms; up to
    /// half as much again is added at random, so that servers do not move in step. A server that loses the
    /// office to one it does not hear stands again only after this, then after twice as long, and so on up to
    /// sixteen times, so that two sides of a partition do not take it from each other without end.
    pub claim_retry: Duration,

    /// The longest a coordinator that hands over may take to finish its work. After it the handover goes
    /// ahead all the same. Default 10 s.
    pub drain_timeout: Duration,

    /// For how long a coordinator that is not fit watches a fit follower before it hands over to it. Default
    /// 3 s. Choose longer than the servers differ in noticing one and the same fault.
    pub unfit_patience: Duration,

    /// For how long a coordinator stays one when nobody is fit. Default 20 s. Choose longer than what the
    /// coordinator depends on needs to recover by itself: giving up the epoch then would gain nothing.
    pub unfit_grace: Duration,

    /// Whether a server with a larger rank takes over from a coordinator that works. Default: always.
    pub preemption: Preemption,

    /// Who has to agree before a server is coordinator, and has to be heard for it to stay one. Default:
    /// nobody.
    pub quorum: Quorum,

    /// What servers do when the coordinator is gone. Default: the next in line takes over.
    pub succession: Succession,

    /// When a silent coordinator is doubted. Default: after `timeout`.
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
            unfit_patience: Duration::from_secs(3),
            unfit_grace: Duration::from_secs(20),
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
    /// Promises would run out before they can be renewed, also when nothing is lost.
    #[error(
        "the timeout is {timeout:?}; with a quorum choose at least three times the heartbeat interval of {heartbeat:?} and a round trip"
    )]
    TimeoutTooShortForQuorum {
        /// The timeout given.
        timeout: Duration,
        /// The heartbeat interval given.
        heartbeat: Duration,
    },
    /// A coordinator would announce itself to silent peers more often than it is sent heartbeats.
    #[error("the probe interval is {probe:?}; choose at least the heartbeat interval of {heartbeat:?}")]
    ProbeTooShort {
        /// The probe interval given.
        probe: Duration,
        /// The heartbeat interval given.
        heartbeat: Duration,
    },
    /// The floor of adaptive detection leaves no room for one lost heartbeat, or lies above the timeout.
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
    /// The first rule that is broken.
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
        // A promise is renewed by the answer to an answer, so it is two intervals old before it is renewed again.
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
