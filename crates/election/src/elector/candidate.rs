//! A server without a coordinator: searches for one, then campaigns or asks a better-ranked server
//! to campaign.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use rand::{Rng, RngCore};

use super::peers::best;
use super::rebase::Rebase;
use super::vote::{Collecting, Won};
use super::{Claim, Elector, Output, State};
use crate::{Body, Epoch, Incumbent, Instant, Member, ServerId, Succession};

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

    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        rebase.deadline(&mut self.until);
        rebase.deadline(&mut self.again_at);
    }
}

/// There is no coordinator, and this server knows which server is next in line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Candidate {
    /// `Election` is sent. This server waits for the answer.
    Asking { peer: ServerId, until: Instant },
    /// `Election` is sent to all with a larger rank. Any answer is enough.
    AskingAll { until: Instant },
    /// The peer is a candidate. This server waits for its announcement.
    Awaiting { peer: ServerId, until: Instant },
    /// A promise forbids a campaign until then.
    Bound { until: Instant },
    /// This server has asked the others for their votes.
    Collecting(Collecting),
    /// This server has asked the arbiter for an epoch.
    Claiming { won: Option<Won> },
    /// No server could become coordinator. This server tries again later.
    BackingOff { until: Instant },
}

impl Candidate {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asking { until, .. }
            | Self::AskingAll { until }
            | Self::Awaiting { until, .. }
            | Self::Bound { until }
            | Self::BackingOff { until } => Some(*until),
            Self::Collecting(polling) => Some(polling.deadline()),
            Self::Claiming { .. } => None,
        }
    }

    pub(super) fn waits_for(&self, id: &ServerId) -> bool {
        matches!(self, Self::Asking { peer, .. } | Self::Awaiting { peer, .. } if peer == id)
    }

    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        match self {
            Self::Asking { until, .. }
            | Self::AskingAll { until }
            | Self::Awaiting { until, .. }
            | Self::Bound { until }
            | Self::BackingOff { until } => rebase.deadline(until),
            Self::Collecting(polling) => polling.rebase(rebase),
            Self::Claiming { won: Some(won) } => rebase.since(&mut won.since, rebase.promise),
            Self::Claiming { won: None } => {}
        }
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

    /// Makes the server with the largest rank campaign: this server, or a peer, which it asks. It
    /// asks that peer only, while the classic algorithm asks every better-ranked server.
    pub(super) fn become_candidate(&mut self) {
        if self.config.succession == Succession::Classic {
            return self.stand_classic();
        }
        let own = self.me.stands().then_some(&self.me);
        match best(self.candidates().chain(own)) {
            None => self.rest(self.config.claim_retry),
            Some(id) if id == self.me.rank.id => match self.yield_until.saturating_since(self.now) {
                Duration::ZERO => self.campaign(),
                adaptive_timeout => self.rest(adaptive_timeout),
            },
            Some(peer) => {
                let until = self.now + self.config.timeout;
                self.enter(State::Candidate(Candidate::Asking {
                    peer: peer.clone(),
                    until,
                }));
                self.send(&peer, Body::Election);
            }
        }
    }

    /// Asks every better-ranked server, dead or alive, unless it has declined lately. Each of them
    /// does the same.
    fn stand_classic(&mut self) {
        let better: Vec<ServerId> = self
            .peers
            .known(self.now)
            .filter(|member| member.stands() && member.rank > self.me.rank)
            .map(|member| member.rank.id.clone())
            .collect();
        if !self.me.stands() && better.is_empty() {
            return self.rest(self.config.claim_retry);
        }
        let until = self.now + self.config.timeout;
        self.enter(State::Candidate(Candidate::AskingAll { until }));
        if better.is_empty() {
            return self.campaign();
        }
        for peer in better {
            self.send(&peer, Body::Election);
        }
    }

    /// Asks for an epoch, once at a time: a second grant would only end the term of the first.
    pub(super) fn claim(&mut self, won: Option<Won>) {
        self.enter(State::Candidate(Candidate::Claiming { won }));
        if self.claim_asked.is_none() {
            self.claim_asked = Some(self.now);
            // An arbiter without a record grants the epoch of the votes.
            let voted = won.map_or(Epoch::ZERO, |won| Epoch(won.epoch.0.saturating_sub(1)));
            let claim = Claim {
                rank: self.me.rank.clone(),
                above: self.seen.max(voted),
            };
            self.output(Output::Claim(claim));
        }
    }

    /// Handles the arbiter's answer to a [`Claim`]: an epoch, or `None` if it refused or was
    /// unreachable.
    pub fn handle_claim(&mut self, now: Instant, granted: Option<Epoch>) {
        self.advance(now);
        let asked = self.claim_asked.take().unwrap_or(self.now);
        if let Some(epoch) = granted {
            self.trust.note_granted(epoch);
        }
        let agreed_since = match &self.state {
            State::Draining(_) | State::Left => None,
            State::Candidate(Candidate::Claiming { won: Some(won) }) => Some(won.since),
            _ if self.config.quorum == crate::Quorum::Majority => None,
            // This holds also if this server follows a coordinator by now. The newer grant has
            // fenced that coordinator, so a refusal would leave the cluster without one.
            _ => Some(asked),
        };
        let lease = agreed_since.and_then(|since| self.first_lease(since));
        match (granted, lease) {
            (Some(epoch), Some(lease)) if epoch > self.seen => return self.become_coordinator(epoch, lease),
            // The grant is too late for this claim. The next one may be in time.
            (Some(_), _) => {}
            (None, _) => self.calm_until = self.now + self.config.claim_timeout,
        }
        if matches!(self.state, State::Candidate(Candidate::Claiming { .. })) {
            // The peers that wait for the announcement can ask the next server.
            self.broadcast(&Body::Decline);
            self.rest(self.config.claim_retry);
        }
    }

    pub(super) fn rest(&mut self, at_least: Duration) {
        let until = self.now + at_least + at_least.mul_f64(self.rng.random_range(0.0..0.5));
        self.enter(State::Candidate(Candidate::BackingOff { until }));
    }

    pub(super) fn check_candidate(&mut self) {
        let State::Candidate(candidate) = &self.state else {
            return;
        };
        if candidate.deadline().is_none_or(|until| self.now < until) {
            return;
        }
        match candidate {
            Candidate::Asking { peer, .. } => {
                let (peer, until) = (peer.clone(), self.now + self.config.claim_timeout);
                self.peers.pass_over(&peer, until);
                self.become_candidate();
            }
            Candidate::Awaiting { peer, .. } => {
                let (peer, until) = (peer.clone(), self.now + self.config.claim_timeout);
                self.peers.pass_over(&peer, until);
                // Other servers may have come and gone during that time.
                self.search();
            }
            Candidate::AskingAll { .. } if self.me.stands() => self.campaign(),
            Candidate::AskingAll { .. } | Candidate::BackingOff { .. } => self.search(),
            Candidate::Bound { .. } => self.become_candidate(),
            Candidate::Collecting(_) => self.check_polling(),
            Candidate::Claiming { .. } => {}
        }
    }

    /// Handles a `Known`: the coordinator that the sender hears, if any, and the largest epoch that
    /// it knows.
    pub(super) fn on_known(&mut self, sender: &Member, incumbent: Option<Incumbent>, epoch: Epoch) {
        // A rank with this server's id is an earlier incarnation of this server.
        let incumbent = incumbent
            .filter(|incumbent| incumbent.rank.id != self.me.rank.id)
            .filter(|incumbent| self.disbelieved.as_ref() != Some(incumbent));
        match &self.state {
            State::Left | State::Draining(_) => {}
            State::Following(_) => self.on_known_while_following(sender, incumbent, epoch),
            State::Leading(leading) => {
                let ours = Incumbent {
                    rank: self.me.rank.clone(),
                    epoch: leading.term.epoch,
                };
                match incumbent {
                    Some(incumbent) if incumbent.outranks(&ours) => self.become_follower(incumbent, None),
                    // There has been a newer coordinator, so the data store accepts nothing from
                    // this server.
                    _ if epoch > ours.epoch => {
                        self.seen = epoch;
                        self.abandon();
                    }
                    _ => {}
                }
            }
            // A peer that still hears the failed coordinator is about to lose it too. If not, the
            // ballot fails.
            State::Candidate(Candidate::Collecting(_) | Candidate::Claiming { .. })
                if self.gave_up(incumbent.as_ref()) => {}
            State::Searching(_) | State::Candidate(_) => {
                self.seen = self.seen.max(epoch);
                match incumbent {
                    Some(incumbent) if incumbent.epoch >= self.seen => {
                        self.become_follower(incumbent, None);
                    }
                    _ => self.note_search_answer(sender),
                }
            }
        }
    }

    fn gave_up(&self, incumbent: Option<&Incumbent>) -> bool {
        incumbent.is_some() && self.loss.as_ref().map(|loss| &loss.incumbent) == incumbent
    }

    pub(super) fn note_search_answer(&mut self, sender: &Member) {
        if let State::Searching(searching) = &mut self.state {
            searching.answered.insert(sender.rank.id.clone());
            self.check_search();
        }
    }

    pub(super) fn on_answer(&mut self, sender: &Member) {
        let asked = match &self.state {
            State::Candidate(Candidate::AskingAll { .. }) => true,
            State::Candidate(Candidate::Asking { peer, .. }) => *peer == sender.rank.id,
            _ => false,
        };
        if asked {
            let (peer, until) = (sender.rank.id.clone(), self.now + self.config.claim_timeout);
            self.enter(State::Candidate(Candidate::Awaiting { peer, until }));
        }
    }

    pub(super) fn on_decline(&mut self, sender: &Member) {
        let peer = &sender.rank.id;
        self.peers.pass_over(peer, self.now + self.config.claim_timeout);
        if matches!(&self.state, State::Candidate(candidate) if candidate.waits_for(peer)) {
            self.become_candidate();
        }
    }
}
