//! Requests for votes, and votes, where a majority must agree.
//!
//! A vote, like every heartbeat of a follower, is a promise to support no other server for the
//! length of the timeout. Two majorities share a server, and a server keeps one promise at a time.
//! So no two coordinators hold unexpired promises of a majority each. Promises are kept in memory
//! only. A server that has just started therefore makes no promise until all its earlier promises
//! have expired.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use rand::RngCore;

use super::candidate::Candidate;
use super::rebase::Rebase;
use super::{Elector, State};
use crate::{Body, Epoch, Incumbent, Instant, Member, Quorum, Rank, ServerId, Stamp};

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
    mute_until: Instant,
}

impl Promises {
    pub(super) fn none_before(mute_until: Instant) -> Self {
        Self {
            current: None,
            epoch: Epoch::ZERO,
            mute_until,
        }
    }

    /// Returns the moment until which support for `rank` would break a promise.
    fn bound_until(&self, now: Instant, rank: &Rank) -> Option<Instant> {
        let elsewhere = self.current.as_ref().filter(|promise| promise.to != *rank);
        let until = elsewhere.map_or(self.mute_until, |promise| promise.until.max(self.mute_until));
        (until > now).then_some(until)
    }

    fn promise(&mut self, to: &Rank, epoch: Epoch, until: Instant) {
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

    /// Ballots begin again after this epoch. A given promise stays.
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

    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        rebase.not_before(&mut self.mute_until);
        if let Some(promise) = &mut self.current {
            rebase.not_before(&mut promise.until);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Collecting {
    epoch: Epoch,
    /// Time of the first request. No vote in this ballot can be older.
    since: Instant,
    again_at: Instant,
    until: Instant,
    /// `true` if the ballot before this one failed, so that the next failure must wait.
    repeated: bool,
    votes: BTreeSet<ServerId>,
}

impl Collecting {
    pub(super) fn deadline(&self) -> Instant {
        self.again_at.min(self.until)
    }

    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        rebase.since(&mut self.since, rebase.promise);
        rebase.deadline(&mut self.again_at);
        rebase.deadline(&mut self.until);
    }
}

/// A ballot that this server has won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Won {
    pub(super) epoch: Epoch,
    pub(super) since: Instant,
}

impl<R: RngCore> Elector<R> {
    /// Campaigns, because it is this server's turn.
    pub(super) fn campaign(&mut self) {
        if self.config.quorum != Quorum::Majority {
            return self.claim(None);
        }
        let now = self.now;
        if let Some(until) = self.promises.bound_until(now, &self.me.rank) {
            return self.enter(State::Candidate(Candidate::Bound { until }));
        }
        // A later election leaves too little of the lease.
        let until = now + self.config.timeout / 2;
        self.poll(until, false);
    }

    fn poll(&mut self, until: Instant, repeated: bool) {
        let now = self.now;
        let epoch = self.seen.max(self.promises.epoch).next();
        self.promises.epoch = epoch;
        let bound_until = now + self.config.timeout;
        self.promises.promise(&self.me.rank, epoch, bound_until);
        self.enter(State::Candidate(Candidate::Collecting(Collecting {
            epoch,
            since: now,
            again_at: now + self.config.heartbeat,
            until,
            repeated,
            votes: BTreeSet::new(),
        })));
        self.broadcast(&Body::RequestVote { epoch });
        self.count_votes();
    }

    pub(super) fn check_polling(&mut self) {
        let now = self.now;
        let State::Candidate(Candidate::Collecting(polling)) = &mut self.state else {
            return;
        };
        if now >= polling.until {
            return self.rest(self.config.claim_retry);
        }
        if now < polling.again_at {
            return;
        }
        if self.promises.epoch > polling.epoch {
            let until = polling.until;
            return self.poll(until, true);
        }
        // The request was lost, or a promise prevented the vote and has expired since.
        polling.again_at = now + self.config.heartbeat;
        let (epoch, votes) = (polling.epoch, polling.votes.clone());
        let ids: Vec<ServerId> = self.peers.reachable().cloned().collect();
        for peer in ids.iter().filter(|peer| !votes.contains(*peer)) {
            self.send(peer, Body::RequestVote { epoch });
        }
    }

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
        if self.heard_incumbent().is_some() {
            return self.on_query(sender);
        }
        if matches!(self.state, State::Leading(_) | State::Draining(_)) {
            return;
        }
        let now = self.now;
        let counted = match &self.state {
            State::Candidate(Candidate::Collecting(_)) => self.me.rank > sender.rank,
            State::Candidate(Candidate::Claiming { .. }) => true,
            _ => false,
        };
        let withdrawn = !counted && matches!(self.state, State::Candidate(Candidate::Collecting(_)));
        if !counted {
            // No ballot counts this server's vote for itself any more, or the server withdraws it
            // now: the larger rank wins.
            self.promises.release_own(&self.me.rank);
        }
        if self.promises.bound_until(now, &sender.rank).is_some() {
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
        self.promises.epoch = epoch;
        self.promises.promise(&sender.rank, epoch, until);
        self.enter(State::Candidate(Candidate::Awaiting {
            peer: peer.clone(),
            until,
        }));
        self.send(peer, Body::Vote { epoch, granted: true });
    }

    pub(super) fn on_vote(&mut self, sender: &Member, epoch: Epoch, granted: bool) {
        let State::Candidate(Candidate::Collecting(polling)) = &mut self.state else {
            return;
        };
        if !granted && epoch >= polling.epoch {
            self.promises.epoch = self.promises.epoch.max(epoch);
            // The first time at once. After that no faster than the heartbeat, or two candidates
            // push each other to ever larger epochs.
            if !polling.repeated {
                let until = polling.until;
                self.poll(until, true);
            }
            return;
        }
        if granted && epoch == polling.epoch && !sender.observer {
            polling.votes.insert(sender.rank.id.clone());
        }
        // An observer's answer counts here, too: the majority is then smaller.
        self.count_votes();
    }

    fn count_votes(&mut self) {
        let majority = self.majority();
        let State::Candidate(Candidate::Collecting(polling)) = &self.state else {
            return;
        };
        if polling.votes.len() + 1 < majority {
            return;
        }
        let won = Won {
            epoch: polling.epoch,
            since: polling.since,
        };
        let bound_until = won.since + self.config.timeout;
        self.promises.promise(&self.me.rank, won.epoch, bound_until);
        self.peers.forget_support();
        for voter in polling.votes.clone() {
            self.peers.support(&voter, won.since);
        }
        self.claim(Some(won));
    }

    /// A server has pushed the ballots to epochs far above any granted epoch.
    pub(super) fn forget_votes_beyond(&mut self, granted: Epoch) {
        self.promises.forget_beyond(granted);
        if matches!(self.state, State::Candidate(Candidate::Collecting(_))) {
            self.promises.release_own(&self.me.rank);
            self.search();
        }
    }

    /// Notes a message of the coordinator itself, and returns the stamp for the answer. The stamp
    /// promises support from now on. `None` if another promise forbids that.
    pub(super) fn support(&mut self, coordinator: &Incumbent, stamp: Stamp) -> Option<Stamp> {
        if self.config.quorum != Quorum::Majority || self.me.observer {
            return None;
        }
        let now = self.now;
        if self.promises.bound_until(now, &coordinator.rank).is_some() {
            return None;
        }
        let until = now + self.config.timeout;
        self.promises.promise(&coordinator.rank, coordinator.epoch, until);
        Some(stamp)
    }
}
