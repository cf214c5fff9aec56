//! The follower's role.

use alloc::collections::BTreeSet;
use core::time::Duration;

use rand::RngCore;

use super::candidate::Candidate;
use super::suspicion::Suspicion;
use super::time_shift::TimeShift;
use super::{Elector, Link, State};
use crate::{Body, Config, Coordinator, Epoch, Instant, Member, Preemption, Roster, ServerId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Following {
    pub(super) coordinator: Coordinator,
    /// Time of the last message from the coordinator.
    heard: Instant,
    /// `true` if others say that they hear the coordinator, but this server has not heard it yet.
    pub(super) reported_only: bool,
    heartbeat_at: Instant,
    /// Time to ask the coordinator, whose rank is smaller, to hand over.
    challenge_at: Option<Instant>,
    pub(super) suspicion: Option<Suspicion>,
    /// The order of succession, as the coordinator last sent it.
    roster: Option<Roster>,
    /// Timestamp for the next heartbeat.
    echo: Option<Timestamp>,
    /// Peers to which this server has confirmed that it hears the coordinator. If it loses the
    /// coordinator too, it tells them so.
    pub(super) confirmed_to: BTreeSet<ServerId>,
    /// The report of a peer that has lost the coordinator, which this server still hears.
    pub(super) suspect_report: Option<SuspectReport>,
}

impl Following {
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    pub(super) fn is_suspected(&self) -> bool {
        self.suspicion.is_some()
    }

    pub(super) fn reset_silence(&mut self, now: Instant) {
        self.heard = now;
        self.heartbeat_at = now;
        self.suspicion = None;
    }

    /// Subtracts a delay of this server itself from the coordinator's silence.
    pub(super) fn subtract_delay(&mut self, late: Duration) {
        self.heard = self.heard + late;
    }

    pub(super) fn shift(&mut self, shift: &TimeShift, config: &Config) {
        shift.since(&mut self.heard, config.timeout);
        shift.deadline(&mut self.heartbeat_at);
        if let Some(at) = &mut self.challenge_at {
            shift.deadline(at);
        }
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.shift(shift);
        }
        if let Some(echo) = &mut self.echo {
            shift.timestamp(echo);
        }
        if let Some(suspect_report) = &mut self.suspect_report {
            suspect_report.shift(shift, config);
        }
    }
}

/// A peer's report that it has lost the coordinator, which this server hears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SuspectReport {
    from: ServerId,
    at: Instant,
    answered: bool,
}

impl SuspectReport {
    /// Returns `true` if the report is not older than `span`.
    pub(super) fn is_within(&self, now: Instant, span: Duration) -> bool {
        now.saturating_since(self.at) < span
    }

    fn shift(&mut self, shift: &TimeShift, config: &Config) {
        shift.since(&mut self.at, config.timeout);
    }
}

impl<R: RngCore> Elector<R> {
    pub(super) fn become_follower(&mut self, coordinator: Coordinator, sent_at: Option<Timestamp>) {
        self.seen = self.seen.max(coordinator.epoch);
        self.adaptive_timeout.forget();
        self.superseded = 0;
        if sent_at.is_some() {
            self.former_coordinator = None;
        }
        let now = self.now;
        let echo = sent_at.and_then(|sent_at| self.support(&coordinator, sent_at));
        let challenge_at = self.challenge_at(&coordinator);
        self.enter(State::Following(Following {
            coordinator,
            heard: now,
            reported_only: sent_at.is_none(),
            heartbeat_at: now,
            challenge_at,
            suspicion: None,
            roster: None,
            echo,
            confirmed_to: BTreeSet::new(),
            suspect_report: None,
        }));
        self.check_following();
    }

    /// Returns the time to challenge a coordinator whose rank is smaller, if the policy allows
    /// that.
    fn challenge_at(&mut self, coordinator: &Coordinator) -> Option<Instant> {
        if self.me.rank < coordinator.rank || self.me.observer {
            return None;
        }
        // A server that has resigned does not challenge the next coordinator, but does challenge
        // later ones.
        if self
            .resigned_under
            .is_some_and(|handed_over| coordinator.epoch > handed_over)
            && *self.resigned_to.get_or_insert(coordinator.epoch) == coordinator.epoch
        {
            return None;
        }
        let calm = self.now.max(self.no_challenge_before);
        match self.config.preemption {
            Preemption::Always => Some(calm),
            Preemption::After(delay) => Some(calm.max(self.now + delay)),
            Preemption::Never => None,
        }
    }

    pub(super) fn following_deadline(&self, following: &Following) -> Instant {
        let suspicion = self.suspicion_deadline(following);
        let challenge = following.challenge_at.unwrap_or(suspicion);
        suspicion.min(following.heartbeat_at).min(challenge)
    }

    /// Sends the heartbeat, the challenge and the answer to a suspect report that are due. Then
    /// checks if the coordinator is silent.
    pub(super) fn check_following(&mut self) {
        let State::Following(following) = &mut self.state else {
            return;
        };
        let (now, to) = (self.now, following.coordinator.rank.id.clone());
        if now >= following.heartbeat_at {
            following.heartbeat_at = now + self.config.heartbeat;
            let epoch = following.coordinator.epoch;
            let roster = following.roster.as_ref().map_or(0, |roster| roster.version);
            let echo = following.echo;
            self.send(&to, Body::Heartbeat { epoch, roster, echo });
        }
        let State::Following(following) = &mut self.state else {
            return;
        };
        if following.challenge_at.is_some_and(|at| now >= at) {
            following.challenge_at = Some(now + self.config.timeout);
            if self.me.eligible && following.suspicion.is_none() {
                self.send(&to, Body::Election);
            }
        }
        self.answer_suspect_report();
        self.check_suspicion();
    }

    /// Sends a heartbeat at once, because the coordinator should know of a change.
    pub(super) fn send_heartbeat_now(&mut self) {
        if let State::Following(following) = &mut self.state {
            following.heartbeat_at = self.now;
            self.check_following();
        }
    }

    /// Notes a message of the coordinator itself.
    pub(super) fn note_coordinator_heard(&mut self, sent_at: Timestamp) {
        let now = self.now;
        let State::Following(following) = &mut self.state else {
            return;
        };
        following.heard = now;
        following.reported_only = false;
        following.suspicion = None;
        let coordinator = following.coordinator.clone();
        let echo = self.support(&coordinator, sent_at);
        if let State::Following(following) = &mut self.state {
            following.echo = echo;
        }
    }

    /// Handles the announcement of a coordinator: its own, or another.
    pub(super) fn on_coordinator_as_follower(&mut self, coordinator: Coordinator, sent_at: Timestamp) {
        let State::Following(following) = &self.state else {
            return;
        };
        let ours = &following.coordinator;
        if *ours == coordinator {
            self.note_coordinator_heard(sent_at);
        } else if ours.outranks(&coordinator) {
            let heard = self.heard_coordinator();
            self.send_known(&coordinator.rank.id, heard);
        } else {
            self.become_follower(coordinator, Some(sent_at));
        }
    }

    /// Handles a heartbeat of a peer that takes this server for the coordinator.
    pub(super) fn on_heartbeat_as_follower(&mut self, peer: &ServerId) {
        let coordinator = self.heard_coordinator();
        self.send_known(peer, coordinator);
    }

    pub(super) fn on_heartbeat_ack(
        &mut self,
        sender: &Member,
        epoch: Epoch,
        sent_at: Timestamp,
        roster: Option<Roster>,
    ) {
        let (now, timeout) = (self.now, self.config.timeout);
        let State::Following(following) = &mut self.state else {
            return;
        };
        if following.coordinator.rank != sender.rank || following.coordinator.epoch != epoch {
            return;
        }
        if following.suspicion.is_none() {
            self.adaptive_timeout
                .observe(now.saturating_since(following.heard));
        }
        if roster.is_some() {
            following.roster = roster;
        }
        if let Some(roster) = &following.roster {
            for member in roster.members.iter().take(Roster::LIMIT) {
                self.peers.heard_of(now, timeout, member);
            }
        }
        self.note_coordinator_heard(sent_at);
    }

    /// Confirms the coordinator to the sender, if this server hears it.
    pub(super) fn on_query_as_follower(&mut self, sender: &Member) {
        let coordinator = self.heard_coordinator();
        if let (State::Following(following), Some(_)) = (&mut self.state, &coordinator) {
            following.confirmed_to.insert(sender.rank.id.clone());
        }
        self.send_known(sender.id(), coordinator);
    }

    /// Handles the answer of a witness, and other words of a peer on the coordinator.
    pub(super) fn on_known_as_follower(&mut self, sender: &Member, known: Option<Coordinator>, epoch: Epoch) {
        let known = self.current(known);
        let State::Following(following) = &self.state else {
            return;
        };
        let ours = &following.coordinator;
        let peer = &sender.rank.id;
        match known {
            Some(known) if known.outranks(ours) => self.become_follower(known, None),
            Some(known) if known == *ours => match &following.suspicion {
                Some(Suspicion::AskingWitness { witness, .. }) if witness == peer => {
                    self.accept_refutation(peer);
                }
                Some(Suspicion::AwaitingSuccessor { .. } | Suspicion::AwaitingReport { .. }) => {
                    self.accept_refutation(peer);
                }
                _ => {}
            },
            None if sender.rank == ours.rank => {
                // The coordinator itself says that it is not coordinator any more, unless the
                // message is older than its term.
                if epoch >= ours.epoch {
                    self.former_coordinator = Some(ours.clone());
                    self.search();
                }
            }
            None => match &following.suspicion {
                Some(Suspicion::AskingWitness { witness, .. }) if witness == peer => self.declare_failed(),
                Some(Suspicion::Refuted { by, .. }) if by == peer => self.declare_failed(),
                _ => {}
            },
            Some(_) => {}
        }
    }

    /// Handles a peer's request to campaign, which is also its report that it suspects the
    /// coordinator.
    pub(super) fn on_election_as_follower(&mut self, sender: &Member) {
        if !self.me.can_campaign() && self.heard_coordinator().is_none() {
            return self.send(sender.id(), Body::Decline);
        }
        let now = self.now;
        let State::Following(following) = &mut self.state else {
            return;
        };
        match &following.suspicion {
            None => {
                // This server may be about to notice the failure as well, so it sends nothing yet.
                let from = sender.rank.id.clone();
                following.suspect_report = Some(SuspectReport {
                    from,
                    at: now,
                    answered: false,
                });
            }
            // Both servers have lost the coordinator, so they need no witness.
            Some(Suspicion::AwaitingReport { .. } | Suspicion::AskingWitness { .. }) => self.declare_failed(),
            Some(Suspicion::AwaitingSuccessor { .. }) => {
                self.send(&sender.rank.id, Body::Answer);
                self.declare_failed();
            }
            // Two servers have lost the coordinator, and a third had not. Does the third still hear
            // it?
            Some(Suspicion::Refuted { .. }) => self.ask_witness(BTreeSet::new()),
        }
    }

    /// Answers a suspect report if this server still hears the coordinator some time later.
    fn answer_suspect_report(&mut self) {
        let (now, heartbeat) = (self.now, self.config.heartbeat);
        let coordinator = self.heard_coordinator();
        let State::Following(following) = &mut self.state else {
            return;
        };
        let Some(suspect_report) = &mut following.suspect_report else {
            return;
        };
        if coordinator.is_none() || suspect_report.answered || suspect_report.is_within(now, heartbeat) {
            return;
        }
        suspect_report.answered = true;
        let peer = suspect_report.from.clone();
        following.confirmed_to.insert(peer.clone());
        self.send_known(&peer, coordinator);
    }

    pub(super) fn on_link_as_follower(&mut self, peer: &ServerId, link: Link) {
        let State::Following(following) = &self.state else {
            return;
        };
        let is_coordinator = following.coordinator.rank.id == *peer;
        match link {
            Link::Up if is_coordinator => self.send_heartbeat_now(),
            Link::Refused => self.on_refused(peer, is_coordinator),
            _ => {}
        }
    }

    fn on_refused(&mut self, peer: &ServerId, is_coordinator: bool) {
        let State::Following(following) = &self.state else {
            return;
        };
        match &following.suspicion {
            None if is_coordinator => self.suspect(),
            // The refused peer may be the server that was next in order.
            Some(Suspicion::AwaitingSuccessor { .. } | Suspicion::AwaitingReport { .. })
                if !is_coordinator =>
            {
                self.suspect();
            }
            Some(Suspicion::AskingWitness { witness, asked, .. }) if witness == peer => {
                let asked = asked.clone();
                self.ask_witness(asked);
            }
            _ => {}
        }
    }

    /// Notices a restart: a coordinator with another number is a new incarnation, and the old one
    /// is gone.
    pub(super) fn notice_restart(&mut self, sender: &Member, body: &Body) {
        if let State::Following(following) = &self.state
            && following.coordinator.rank.id == sender.rank.id
            && following.coordinator.rank != sender.rank
            && !matches!(body, Body::Coordinator { .. })
        {
            self.former_coordinator = Some(following.coordinator.clone());
            self.search();
        }
    }

    pub(super) fn on_handover(
        &mut self,
        sender: &Member,
        epoch: Epoch,
        releases: Epoch,
        successor: Option<ServerId>,
    ) {
        if epoch < self.seen {
            return;
        }
        self.promises.release(&sender.rank, releases);
        self.former_coordinator = Some(Coordinator {
            rank: sender.rank.clone(),
            epoch,
        });
        match successor {
            Some(id) if id == self.me.rank.id => {
                if self.me.can_campaign() {
                    self.campaign();
                } else {
                    self.send(&sender.rank.id, Body::Decline);
                    self.search();
                }
            }
            Some(peer) if self.follows(&sender.rank.id) => {
                let until = self.now + self.config.claim_timeout;
                self.enter(State::Candidate(Candidate::Awaiting { peer, until }));
            }
            None if self.follows(&sender.rank.id) => self.search(),
            _ => {}
        }
    }

    pub(super) fn follows(&self, id: &ServerId) -> bool {
        matches!(&self.state, State::Following(following) if following.coordinator.rank.id == *id)
    }
}
