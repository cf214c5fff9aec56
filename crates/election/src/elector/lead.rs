//! Being coordinator, and ceasing to be.

use alloc::vec::Vec;

use rand::RngCore;

use super::peers::best;
use super::rebase::Rebase;
use super::stand::Standing;
use super::{Elector, State};
use crate::{Body, Config, Epoch, Instant, Member, ServerId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leading {
    pub(super) epoch: Epoch,
    pub(super) tick_at: Instant,
    announce_at: Instant,
    /// Since when this server has not been fit.
    unfit_since: Option<Instant>,
    /// Since when, in addition, a follower has been.
    outdone_since: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Draining {
    pub(super) epoch: Epoch,
    pub(super) successor: Option<ServerId>,
    pub(super) until: Instant,
    pub(super) leaving: bool,
}

impl Leading {
    pub(super) fn rebase(&mut self, rebase: &Rebase, config: &Config) {
        rebase.deadline(&mut self.tick_at);
        rebase.deadline(&mut self.announce_at);
        if let Some(since) = &mut self.unfit_since {
            rebase.since(since, config.unfit_grace);
        }
        if let Some(since) = &mut self.outdone_since {
            rebase.since(since, config.unfit_patience);
        }
    }
}

impl Draining {
    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        rebase.deadline(&mut self.until);
    }
}

impl<R: RngCore> Elector<R> {
    pub(super) fn lead(&mut self, epoch: Epoch) {
        self.seen = epoch;
        self.enter(State::Leading(Leading {
            epoch,
            tick_at: self.now + self.config.heartbeat,
            announce_at: self.now + self.config.timeout,
            unfit_since: None,
            outdone_since: None,
        }));
        self.broadcast(&Body::Coordinator { epoch });
    }

    pub(super) fn check_leading(&mut self) {
        let now = self.now;
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        if now < leading.tick_at {
            return;
        }
        leading.tick_at = now + self.config.heartbeat;
        if now >= leading.announce_at {
            // Whoever missed the announcement, and on transports without links whoever has come back.
            leading.announce_at = now + self.config.timeout;
            let epoch = leading.epoch;
            let silent: Vec<ServerId> = self.peers.silent(now, self.config.timeout).cloned().collect();
            for peer in silent {
                self.send(&peer, Body::Coordinator { epoch });
            }
        }
        self.check_fitness();
    }

    fn check_fitness(&mut self) {
        let (now, successor) = (self.now, self.successor());
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        if self.me.fit {
            (leading.unfit_since, leading.outdone_since) = (None, None);
            return;
        }
        let unfit_since = *leading.unfit_since.get_or_insert(now);
        if successor.is_none() {
            leading.outdone_since = None;
        } else {
            let outdone_since = *leading.outdone_since.get_or_insert(now);
            if now.saturating_since(outdone_since) >= self.config.unfit_patience {
                return self.drain(successor, false);
            }
        }
        if now.saturating_since(unfit_since) >= self.config.unfit_grace {
            self.rest(self.config.claim_retry);
        }
    }

    /// The best-ranked follower that could take over.
    pub(super) fn successor(&self) -> Option<ServerId> {
        let fit = self
            .peers
            .live(self.now, self.config.timeout)
            .filter(|member| member.fit);
        best(fit)
    }

    /// Stops taking work, for `successor` or else the best-ranked follower.
    pub(super) fn drain(&mut self, successor: Option<ServerId>, leaving: bool) {
        let State::Leading(Leading { epoch, .. }) = self.state else {
            return;
        };
        let successor = successor.or_else(|| self.successor());
        let until = self.now + self.config.drain_timeout;
        self.enter(State::Draining(Draining {
            epoch,
            successor,
            until,
            leaving,
        }));
    }

    pub(super) fn check_draining(&mut self) {
        if matches!(&self.state, State::Draining(draining) if self.now >= draining.until) {
            self.hand_over();
        }
    }

    pub(super) fn hand_over(&mut self) {
        let State::Draining(draining) = &self.state else {
            return;
        };
        let (epoch, leaving) = (draining.epoch, draining.leaving);
        // The one named may be gone by now.
        let named = draining.successor.clone();
        let still_there = named.filter(|id| {
            self.peers
                .live(self.now, self.config.timeout)
                .any(|live| live.rank.id == *id)
        });
        let successor = still_there.or_else(|| self.successor());
        match (successor, leaving) {
            (successor, true) => {
                self.enter(State::Left);
                if let Some(peer) = successor {
                    self.send(&peer, Body::Handover { epoch });
                }
            }
            (Some(peer), false) => {
                let until = self.now + self.config.claim_timeout;
                self.enter(State::Standing(Standing::Awaiting {
                    peer: peer.clone(),
                    until,
                }));
                self.send(&peer, Body::Handover { epoch });
            }
            (None, false) => self.search(),
        }
    }

    pub(super) fn on_heartbeat(&mut self, sender: &Member, epoch: Epoch) {
        let peer = &sender.rank.id;
        match &self.state {
            State::Leading(Leading { epoch: ours, .. }) | State::Draining(Draining { epoch: ours, .. }) => {
                let ours = *ours;
                if ours == epoch {
                    let roster = self.peers.live(self.now, self.config.timeout).cloned().collect();
                    self.send(peer, Body::HeartbeatAck { epoch, roster });
                } else {
                    self.send(peer, Body::Coordinator { epoch: ours });
                }
            }
            _ => {
                let incumbent = self.heard_incumbent();
                self.send(peer, Body::Known { incumbent });
            }
        }
    }
}
