//! The candidate's role: there is no coordinator. The server campaigns, or asks a better-ranked
//! server to campaign.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use rand::{Rng, RngCore};

use super::peers::best;
use super::time_shift::TimeShift;
use super::{Claim, Elector, Output, State};
use crate::{Body, Coordinator, Epoch, Instant, Link, Member, Quorum, ServerId, Succession};

/// There is no coordinator, and this server knows which server is next in rank.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Candidate {
    /// `Election` is sent. This server waits for the answer.
    Asking { peer: ServerId, until: Instant },
    /// `Election` is sent to all with a larger rank. Any answer is enough.
    AskingAll { until: Instant },
    /// The peer is a candidate. This server waits for its announcement.
    Awaiting { peer: ServerId, until: Instant },
    /// A promise to another server forbids this server's vote for itself until then.
    VoteWithheld { until: Instant },
    /// This server has asked the others for their votes.
    Collecting(Collecting),
    /// This server has asked the arbiter for an epoch.
    Claiming { elected: Option<Elected> },
    /// No server could become coordinator. This server tries again later.
    BackingOff { until: Instant },
}

impl Candidate {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asking { until, .. }
            | Self::AskingAll { until }
            | Self::Awaiting { until, .. }
            | Self::VoteWithheld { until }
            | Self::BackingOff { until } => Some(*until),
            Self::Collecting(collecting) => Some(collecting.deadline()),
            Self::Claiming { .. } => None,
        }
    }

    pub(super) fn waits_for(&self, id: &ServerId) -> bool {
        matches!(self, Self::Asking { peer, .. } | Self::Awaiting { peer, .. } if peer == id)
    }

    pub(super) fn shift(&mut self, shift: &TimeShift) {
        match self {
            Self::Asking { until, .. }
            | Self::AskingAll { until }
            | Self::Awaiting { until, .. }
            | Self::VoteWithheld { until }
            | Self::BackingOff { until } => shift.deadline(until),
            Self::Collecting(collecting) => collecting.shift(shift),
            Self::Claiming {
                elected: Some(elected),
            } => shift.since(&mut elected.since, shift.promise),
            Self::Claiming { elected: None } => {}
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Collecting {
    epoch: Epoch,
    /// Time of the first request. No vote in this campaign can be older.
    since: Instant,
    again_at: Instant,
    until: Instant,
    /// `true` if the requests before these failed, so that the next failure must wait.
    repeated: bool,
    votes: BTreeSet<ServerId>,
}

impl Collecting {
    fn deadline(&self) -> Instant {
        self.again_at.min(self.until)
    }

    fn shift(&mut self, shift: &TimeShift) {
        shift.since(&mut self.since, shift.promise);
        shift.deadline(&mut self.again_at);
        shift.deadline(&mut self.until);
    }
}

/// Votes of a majority for this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Elected {
    epoch: Epoch,
    since: Instant,
}

impl<R: RngCore> Elector<R> {
    /// Makes the server with the largest rank campaign: this server, or a peer, which it asks. It
    /// asks that peer only, while the classic algorithm asks every better-ranked server.
    pub(super) fn become_candidate(&mut self) {
        if self.config.succession == Succession::Classic {
            return self.campaign_classic();
        }
        let own = self.me.can_campaign().then_some(&self.me);
        match best(self.candidates().chain(own)) {
            None => self.back_off(self.config.claim_retry),
            Some(id) if id == self.me.rank.id => match self.no_campaign_before.saturating_since(self.now) {
                Duration::ZERO => self.campaign(),
                remaining => self.back_off(remaining),
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

    /// Campaigns, because it is this server's turn.
    pub(super) fn campaign(&mut self) {
        if self.config.quorum != Quorum::Majority {
            return self.claim(None);
        }
        let now = self.now;
        if let Some(until) = self.promises.withheld_until(now, &self.me.rank) {
            return self.enter(State::Candidate(Candidate::VoteWithheld { until }));
        }
        // A later election leaves too little of the lease.
        let until = now + self.config.timeout / 2;
        self.request_votes(until, false);
    }

    fn request_votes(&mut self, until: Instant, repeated: bool) {
        let now = self.now;
        let epoch = self.seen.max(self.promises.largest()).next();
        self.promises.note_epoch(epoch);
        let promised_until = now + self.config.timeout;
        self.promises.promise(&self.me.rank, epoch, promised_until);
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

    fn check_votes(&mut self) {
        let now = self.now;
        let State::Candidate(Candidate::Collecting(collecting)) = &mut self.state else {
            return;
        };
        if now >= collecting.until {
            return self.back_off(self.config.claim_retry);
        }
        if now < collecting.again_at {
            return;
        }
        if self.promises.largest() > collecting.epoch {
            let until = collecting.until;
            return self.request_votes(until, true);
        }
        // The request was lost, or a promise prevented the vote and has expired since.
        collecting.again_at = now + self.config.heartbeat;
        let (epoch, votes) = (collecting.epoch, collecting.votes.clone());
        let ids: Vec<ServerId> = self.peers.reachable().cloned().collect();
        for peer in ids.iter().filter(|peer| !votes.contains(*peer)) {
            self.send(peer, Body::RequestVote { epoch });
        }
    }

    pub(super) fn on_vote(&mut self, sender: &Member, epoch: Epoch, granted: bool) {
        let State::Candidate(Candidate::Collecting(collecting)) = &mut self.state else {
            return;
        };
        if !granted && epoch >= collecting.epoch {
            self.promises.note_epoch(epoch);
            // The first time at once. After that no faster than the heartbeat, or two candidates
            // push each other to ever larger epochs.
            if !collecting.repeated {
                let until = collecting.until;
                self.request_votes(until, true);
            }
            return;
        }
        if granted && epoch == collecting.epoch && !sender.observer {
            collecting.votes.insert(sender.rank.id.clone());
        }
        // An observer's answer counts here, too: the majority is then smaller.
        self.count_votes();
    }

    fn count_votes(&mut self) {
        let majority = self.majority();
        let State::Candidate(Candidate::Collecting(collecting)) = &self.state else {
            return;
        };
        if collecting.votes.len() + 1 < majority {
            return;
        }
        let elected = Elected {
            epoch: collecting.epoch,
            since: collecting.since,
        };
        let promised_until = elected.since + self.config.timeout;
        self.promises
            .promise(&self.me.rank, elected.epoch, promised_until);
        self.peers.forget_support();
        for voter in collecting.votes.clone() {
            self.peers.support(&voter, elected.since);
        }
        self.claim(Some(elected));
    }

    /// Asks for an epoch, once at a time: a second grant would only end the term of the first.
    pub(super) fn claim(&mut self, elected: Option<Elected>) {
        self.enter(State::Candidate(Candidate::Claiming { elected }));
        if self.claimed_at.is_none() {
            self.claimed_at = Some(self.now);
            // An arbiter without a record grants the epoch of the votes.
            let voted = elected.map_or(Epoch::ZERO, |elected| Epoch(elected.epoch.0.saturating_sub(1)));
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
        let asked = self.claimed_at.take().unwrap_or(self.now);
        if let Some(epoch) = granted {
            self.epoch_check.note_granted(epoch);
        }
        let agreed_since = match &self.state {
            State::Draining(_) | State::Left => None,
            State::Candidate(Candidate::Claiming {
                elected: Some(elected),
            }) => Some(elected.since),
            _ if self.config.quorum == Quorum::Majority => None,
            // This holds also if this server follows a coordinator by now. The newer grant has
            // fenced that coordinator, so a refusal would leave the cluster without one.
            _ => Some(asked),
        };
        let lease = agreed_since.and_then(|since| self.first_lease(since));
        match (granted, lease) {
            (Some(epoch), Some(lease)) if epoch > self.seen => return self.become_coordinator(epoch, lease),
            // The grant is too late for this claim. The next one may be in time.
            (Some(_), _) => {}
            (None, _) => self.no_challenge_before = self.now + self.config.claim_timeout,
        }
        if matches!(self.state, State::Candidate(Candidate::Claiming { .. })) {
            // The peers that wait for the announcement can ask the next server.
            self.broadcast(&Body::Decline);
            self.back_off(self.config.claim_retry);
        }
    }

    pub(super) fn back_off(&mut self, at_least: Duration) {
        let until = self.now + at_least + at_least.mul_f64(self.rng.random_range(0.0..0.5));
        self.enter(State::Candidate(Candidate::BackingOff { until }));
    }

    /// Goes on to the next step when the time for the current one is over.
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
            Candidate::AskingAll { .. } if self.me.can_campaign() => self.campaign(),
            Candidate::AskingAll { .. } | Candidate::BackingOff { .. } => self.search(),
            Candidate::VoteWithheld { .. } => self.become_candidate(),
            Candidate::Collecting(_) => self.check_votes(),
            Candidate::Claiming { .. } => {}
        }
    }

    /// Follows a coordinator that a peer hears.
    pub(super) fn on_known_as_candidate(&mut self, coordinator: Option<Coordinator>, epoch: Epoch) {
        let coordinator = self.current(coordinator);
        let decided = matches!(
            self.state,
            State::Candidate(Candidate::Collecting(_) | Candidate::Claiming { .. })
        );
        // A peer that still hears the failed coordinator is about to lose it too. If not, this
        // server's campaign fails.
        if !(decided && self.has_given_up(coordinator.as_ref())) {
            self.follow_known(coordinator, epoch);
        }
    }

    fn has_given_up(&self, coordinator: Option<&Coordinator>) -> bool {
        coordinator.is_some() && self.lost.as_ref().map(|lost| &lost.coordinator) == coordinator
    }

    pub(super) fn on_election_as_candidate(&mut self, sender: &Member) {
        if !self.me.can_campaign() {
            return self.send(sender.id(), Body::Decline);
        }
        self.send(sender.id(), Body::Answer);
        if matches!(self.state, State::Candidate(Candidate::BackingOff { .. })) {
            self.become_candidate();
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

    pub(super) fn on_link_as_candidate(&mut self, peer: &ServerId, link: Link) {
        if link == Link::Refused
            && matches!(&self.state, State::Candidate(candidate) if candidate.waits_for(peer))
        {
            self.become_candidate();
        }
    }
}
