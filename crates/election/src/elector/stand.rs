//! Without a coordinator: looking for one, then standing or asking a better-ranked server to stand.

use alloc::collections::BTreeSet;
use core::time::Duration;

use rand::{Rng, RngCore};

use super::peers::best;
use super::rebase::Rebase;
use super::{Claim, Elector, Output, State};
use crate::{Body, Incumbent, Instant, Member, ServerId};

/// Everyone reachable has been asked who is coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Searching {
    pub(super) until: Instant,
    answered: BTreeSet<ServerId>,
    /// At start a peer that cannot be reached may just be starting too, so all of them are waited for.
    at_start: bool,
}

impl Searching {
    pub(super) fn at_start(until: Instant) -> Self {
        Self {
            until,
            answered: BTreeSet::new(),
            at_start: true,
        }
    }

    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        rebase.deadline(&mut self.until);
    }
}

/// There is no coordinator, and this server knows whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// `Election` is sent; the answer is awaited.
    Asking { peer: ServerId, until: Instant },
    /// The peer stands; its announcement is awaited.
    Awaiting { peer: ServerId, until: Instant },
    /// The arbiter has been asked for an epoch.
    Claiming,
    /// Nobody could; try again later.
    Resting { until: Instant },
}

impl Standing {
    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Asking { until, .. } | Self::Awaiting { until, .. } | Self::Resting { until } => {
                Some(*until)
            }
            Self::Claiming => None,
        }
    }

    pub(super) fn waits_for(&self, id: &ServerId) -> bool {
        matches!(self, Self::Asking { peer, .. } | Self::Awaiting { peer, .. } if peer == id)
    }

    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        match self {
            Self::Asking { until, .. } | Self::Awaiting { until, .. } | Self::Resting { until } => {
                rebase.deadline(until);
            }
            Self::Claiming => {}
        }
    }
}

impl<R: RngCore> Elector<R> {
    /// Asks everyone who is coordinator.
    pub(super) fn search(&mut self) {
        let until = self.now + self.config.timeout;
        self.enter(State::Searching(Searching {
            until,
            answered: BTreeSet::new(),
            at_start: false,
        }));
        self.broadcast(&Body::Query);
        self.check_search();
    }

    /// Stands once everyone who could know a coordinator has said that they know none, or has had the time.
    pub(super) fn check_search(&mut self) {
        let State::Searching(searching) = &self.state else {
            return;
        };
        let everyone_answered = self
            .peers
            .reachable()
            .all(|peer| searching.answered.contains(peer));
        let settled = everyone_answered && (!searching.at_start || self.peers.all_connected());
        if settled || self.now >= searching.until {
            self.stand();
        }
    }

    /// The largest rank stands: this server, or it asks the one that should. Only that one is asked, where
    /// the classic algorithm asks every better-ranked server.
    pub(super) fn stand(&mut self) {
        let own = self.me.fit.then_some(&self.me);
        match best(self.peers.candidates(self.now).chain(own)) {
            None => self.rest(self.config.claim_retry),
            Some(id) if id == self.me.rank.id => self.claim(),
            Some(peer) => {
                let until = self.now + self.config.timeout;
                self.enter(State::Standing(Standing::Asking {
                    peer: peer.clone(),
                    until,
                }));
                self.send(&peer, Body::Election);
            }
        }
    }

    /// Asks for an epoch, once at a time: a second grant would only end the tenure of the first.
    pub(super) fn claim(&mut self) {
        self.enter(State::Standing(Standing::Claiming));
        if !self.claim_pending {
            self.claim_pending = true;
            let claim = Claim {
                rank: self.me.rank.clone(),
                above: self.seen,
            };
            self.output(Output::Claim(claim));
        }
    }

    pub(super) fn rest(&mut self, at_least: Duration) {
        let until = self.now + at_least + at_least.mul_f64(self.rng.random_range(0.0..0.5));
        self.enter(State::Standing(Standing::Resting { until }));
    }

    pub(super) fn check_standing(&mut self) {
        let State::Standing(standing) = &self.state else {
            return;
        };
        if standing.until().is_none_or(|until| self.now < until) {
            return;
        }
        match standing {
            Standing::Asking { peer, .. } | Standing::Awaiting { peer, .. } => {
                let (peer, until) = (peer.clone(), self.now + self.config.claim_timeout);
                self.peers.pass_over(&peer, until);
                self.stand();
            }
            Standing::Resting { .. } => self.search(),
            Standing::Claiming => {}
        }
    }

    pub(super) fn on_claim_failed(&mut self) {
        self.calm_until = self.now + self.config.claim_timeout;
        if matches!(self.state, State::Standing(Standing::Claiming)) {
            // Whoever waits for the announcement can ask the next.
            self.broadcast(&Body::Decline);
            self.rest(self.config.claim_retry);
        }
    }

    pub(super) fn on_known(&mut self, sender: &Member, incumbent: Option<Incumbent>) {
        match (&mut self.state, incumbent) {
            (State::Left | State::Draining(_), _) => {}
            (State::Following(_), incumbent) => self.on_known_while_following(sender, incumbent),
            (State::Leading(leading), Some(incumbent)) => {
                if incumbent.epoch > leading.epoch && incumbent.rank.id != self.me.rank.id {
                    self.follow(incumbent);
                }
            }
            (State::Leading(_), None) => {}
            (State::Searching(_) | State::Standing(_), Some(incumbent)) => {
                // A rank with this server's id is an earlier incarnation of it: gone.
                if incumbent.epoch >= self.seen && incumbent.rank.id != self.me.rank.id {
                    self.follow(incumbent);
                } else {
                    self.note_search_answer(sender);
                }
            }
            (State::Searching(_) | State::Standing(_), None) => self.note_search_answer(sender),
        }
    }

    fn note_search_answer(&mut self, sender: &Member) {
        if let State::Searching(searching) = &mut self.state {
            searching.answered.insert(sender.rank.id.clone());
            self.check_search();
        }
    }

    pub(super) fn on_answer(&mut self, sender: &Member) {
        if let State::Standing(Standing::Asking { peer, .. }) = &self.state
            && *peer == sender.rank.id
        {
            let (peer, until) = (peer.clone(), self.now + self.config.claim_timeout);
            self.enter(State::Standing(Standing::Awaiting { peer, until }));
        }
    }

    pub(super) fn on_decline(&mut self, sender: &Member) {
        let peer = &sender.rank.id;
        self.peers.pass_over(peer, self.now + self.config.claim_timeout);
        if matches!(&self.state, State::Standing(standing) if standing.waits_for(peer)) {
            self.stand();
        }
    }
}
