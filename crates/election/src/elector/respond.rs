//! Answers that depend on the role of this server.

use rand::RngCore;

use super::candidate::Candidate;
use super::{Elector, State};
use crate::{Body, Incumbent, Member, Preemption, ServerId, Stamp, Succession};

impl<R: RngCore> Elector<R> {
    /// Returns the coordinator that this server confirms: itself, or the one that it hears.
    pub(super) fn heard_incumbent(&self) -> Option<Incumbent> {
        match &self.state {
            State::Following(following) if self.hears_coordinator(following) => {
                Some(following.incumbent.clone())
            }
            _ => self.own_incumbency(),
        }
    }

    pub(super) fn on_query(&mut self, sender: &Member) {
        let peer = &sender.rank.id;
        if let Some(Incumbent { epoch, .. }) = self.own_incumbency() {
            let announcement = self.announcement(epoch);
            return self.send(peer, announcement);
        }
        let incumbent = self.heard_incumbent();
        if let (State::Following(following), Some(_)) = (&mut self.state, &incumbent) {
            following.confirmed_to.insert(peer.clone());
        }
        self.send_known(peer, incumbent);
        // The sender of the query knows no coordinator itself.
        self.note_search_answer(sender);
    }

    pub(super) fn send_known(&mut self, to: &ServerId, incumbent: Option<Incumbent>) {
        let epoch = self.seen;
        self.send(to, Body::Known { incumbent, epoch });
    }

    pub(super) fn on_election(&mut self, sender: &Member) {
        let peer = &sender.rank.id;
        match &self.state {
            State::Leading(leading) => {
                let announcement = self.announcement(leading.term.epoch);
                let better = sender.stands() && sender.rank > self.me.rank;
                if better && self.config.preemption != Preemption::Never {
                    self.drain(Some(peer.clone()), false);
                } else {
                    self.send(peer, announcement);
                }
            }
            State::Draining(_) | State::Left => {}
            _ if self.config.succession == Succession::Classic => self.on_classic_election(sender),
            State::Following(_) if !self.me.stands() && self.heard_incumbent().is_none() => {
                self.send(peer, Body::Decline);
            }
            State::Following(_) => self.on_election_while_following(sender),
            _ if !self.me.stands() => self.send(peer, Body::Decline),
            State::Candidate(Candidate::BackingOff { .. }) => {
                self.send(peer, Body::Answer);
                self.become_candidate();
            }
            State::Searching(_) | State::Candidate(_) => self.send(peer, Body::Answer),
        }
    }

    pub(super) fn on_coordinator(&mut self, incumbent: Incumbent, stamp: Stamp) {
        let ours = match &self.state {
            State::Following(following) => Some(following.incumbent.clone()),
            _ => self.own_incumbency(),
        };
        match ours {
            Some(ours) if ours == incumbent => self.on_follower_heard(stamp),
            Some(ours) if ours.outranks(&incumbent) => {
                let heard = self.heard_incumbent();
                self.send_known(&incumbent.rank.id, heard);
            }
            // Another coordinator has replaced the sender, or the sender has forgotten the current
            // epoch.
            None if incumbent.epoch < self.seen => self.send_known(&incumbent.rank.id, None),
            _ => self.become_follower(incumbent, Some(stamp)),
        }
    }
}
