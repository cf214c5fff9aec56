//! Requests of the caller to an elector.

use rand::RngCore;

use super::candidate::Candidate;
use super::{Elector, ResignError, State};
use crate::{Body, Epoch, Instant, ServerId};

impl<R: RngCore> Elector<R> {
    /// Adds a server to the cluster. It takes part as soon as this server has heard it. Ignored if
    /// it is known already.
    ///
    /// Call this on every server, in any order. With [`Quorum::Majority`](crate::Quorum::Majority)
    /// make one addition or removal at a time: only then do the majorities before and after share a
    /// server.
    pub fn add_peer(&mut self, now: Instant, id: ServerId) {
        self.advance(now);
        if id == self.me.rank.id || !self.peers.add(id.clone()) {
            return;
        }
        match &self.state {
            State::Searching(_) => self.send(&id, Body::Query),
            State::Leading(_) => self.announce_to(&id),
            _ => {}
        }
    }

    /// Removes a server from the cluster permanently. Its messages are ignored from now on. If it
    /// was the coordinator, the others elect another. Ignored if it is not known. To replace a
    /// server under the same id, no call is needed: its number distinguishes the new server from
    /// the old one.
    pub fn remove_peer(&mut self, now: Instant, id: &ServerId) {
        self.advance(now);
        if !self.peers.remove(id) {
            return;
        }
        self.epoch_check.forget_peer(id);
        if let State::Following(following) = &mut self.state {
            following.confirmed_to.remove(id);
        }
        match &self.state {
            State::Following(_) if self.follows(id) => self.search(),
            State::Candidate(candidate) if candidate.waits_for(id) => self.become_candidate(),
            State::Searching(_) => self.check_search(),
            _ => {}
        }
    }

    /// Sets if this server is eligible: if it could do the coordinator's work now, for example if
    /// it reaches its database. A server that is not eligible does not campaign. A coordinator that
    /// is not eligible hands over to an eligible follower after
    /// [`Config::ineligible_timeout`](crate::Config::ineligible_timeout). Without such a follower
    /// it steps down after [`Config::ineligible_grace`](crate::Config::ineligible_grace).
    pub fn set_eligible(&mut self, now: Instant, eligible: bool) {
        self.advance(now);
        if self.me.eligible == eligible {
            return;
        }
        self.me.eligible = eligible;
        self.changes += 1;
        match &self.state {
            State::Candidate(Candidate::BackingOff { .. }) if eligible => self.search(),
            // Otherwise the others would campaign in the belief that this server cannot.
            State::Searching(_) if eligible => self.broadcast(&Body::Query),
            State::Following(_) => self.send_heartbeat_now(),
            _ => {}
        }
    }

    /// Reports that the data store has refused `epoch` as too old: the arbiter has granted a newer
    /// one. Steps down at once. Ignored if this server is not coordinator under that epoch, so a
    /// second call does no harm.
    pub fn step_down(&mut self, now: Instant, epoch: Epoch) {
        self.advance(now);
        if self.term().is_some_and(|term| term.epoch == epoch) {
            self.step_down_superseded();
        }
    }

    /// Leaves the election permanently. A coordinator drains and hands over first. The role is
    /// [`Role::Left`](crate::Role::Left) when that is done.
    pub fn leave(&mut self, now: Instant) {
        self.advance(now);
        match &mut self.state {
            State::Leading(_) => self.drain(None, true),
            State::Draining(draining) => draining.leaving = true,
            _ => self.enter(State::Left),
        }
    }

    /// Hands over to the best-ranked follower, but stays in the election. Does not challenge the
    /// next coordinator, whatever its rank. If the successor fails before it has taken over, this
    /// server may become coordinator again.
    ///
    /// # Errors
    /// If this server is not coordinator, or no follower could take over. Nothing has happened
    /// then.
    pub fn resign(&mut self, now: Instant) -> Result<(), ResignError> {
        self.advance(now);
        let epoch = match &self.state {
            State::Leading(leading) => leading.term.epoch,
            // The handover has begun already.
            State::Draining(_) => return Ok(()),
            _ => return Err(ResignError::NotCoordinator),
        };
        let successor = self.successor().ok_or(ResignError::NoSuccessor)?;
        (self.resigned_under, self.resigned_to) = (Some(epoch), None);
        self.drain(Some(successor), false);
        Ok(())
    }

    /// Reports that the work under `epoch` is finished and no more follows: the answer to
    /// [`Role::Draining`](crate::Role::Draining). Ignored in every other role, so a second call
    /// does no harm.
    pub fn drained(&mut self, now: Instant, epoch: Epoch) {
        self.advance(now);
        if matches!(&self.state, State::Draining(draining) if draining.term.epoch == epoch) {
            self.hand_over();
        }
    }
}
