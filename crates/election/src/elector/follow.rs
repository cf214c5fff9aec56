//! Following a coordinator, doubting it, and finding out who comes next.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use rand::RngCore;

use super::peers::best;
use super::rebase::Rebase;
use super::{Elector, Link, State};
use crate::{Body, Config, Epoch, Incumbent, Instant, Member, ServerId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Following {
    pub(super) incumbent: Incumbent,
    /// When the coordinator was last heard.
    heard: Instant,
    beat_at: Instant,
    /// When to ask the coordinator, whose rank is smaller, to hand over.
    challenge_at: Option<Instant>,
    doubt: Option<Doubt>,
    /// Peers that were told "I hear it". If that turns out wrong they are told so.
    pub(super) vouched_to: BTreeSet<ServerId>,
}

/// The coordinator is silent, or its host refused a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Doubt {
    /// It is this server's turn, and a witness was asked before anybody is disturbed.
    Asking {
        witness: ServerId,
        asked: BTreeSet<ServerId>,
        until: Instant,
    },
    /// It is another server's turn; its announcement is awaited.
    Waiting { until: Instant },
    /// A witness hears the coordinator: one broken link is no dead coordinator.
    Assured { by: ServerId, until: Instant },
}

impl Doubt {
    fn until(&self) -> Instant {
        match self {
            Self::Asking { until, .. } | Self::Waiting { until } | Self::Assured { until, .. } => *until,
        }
    }
}

impl Following {
    pub(super) fn next_deadline(&self, config: &Config) -> Instant {
        let doubt = self.doubt_deadline(config);
        let challenge = self.challenge_at.unwrap_or(doubt);
        doubt.min(self.beat_at).min(challenge)
    }

    /// When to begin to doubt the coordinator, or to go on with it.
    fn doubt_deadline(&self, config: &Config) -> Instant {
        match &self.doubt {
            Some(doubt) => doubt.until(),
            None => self.heard + config.timeout,
        }
    }

    pub(super) fn hears(&self, now: Instant, config: &Config) -> bool {
        self.doubt.is_none() && now.saturating_since(self.heard) < config.timeout
    }

    pub(super) fn forgive_silence(&mut self, now: Instant) {
        self.heard = now;
        self.beat_at = now;
        self.doubt = None;
    }

    pub(super) fn rebase(&mut self, rebase: &Rebase, config: &Config) {
        rebase.since(&mut self.heard, config.timeout);
        rebase.deadline(&mut self.beat_at);
        if let Some(at) = &mut self.challenge_at {
            rebase.deadline(at);
        }
        match &mut self.doubt {
            Some(Doubt::Asking { until, .. } | Doubt::Waiting { until } | Doubt::Assured { until, .. }) => {
                rebase.deadline(until);
            }
            None => {}
        }
    }
}

impl<R: RngCore> Elector<R> {
    pub(super) fn follow(&mut self, incumbent: Incumbent) {
        self.seen = self.seen.max(incumbent.epoch);
        let better = self.me.rank > incumbent.rank;
        self.enter(State::Following(Following {
            incumbent,
            heard: self.now,
            beat_at: self.now,
            challenge_at: better.then_some(self.now.max(self.calm_until)),
            doubt: None,
            vouched_to: BTreeSet::new(),
        }));
        self.check_following();
    }

    pub(super) fn check_following(&mut self) {
        let State::Following(following) = &mut self.state else {
            return;
        };
        let (now, to) = (self.now, following.incumbent.rank.id.clone());
        if now >= following.beat_at {
            following.beat_at = now + self.config.heartbeat;
            let epoch = following.incumbent.epoch;
            self.send(&to, Body::Heartbeat { epoch });
        }
        let State::Following(following) = &mut self.state else {
            return;
        };
        if following.challenge_at.is_some_and(|at| now >= at) {
            following.challenge_at = Some(now + self.config.timeout);
            if self.me.fit && following.doubt.is_none() {
                self.send(&to, Body::Election);
            }
        }
        self.check_doubt();
    }

    /// A change that the coordinator should know at once.
    pub(super) fn beat_now(&mut self) {
        if let State::Following(following) = &mut self.state {
            following.beat_at = self.now;
            self.check_following();
        }
    }

    fn check_doubt(&mut self) {
        let State::Following(following) = &self.state else {
            return;
        };
        if self.now < following.doubt_deadline(&self.config) {
            return;
        }
        match &following.doubt {
            None | Some(Doubt::Assured { .. }) => self.doubt(),
            Some(Doubt::Asking { asked, .. }) => {
                let asked = asked.clone();
                self.ask_witness(asked);
            }
            Some(Doubt::Waiting { .. }) => self.stand_without(),
        }
    }

    /// Begins, or begins again, to find out whether the coordinator is gone.
    fn doubt(&mut self) {
        let State::Following(following) = &mut self.state else {
            return;
        };
        let lost = following.incumbent.rank.id.clone();
        let misled = core::mem::take(&mut following.vouched_to);
        for peer in misled {
            self.send(&peer, Body::Known { incumbent: None });
        }
        let own = self.me.fit.then_some(&self.me);
        let others = self
            .peers
            .candidates(self.now)
            .filter(|member| member.rank.id != lost);
        if best(others.chain(own)).as_ref() == Some(&self.me.rank.id) {
            self.ask_witness(BTreeSet::new());
        } else {
            let until = self.now + self.config.timeout;
            self.set_doubt(Doubt::Waiting { until });
        }
    }

    /// Asks the best-ranked peer not asked yet whether it hears the coordinator; with nobody left to ask,
    /// stands.
    fn ask_witness(&mut self, mut asked: BTreeSet<ServerId>) {
        let State::Following(following) = &self.state else {
            return;
        };
        let lost = &following.incumbent.rank.id;
        let not_asked = self
            .peers
            .known()
            .filter(|member| member.rank.id != *lost && !asked.contains(&member.rank.id));
        let Some(witness) = best(not_asked) else {
            return self.stand_without();
        };
        asked.insert(witness.clone());
        let until = self.now + self.config.heartbeat;
        self.set_doubt(Doubt::Asking {
            witness: witness.clone(),
            asked,
            until,
        });
        self.send(&witness, Body::Query);
    }

    /// The coordinator is gone: the others decide among themselves.
    pub(super) fn stand_without(&mut self) {
        let State::Following(following) = &self.state else {
            return;
        };
        let lost = following.incumbent.rank.id.clone();
        self.peers.pass_over(&lost, self.now + self.config.timeout);
        self.stand();
    }

    fn set_doubt(&mut self, doubt: Doubt) {
        if let State::Following(following) = &mut self.state {
            following.doubt = Some(doubt);
        }
    }

    /// The coordinator itself was heard.
    pub(super) fn on_follower_heard(&mut self) {
        if let State::Following(following) = &mut self.state {
            following.heard = self.now;
            following.doubt = None;
        }
    }

    pub(super) fn on_heartbeat_ack(&mut self, sender: &Member, epoch: Epoch, roster: Vec<Member>) {
        let State::Following(following) = &self.state else {
            return;
        };
        if following.incumbent.rank != sender.rank || following.incumbent.epoch != epoch {
            return;
        }
        self.on_follower_heard();
        for member in &roster {
            self.peers.heard_of(self.now, self.config.timeout, member);
        }
    }

    pub(super) fn on_known_while_following(&mut self, sender: &Member, known: Option<Incumbent>) {
        let State::Following(following) = &self.state else {
            return;
        };
        let ours = &following.incumbent;
        match known {
            Some(known) if known.rank.id == self.me.rank.id => {}
            Some(known) if known.outranks(ours) => self.follow(known),
            Some(known) if known == *ours => {
                if matches!(&following.doubt, Some(Doubt::Asking { witness, .. }) if *witness == sender.rank.id)
                {
                    // A refused connection is looked at again soon: the witness may be about to see it too.
                    let refused = self.peers.is_refused(&ours.rank.id);
                    let again = if refused {
                        self.config.heartbeat
                    } else {
                        self.config.timeout
                    };
                    let until = self.now + again;
                    self.set_doubt(Doubt::Assured {
                        by: sender.rank.id.clone(),
                        until,
                    });
                }
            }
            // The coordinator itself says that it is none any more.
            None if sender.rank.id == ours.rank.id => self.search(),
            None => match &following.doubt {
                Some(Doubt::Asking { witness, .. }) if *witness == sender.rank.id => self.stand_without(),
                Some(Doubt::Assured { by, .. }) if *by == sender.rank.id => self.stand_without(),
                _ => {}
            },
            Some(_) => {}
        }
    }

    pub(super) fn on_follower_link(&mut self, peer: &ServerId, link: Link) {
        let State::Following(following) = &self.state else {
            return;
        };
        let is_coordinator = following.incumbent.rank.id == *peer;
        match (link, &following.doubt) {
            (Link::Up, _) if is_coordinator => self.beat_now(),
            (Link::Refused, None | Some(Doubt::Waiting { .. })) if is_coordinator => self.doubt(),
            (Link::Refused, Some(Doubt::Waiting { .. })) => self.doubt(),
            (Link::Refused, Some(Doubt::Asking { witness, asked, .. })) if witness == peer => {
                let asked = asked.clone();
                self.ask_witness(asked);
            }
            _ => {}
        }
    }

    /// A coordinator that speaks with another number has restarted: its incarnation is gone.
    pub(super) fn notice_restart(&mut self, sender: &Member, body: &Body) {
        if let State::Following(following) = &self.state
            && following.incumbent.rank.id == sender.rank.id
            && following.incumbent.rank != sender.rank
            && !matches!(body, Body::Coordinator { .. })
        {
            self.search();
        }
    }

    pub(super) fn on_handover(&mut self, sender: &Member, epoch: Epoch) {
        if epoch < self.seen || matches!(self.state, State::Leading(_) | State::Draining(_) | State::Left) {
            return;
        }
        if self.me.fit {
            self.claim();
        } else {
            self.send(&sender.rank.id, Body::Decline);
            self.search();
        }
    }
}
