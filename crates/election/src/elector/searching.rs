//! A server that searches: it knows no coordinator, and asks its peers for one.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use rand::RngCore;

use super::time_shift::TimeShift;
use super::{Elector, State};
use crate::{Body, Coordinator, Epoch, Instant, Link, Member, ServerId, Timestamp};

/// A query to all reachable peers for their coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Searching {
    until: Instant,
    /// Time of the next query to silent peers: a message may be lost.
    again_at: Instant,
    answered: BTreeSet<ServerId>,
    /// At the start, an unreachable peer may be starting too, so this server waits for all peers.
    at_start: bool,
}

impl Searching {
    pub(super) fn deadline(&self) -> Instant {
        self.until.min(self.again_at)
    }

    pub(super) fn at_start(until: Instant, again_at: Instant) -> Self {
        Self {
            until,
            again_at,
            answered: BTreeSet::new(),
            at_start: true,
        }
    }

    pub(super) fn shift(&mut self, shift: &TimeShift) {
        shift.deadline(&mut self.until);
        shift.deadline(&mut self.again_at);
    }
}

impl<R: RngCore> Elector<R> {
    /// Asks all peers for their coordinator.
    pub(super) fn search(&mut self) {
        self.enter_search();
        self.check_search();
    }

    pub(super) fn enter_search(&mut self) {
        let until = self.now + self.config.timeout;
        self.enter(State::Searching(Searching {
            until,
            again_at: self.now + self.config.timeout / 2,
            answered: BTreeSet::new(),
            at_start: false,
        }));
        self.broadcast(&Body::Query);
    }

    /// Campaigns once no peer can still name a coordinator: all have answered, or their time is
    /// over.
    pub(super) fn check_search(&mut self) {
        let State::Searching(searching) = &self.state else {
            return;
        };
        let answered = |peer: &ServerId| searching.answered.contains(peer);
        let settled = if searching.at_start {
            self.peers.ids().all(answered)
        } else {
            self.peers.reachable().all(answered)
        };
        if settled || self.now >= searching.until {
            return self.become_candidate();
        }
        if self.now < searching.again_at {
            return;
        }
        let unanswered: Vec<ServerId> = self
            .peers
            .reachable()
            .filter(|peer| !answered(peer))
            .cloned()
            .collect();
        for peer in &unanswered {
            self.send(peer, Body::Query);
        }
        if let State::Searching(searching) = &mut self.state {
            searching.again_at = self.now + self.config.timeout / 2;
        }
    }

    pub(super) fn note_search_answer(&mut self, sender: &Member) {
        if let State::Searching(searching) = &mut self.state {
            searching.answered.insert(sender.rank.id.clone());
            self.check_search();
        }
    }

    pub(super) fn on_query_while_searching(&mut self, sender: &Member) {
        self.send_known(sender.id(), None);
        // The sender of the query knows no coordinator itself.
        self.note_search_answer(sender);
    }

    pub(super) fn on_known_while_searching(
        &mut self,
        sender: &Member,
        coordinator: Option<Coordinator>,
        epoch: Epoch,
    ) {
        let coordinator = self.current(coordinator);
        if !self.follow_known(coordinator, epoch) {
            self.note_search_answer(sender);
        }
    }

    /// Follows the coordinator that a peer hears. Returns `false` if the peer hears none, or only
    /// an earlier one.
    pub(super) fn follow_known(&mut self, coordinator: Option<Coordinator>, epoch: Epoch) -> bool {
        self.seen = self.seen.max(epoch);
        match coordinator {
            Some(coordinator) if coordinator.epoch >= self.seen => {
                self.become_follower(coordinator, None);
                true
            }
            _ => false,
        }
    }

    pub(super) fn on_election_while_searching(&mut self, sender: &Member) {
        let answer = if self.me.can_campaign() {
            Body::Answer
        } else {
            Body::Decline
        };
        self.send(sender.id(), answer);
    }

    /// Handles the announcement of a coordinator by a server that searches, or is a candidate.
    pub(super) fn on_coordinator_while_electing(&mut self, coordinator: Coordinator, sent_at: Timestamp) {
        if coordinator.epoch < self.seen {
            // Another coordinator has replaced the sender, or the sender has forgotten the current
            // epoch.
            return self.send_known(&coordinator.rank.id, None);
        }
        self.become_follower(coordinator, Some(sent_at));
    }

    pub(super) fn on_link_while_searching(&mut self, peer: &ServerId, link: Link) {
        match link {
            Link::Up => self.send(peer, Body::Query),
            Link::Down | Link::Refused => self.check_search(),
        }
    }
}
