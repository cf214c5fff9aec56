//! The votes of this server, where a majority must agree.
//!
//! A vote, like every heartbeat of a follower, is a promise to support no other server for the
//! length of the timeout. Two majorities share a server, and a server keeps one promise at a time.
//! So no two coordinators hold unexpired promises of a majority each. Promises are kept in memory
//! only. A server that has just started therefore makes no promise until all its earlier promises
//! have expired.

use rand::RngCore;

use super::candidate::Candidate;
use super::time_shift::TimeShift;
use super::{Elector, State};
use crate::{Body, Coordinator, Epoch, Instant, Member, Quorum, Rank, Timestamp};

/// A promise to support `to`, and no other server, until then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Promise {
    to: Rank,
    epoch: Epoch,
    until: Instant,
}

/// Promises of this server in its votes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Promises {
    current: Option<Promise>,
    /// The largest epoch of a vote.
    epoch: Epoch,
    /// No promise before this moment, because the promises of an earlier incarnation are not known.
    no_promise_before: Instant,
}

impl Promises {
    pub(super) fn none_before(no_promise_before: Instant) -> Self {
        Self {
            current: None,
            epoch: Epoch::ZERO,
            no_promise_before,
        }
    }

    /// Returns the moment until which support for `rank` would break a promise.
    pub(super) fn withheld_until(&self, now: Instant, rank: &Rank) -> Option<Instant> {
        let elsewhere = self.current.as_ref().filter(|promise| promise.to != *rank);
        let until = elsewhere.map_or(self.no_promise_before, |promise| {
            promise.until.max(self.no_promise_before)
        });
        (until > now).then_some(until)
    }

    pub(super) fn promise(&mut self, to: &Rank, epoch: Epoch, until: Instant) {
        match &mut self.current {
            Some(promise) if promise.to == *to => {
                promise.epoch = promise.epoch.max(epoch);
                promise.until = promise.until.max(until);
            }
            current => {
                *current = Some(Promise {
                    to: to.clone(),
                    epoch,
                    until,
                });
            }
        }
    }

    /// Returns the largest epoch of a vote.
    pub(super) fn largest(&self) -> Epoch {
        self.epoch
    }

    /// Notes an epoch for which this server, or a peer, has asked for votes.
    pub(super) fn note_epoch(&mut self, epoch: Epoch) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Later requests for votes begin again after this epoch. A given promise stays.
    fn forget_beyond(&mut self, epoch: Epoch) {
        self.epoch = self.epoch.min(epoch);
    }

    /// Ends this server's vote for itself.
    pub(super) fn release_own(&mut self, me: &Rank) {
        self.current.take_if(|promise| promise.to == *me);
    }

    /// Ends the promise to `rank`, which has said itself that it is not coordinator any more. A
    /// message from before the promise ends nothing: it may be late.
    pub(super) fn release(&mut self, rank: &Rank, epoch: Epoch) {
        self.current
            .take_if(|promise| promise.to == *rank && promise.epoch <= epoch);
    }

    pub(super) fn shift(&mut self, shift: &TimeShift) {
        shift.not_before(&mut self.no_promise_before);
        if let Some(promise) = &mut self.current {
            shift.not_before(&mut promise.until);
        }
    }
}

impl<R: RngCore> Elector<R> {
    pub(super) fn on_request_vote(&mut self, sender: &Member, epoch: Epoch) {
        let peer = &sender.rank.id;
        if self.config.quorum != Quorum::Majority {
            return;
        }
        if self.me.observer {
            // The candidate does not need its vote, but may not know that.
            let (epoch, granted) = (Epoch::ZERO, false);
            return self.send(peer, Body::Vote { epoch, granted });
        }
        match &self.state {
            State::Leading(_) | State::Draining(_) => return self.announce_to(peer),
            State::Following(following) if self.hears_coordinator(following) => {
                return self.on_query_as_follower(sender);
            }
            _ => {}
        }
        let now = self.now;
        let counted = match &self.state {
            State::Candidate(Candidate::Collecting(_)) => self.me.rank > sender.rank,
            State::Candidate(Candidate::Claiming { .. }) => true,
            _ => false,
        };
        let withdrawn = !counted && matches!(self.state, State::Candidate(Candidate::Collecting(_)));
        if !counted {
            // No campaign counts this server's vote for itself any more, or the server withdraws it
            // now: the larger rank wins.
            self.promises.release_own(&self.me.rank);
        }
        if self.promises.withheld_until(now, &sender.rank).is_some() {
            // The candidate asks again, and the promise may have expired by then.
            return;
        }
        let largest = self.seen.max(self.promises.largest());
        let given = self
            .promises
            .current
            .as_ref()
            .is_some_and(|promise| promise.to == sender.rank);
        // Under the same epoch only if this server withdraws its vote for itself.
        let again = given || (withdrawn && epoch > self.seen);
        if epoch < largest || (epoch == largest && !again) {
            return self.send(
                peer,
                Body::Vote {
                    epoch: largest,
                    granted: false,
                },
            );
        }
        let until = now + self.config.timeout;
        self.promises.note_epoch(epoch);
        self.promises.promise(&sender.rank, epoch, until);
        self.enter(State::Candidate(Candidate::Awaiting {
            peer: peer.clone(),
            until,
        }));
        self.send(peer, Body::Vote { epoch, granted: true });
    }

    /// Forgets requested votes: a server has pushed them to epochs far above any granted epoch.
    pub(super) fn forget_votes_beyond(&mut self, granted: Epoch) {
        self.promises.forget_beyond(granted);
        if matches!(self.state, State::Candidate(Candidate::Collecting(_))) {
            self.promises.release_own(&self.me.rank);
            self.search();
        }
    }

    /// Notes a message of the coordinator itself, and returns the timestamp for the answer. The
    /// timestamp promises support from now on. `None` if another promise forbids that.
    pub(super) fn support(&mut self, coordinator: &Coordinator, sent_at: Timestamp) -> Option<Timestamp> {
        if self.config.quorum != Quorum::Majority || self.me.observer {
            return None;
        }
        let now = self.now;
        if self.promises.withheld_until(now, &coordinator.rank).is_some() {
            return None;
        }
        let until = now + self.config.timeout;
        self.promises.promise(&coordinator.rank, coordinator.epoch, until);
        Some(sent_at)
    }
}
