//! Suspicion of a coordinator that is silent, or whose host has refused a connection. The followers
//! find out if it has failed, and which server is next.
//!
//! All followers know the roster: the order of succession. The first server in it takes over, the
//! second reports to the first that it has lost the coordinator too, and the others wait. So for m
//! survivors a crash costs one message and m − 1 announcements, and one broken link deposes no
//! coordinator.

use alloc::collections::BTreeSet;
use core::time::Duration;

use rand::RngCore;

use super::follower::Following;
use super::peers::best_two;
use super::time_shift::TimeShift;
use super::{Elector, State};
use crate::{Body, Config, Detection, Instant, Member, Quorum, ServerId, Succession};

/// Largest number of witnesses. Each has a heartbeat interval to answer.
const WITNESSES: usize = 3;

/// Smallest number of gaps that says something about a network.
const ENOUGH_GAPS: u8 = 8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Suspicion {
    /// This server is next in order. It waits for the second in order to notice the failure too.
    AwaitingReport { until: Instant },
    /// The second in order did not notice the failure, or does not exist. This server has asked a
    /// witness.
    AskingWitness {
        witness: ServerId,
        asked: BTreeSet<ServerId>,
        until: Instant,
    },
    /// Another server is next in order. This server waits for its announcement.
    AwaitingSuccessor { until: Instant },
    /// A witness hears the coordinator: only one link is broken.
    Refuted { by: ServerId, until: Instant },
}

impl Suspicion {
    fn until(&self) -> Instant {
        match self {
            Self::AwaitingReport { until }
            | Self::AskingWitness { until, .. }
            | Self::AwaitingSuccessor { until }
            | Self::Refuted { until, .. } => *until,
        }
    }

    pub(super) fn shift(&mut self, shift: &TimeShift) {
        match self {
            Self::AwaitingReport { until }
            | Self::AskingWitness { until, .. }
            | Self::AwaitingSuccessor { until }
            | Self::Refuted { until, .. } => shift.deadline(until),
        }
    }
}

/// The coordinator's rhythm as this server observes it: mean and mean deviation of the gaps between
/// its answers. Both are moving averages with the weights of RFC 6298 (section 2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct AdaptiveTimeout {
    gaps: u8,
    mean: Duration,
    deviation: Duration,
}

impl AdaptiveTimeout {
    pub(super) fn observe(&mut self, gap: Duration) {
        if self.gaps == 0 {
            (self.mean, self.deviation) = (gap, gap / 2);
        } else {
            self.deviation = (self.deviation * 3 + self.mean.abs_diff(gap)) / 4;
            self.mean = (self.mean * 7 + gap) / 8;
        }
        self.gaps = self.gaps.saturating_add(1).min(ENOUGH_GAPS);
    }

    /// Begins again, because the coordinator or the network is another.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn limit(&self, config: &Config) -> Duration {
        match config.detection {
            Detection::Adaptive { floor } if self.gaps >= ENOUGH_GAPS => {
                (self.mean + self.deviation * 4).clamp(floor, config.timeout)
            }
            _ => config.timeout,
        }
    }
}

impl<R: RngCore> Elector<R> {
    /// Returns the moment at which this server suspects the coordinator, or acts on its suspicion.
    pub(super) fn suspicion_deadline(&self, following: &Following) -> Instant {
        match &following.suspicion {
            Some(suspicion) => suspicion.until(),
            // The coordinator's answer to the first heartbeat takes a round trip.
            None if following.reported_only => following.heard() + self.config.heartbeat * 2,
            None => following.heard() + self.adaptive_timeout.limit(&self.config),
        }
    }

    pub(super) fn hears_coordinator(&self, following: &Following) -> bool {
        let silence = self.now.saturating_since(following.heard());
        // A lost link may be the first sign of a failure, so this server does not confirm the
        // coordinator.
        following.suspicion.is_none()
            && !following.reported_only
            && silence < self.adaptive_timeout.limit(&self.config)
            && self.peers.is_reachable(&following.coordinator.rank.id)
    }

    pub(super) fn check_suspicion(&mut self) {
        let State::Following(following) = &self.state else {
            return;
        };
        if self.now < self.suspicion_deadline(following) {
            return;
        }
        match &following.suspicion {
            None | Some(Suspicion::Refuted { .. }) => self.suspect(),
            Some(Suspicion::AskingWitness { asked, .. }) => {
                let asked = asked.clone();
                self.ask_witness(asked);
            }
            Some(Suspicion::AwaitingReport { .. } | Suspicion::AwaitingSuccessor { .. }) => {
                self.ask_witness(BTreeSet::new());
            }
        }
    }

    /// Begins to find out if the coordinator has failed, or begins again.
    pub(super) fn suspect(&mut self) {
        let (now, timeout, heartbeat) = (self.now, self.config.timeout, self.config.heartbeat);
        let State::Following(following) = &mut self.state else {
            return;
        };
        let lost = following.coordinator.rank.id.clone();
        let informed = core::mem::take(&mut following.confirmed_to);
        let suspect_report = following.suspect_report.take();
        let agreed = suspect_report.is_some_and(|report| report.is_within(now, timeout));
        for peer in informed {
            self.send_known(&peer, None);
        }
        if self.config.succession == Succession::Classic {
            return self.declare_failed();
        }
        let own = self.me.can_campaign().then_some(&self.me);
        let successors = self
            .candidates()
            .filter(|member| member.rank.id != lost)
            .chain(own);
        let (first, second) = best_two(successors);
        let is_me = |member: Option<&Member>| member.is_some_and(|member| member.rank.id == self.me.rank.id);
        if is_me(first) {
            if agreed {
                self.declare_failed();
            } else if second.is_some() {
                self.set_suspicion(Suspicion::AwaitingReport {
                    until: now + heartbeat,
                });
            } else {
                self.ask_witness(BTreeSet::new());
            }
            return;
        }
        let report_to = first.filter(|_| is_me(second)).map(|first| first.rank.id.clone());
        // With votes, a promise may bind the first in order for this time. It then has to ask
        // again.
        let longest = match self.config.quorum {
            Quorum::Majority => timeout + heartbeat * 3,
            _ => timeout,
        };
        self.set_suspicion(Suspicion::AwaitingSuccessor { until: now + longest });
        if let Some(first) = report_to {
            self.send(&first, Body::Election);
        }
    }

    /// Asks the best-ranked peer that was not asked yet if it hears the coordinator. Without such a
    /// peer, campaigns.
    pub(super) fn ask_witness(&mut self, mut asked: BTreeSet<ServerId>) {
        let State::Following(following) = &self.state else {
            return;
        };
        let lost = &following.coordinator.rank.id;
        let witness = self
            .peers
            .witnesses(self.now, self.liveness_timeout())
            .filter(|(_, member)| member.rank.id != *lost && !asked.contains(&member.rank.id))
            .max_by(|(a_alive, a), (b_alive, b)| (a_alive, &a.rank).cmp(&(b_alive, &b.rank)))
            .map(|(_, member)| member.rank.id.clone());
        let Some(witness) = witness.filter(|_| asked.len() < WITNESSES) else {
            return self.declare_failed();
        };
        asked.insert(witness.clone());
        let until = self.now + self.config.heartbeat;
        self.set_suspicion(Suspicion::AskingWitness {
            witness: witness.clone(),
            asked,
            until,
        });
        self.send(&witness, Body::Query);
    }

    /// The coordinator has failed: the others decide among themselves.
    pub(super) fn declare_failed(&mut self) {
        let State::Following(following) = &self.state else {
            return;
        };
        let lost = following.coordinator.rank.id.clone();
        self.counters.last_detection = Some(self.now.saturating_since(following.heard()));
        // The classic algorithm asks the failed coordinator all the same, and waits for its answer.
        if self.config.succession == Succession::Direct {
            self.peers.pass_over(&lost, self.now + self.config.timeout);
        }
        self.become_candidate();
    }

    fn set_suspicion(&mut self, suspicion: Suspicion) {
        if let State::Following(following) = &mut self.state {
            following.suspicion = Some(suspicion);
        }
    }

    pub(super) fn accept_refutation(&mut self, by: &ServerId) {
        let State::Following(following) = &self.state else {
            return;
        };
        // A refused connection deserves another check soon: the witness may be about to see the
        // refusal too.
        let refused = self.peers.is_refused(&following.coordinator.rank.id);
        let again = if refused {
            self.config.heartbeat
        } else {
            self.config.timeout
        };
        let until = self.now + again;
        self.set_suspicion(Suspicion::Refuted {
            by: by.clone(),
            until,
        });
    }

    /// Returns the time after which a silent server no longer counts as alive.
    pub(super) fn liveness_timeout(&self) -> Duration {
        self.config.timeout * 3
    }

    /// Returns the peers that could campaign.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Member> {
        self.peers.candidates(self.now, self.liveness_timeout())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adaptive() -> Config {
        Config {
            detection: Detection::Adaptive {
                floor: Duration::from_millis(200),
            },
            ..Config::default()
        }
    }

    #[test]
    fn a_steady_coordinator_is_suspected_at_the_floor_and_an_unsteady_one_at_the_timeout() {
        let mut adaptive_timeout = AdaptiveTimeout::default();
        assert_eq!(
            adaptive_timeout.limit(&adaptive()),
            Config::default().timeout,
            "nothing is known yet"
        );
        for _ in 0..50 {
            adaptive_timeout.observe(Duration::from_millis(100));
        }
        assert_eq!(adaptive_timeout.limit(&adaptive()), Duration::from_millis(200));
        for gap in [20, 400].repeat(20) {
            adaptive_timeout.observe(Duration::from_millis(gap));
        }
        assert_eq!(adaptive_timeout.limit(&adaptive()), Config::default().timeout);
        assert_eq!(
            adaptive_timeout.limit(&Config::default()),
            Config::default().timeout
        );
    }

    #[test]
    fn a_little_jitter_is_allowed_for() {
        let mut adaptive_timeout = AdaptiveTimeout::default();
        for gap in [80, 120].repeat(20) {
            adaptive_timeout.observe(Duration::from_millis(gap));
        }
        let limit = adaptive_timeout.limit(&adaptive());
        assert!(
            limit >= Duration::from_millis(200) && limit < Duration::from_millis(260),
            "{limit:?}"
        );
    }
}
