//! The coordinator's last moments: it finishes its work, and then hands over to its successor.

use rand::RngCore;

use super::candidate::Candidate;
use super::coordinator::TermState;
use super::time_shift::TimeShift;
use super::{Elector, State};
use crate::{Body, Instant, Quorum, ServerId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Draining {
    pub(super) term: TermState,
    pub(super) successor: Option<ServerId>,
    tick_at: Instant,
    until: Instant,
    pub(super) leaving: bool,
}

impl Draining {
    pub(super) fn deadline(&self) -> Instant {
        self.term
            .lease
            .until()
            .map_or(self.tick_at, |until| until.min(self.tick_at))
    }

    /// `revision` is the old revision of the peers.
    pub(super) fn shift(&mut self, shift: &TimeShift, revision: u64) {
        self.term.shift(shift, revision);
        shift.deadline(&mut self.tick_at);
        shift.not_before(&mut self.until);
    }
}

impl<R: RngCore> Elector<R> {
    /// Stops accepting work, for `successor` or otherwise for the best-ranked follower.
    pub(super) fn drain(&mut self, successor: Option<ServerId>, leaving: bool) {
        let State::Leading(leading) = &self.state else {
            return;
        };
        let term = leading.term.clone();
        let successor = successor.or_else(|| self.successor());
        let now = self.now;
        self.enter(State::Draining(Draining {
            term,
            successor,
            tick_at: now + self.config.heartbeat,
            until: now + self.config.drain_timeout,
            leaving,
        }));
    }

    /// Renews the lease, and hands over when the time for the work is over.
    pub(super) fn check_draining(&mut self) {
        if self.check_lease() {
            return;
        }
        let now = self.now;
        let State::Draining(draining) = &mut self.state else {
            return;
        };
        if now >= draining.until {
            return self.hand_over();
        }
        if now >= draining.tick_at {
            draining.tick_at = (now + self.config.heartbeat).min(draining.until);
            self.confirm();
        }
    }

    /// Begins the second phase: the work is done, and the successor takes over.
    pub(super) fn hand_over(&mut self) {
        let State::Draining(draining) = &self.state else {
            return;
        };
        let (epoch, leaving) = (draining.term.epoch, draining.leaving);
        // The server's promise to itself ends with its term, so that it can vote for the next
        // coordinator.
        self.promises.release_own(&self.me.rank);
        let releases = epoch.max(self.promises.largest());
        // The named successor may have failed by now.
        let named = draining.successor.clone();
        let still_there = named.filter(|id| {
            let mut there = self.peers.successors(self.now, self.config.timeout);
            there.any(|member| member.rank.id == *id)
        });
        let successor = still_there.or_else(|| self.successor());
        match (&successor, leaving) {
            (_, true) => self.enter(State::Left),
            (Some(peer), false) => {
                let until = self.now + self.config.claim_timeout;
                self.enter(State::Candidate(Candidate::Awaiting {
                    peer: peer.clone(),
                    until,
                }));
            }
            (None, false) => self.enter_search(),
        }
        let word = Body::Handover {
            epoch,
            releases,
            successor: successor.clone(),
        };
        match successor {
            // This message releases each voter from its promise to this server.
            _ if self.config.quorum == Quorum::Majority => self.broadcast(&word),
            Some(peer) => self.send(&peer, word),
            None => {}
        }
        self.check_search();
    }
}
