//! What the caller asks of an elector of its own accord.

use rand::RngCore;

use super::stand::Standing;
use super::{Elector, ResignError, State};
use crate::{Body, Epoch, Instant, ServerId};

impl<R: RngCore> Elector<R> {
    /// A server has been added to the cluster. It takes part as soon as it is heard. Ignored if it is known
    /// already.
    ///
    /// Tell every server, in any order, and with [`Quorum::Majority`](crate::Quorum::Majority) one addition or
    /// removal at a time: only then do the majorities before and after share a server.
    pub fn add_peer(&mut self, now: Instant, id: ServerId) {
        self.advance(now);
        if id == self.me.rank.id || !self.peers.add(id.clone()) {
            return;
        }
        match &self.state {
            State::Searching(_) => self.send(&id, Body::Query),
            State::Leading(leading) => {
                let announcement = self.announcement(leading.office.epoch);
                self.send(&id, announcement);
            }
            _ => {}
        }
    }

    /// A server has been taken out of the cluster for good: it is not listened to any more and, if it was the
    /// coordinator, another is elected. Ignored if it is not known. To replace a server under the same id
    /// nothing need be done: its number tells the new one from the old.
    pub fn remove_peer(&mut self, now: Instant, id: &ServerId) {
        self.advance(now);
        if !self.peers.remove(id) {
            return;
        }
        self.trust.forget_peer(id);
        if let State::Following(following) = &mut self.state {
            following.vouched_to.remove(id);
        }
        match &self.state {
            State::Following(_) if self.follows(id) => self.search(),
            State::Standing(standing) if standing.waits_for(id) => self.stand(),
            State::Searching(_) => self.check_search(),
            _ => {}
        }
    }

    /// Says whether this server could do the coordinator's work now, for example whether it reaches its
    /// database. A server that is not fit does not stand; a coordinator that is not fit hands over to a
    /// follower that is, after [`Config::unfit_patience`](crate::Config::unfit_patience), and gives up after
    /// [`Config::unfit_grace`](crate::Config::unfit_grace).
    pub fn set_fit(&mut self, now: Instant, fit: bool) {
        self.advance(now);
        if self.me.fit == fit {
            return;
        }
        self.me.fit = fit;
        self.changes += 1;
        match &self.state {
            State::Standing(Standing::Resting { .. }) if fit => self.search(),
            // So that the others do not stand in the belief that this one cannot.
            State::Searching(_) if fit => self.broadcast(&Body::Query),
            State::Following(_) => self.beat_now(),
            _ => {}
        }
    }

    /// Something the coordinator writes to has refused `epoch` as too old: another server has been granted a
    /// newer one. Steps down at once. Ignored if this server is not coordinator under that epoch, so that
    /// calling it twice does no harm.
    pub fn step_down(&mut self, now: Instant, epoch: Epoch) {
        self.advance(now);
        if self.office().is_some_and(|office| office.epoch == epoch) {
            self.be_overruled();
        }
    }

    /// Leaves the election for good. A coordinator drains and hands over first; the role is
    /// [`Role::Left`](crate::Role::Left) when that is done.
    pub fn leave(&mut self, now: Instant) {
        self.advance(now);
        match &mut self.state {
            State::Leading(_) => self.drain(None, true),
            State::Draining(draining) => draining.leaving = true,
            _ => self.enter(State::Left),
        }
    }

    /// Hands the coordinator's office over to the best-ranked follower but stays in the election, and leaves
    /// the next coordinator alone whatever its rank. If the successor fails before it has taken over, this
    /// server may become coordinator again.
    ///
    /// # Errors
    /// If this server is not coordinator, or no follower could take over. Nothing has happened then.
    pub fn resign(&mut self, now: Instant) -> Result<(), ResignError> {
        self.advance(now);
        let epoch = match &self.state {
            State::Leading(leading) => leading.office.epoch,
            // It is being handed over already.
            State::Draining(_) => return Ok(()),
            _ => return Err(ResignError::NotCoordinator),
        };
        let successor = self.successor().ok_or(ResignError::NoSuccessor)?;
        (self.resigned_under, self.resigned_to) = (Some(epoch), None);
        self.drain(Some(successor), false);
        Ok(())
    }

    /// The work under `epoch` is finished and none will follow: the answer to [`Role::Draining`](crate::Role::Draining). Ignored in
    /// every other role, so that calling it twice does no harm.
    pub fn drained(&mut self, now: Instant, epoch: Epoch) {
        self.advance(now);
        if matches!(&self.state, State::Draining(draining) if draining.office.epoch == epoch) {
            self.hand_over();
        }
    }
}
