//! Events: timeouts, messages and reports on links. A table for each kind of event names the
//! handler of each role.
//!
//! A handler stands in the file of its role: `searching.rs`, `candidate.rs`, `follower.rs`,
//! `coordinator.rs` or `draining.rs`. A request for a vote is answered in `vote.rs`, for all roles.

use alloc::vec::Vec;

use rand::RngCore;

use super::{Elector, Output, State};
use crate::{Body, Coordinator, Instant, Link, Message, ServerId, Succession};

impl<R: RngCore> Elector<R> {
    /// Handles the passage of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.ask_newest();
        match &self.state {
            State::Searching(_) => self.check_search(),
            State::Candidate(_) => self.check_candidate(),
            State::Following(_) => self.check_following(),
            State::Leading(_) => self.check_leading(),
            State::Draining(_) => self.check_draining(),
            State::Left => {}
        }
    }

    /// Handles a message from a peer. Messages from strangers are ignored.
    pub fn handle_message(&mut self, now: Instant, from: &ServerId, message: Message) {
        self.advance(now);
        if matches!(self.state, State::Left)
            || message.sender.rank.id != *from
            || !self.peers.heard(self.now, self.config.timeout, &message.sender)
        {
            return;
        }
        self.counters.received += 1;
        if let Some(message) = self.hold_if_unverified(message) {
            self.receive(message);
        }
        self.ask_newest();
    }

    /// Passes a message to the handler of this server's role.
    pub(super) fn receive(&mut self, message: Message) {
        use State::{Candidate, Draining, Following, Leading, Left, Searching};

        let Message { sender, body } = message;
        self.notice_restart(&sender, &body);
        let classic = self.config.succession == Succession::Classic;
        let (from, id) = (&sender, &sender.rank.id);
        match body {
            Body::Query => match &self.state {
                Searching(_) => self.on_query_while_searching(from),
                Candidate(_) => self.send_known(id, None),
                Following(_) => self.on_query_as_follower(from),
                Leading(_) | Draining(_) => self.announce_to(id),
                Left => {}
            },
            Body::Known { coordinator, epoch } => match &self.state {
                Searching(_) => self.on_known_while_searching(from, coordinator, epoch),
                Candidate(_) => self.on_known_as_candidate(coordinator, epoch),
                Following(_) => self.on_known_as_follower(from, coordinator, epoch),
                Leading(_) => self.on_known_as_coordinator(coordinator, epoch),
                Draining(_) | Left => {}
            },
            Body::Election => match &self.state {
                Searching(_) | Candidate(_) | Following(_) if classic => self.on_classic_election(from),
                Searching(_) => self.on_election_while_searching(from),
                Candidate(_) => self.on_election_as_candidate(from),
                Following(_) => self.on_election_as_follower(from),
                Leading(_) => self.on_election_as_coordinator(from),
                Draining(_) | Left => {}
            },
            Body::Answer => match &self.state {
                Candidate(_) => self.on_answer(from),
                Searching(_) | Following(_) | Leading(_) | Draining(_) | Left => {}
            },
            Body::Decline => self.on_decline(from),
            Body::RequestVote { epoch } => self.on_request_vote(from, epoch),
            Body::Vote { epoch, granted } => match &self.state {
                Candidate(_) => self.on_vote(from, epoch, granted),
                Searching(_) | Following(_) | Leading(_) | Draining(_) | Left => {}
            },
            Body::Coordinator { epoch, sent_at } => {
                let rank = sender.rank;
                let coordinator = Coordinator { rank, epoch };
                match &self.state {
                    Searching(_) | Candidate(_) => self.on_coordinator_while_electing(coordinator, sent_at),
                    Following(_) => self.on_coordinator_as_follower(coordinator, sent_at),
                    Leading(_) | Draining(_) => self.on_coordinator_as_coordinator(coordinator, sent_at),
                    Left => {}
                }
            }
            Body::Heartbeat { epoch, roster, echo } => match &self.state {
                Searching(_) | Candidate(_) => self.send_known(id, None),
                Following(_) => self.on_heartbeat_as_follower(id),
                Leading(_) | Draining(_) => self.on_heartbeat_as_coordinator(id, epoch, roster, echo),
                Left => {}
            },
            Body::HeartbeatAck {
                epoch,
                sent_at,
                roster,
            } => match &self.state {
                Following(_) => self.on_heartbeat_ack(from, epoch, sent_at, roster),
                Searching(_) | Candidate(_) | Leading(_) | Draining(_) | Left => {}
            },
            Body::Handover {
                epoch,
                releases,
                successor,
            } => match &self.state {
                Searching(_) | Candidate(_) | Following(_) => {
                    self.on_handover(from, epoch, releases, successor);
                }
                Leading(_) | Draining(_) | Left => {}
            },
        }
    }

    /// Handles the transport's report on the link to a peer.
    pub fn handle_link(&mut self, now: Instant, peer: &ServerId, link: Link) {
        self.advance(now);
        if !self.peers.set_link(peer, link) {
            return;
        }
        match &self.state {
            State::Searching(_) => self.on_link_while_searching(peer, link),
            State::Candidate(_) => self.on_link_as_candidate(peer, link),
            State::Following(_) => self.on_link_as_follower(peer, link),
            State::Leading(_) => self.on_link_as_coordinator(peer, link),
            State::Draining(_) | State::Left => {}
        }
    }

    /// Returns the moment for [`handle_timeout`](Self::handle_timeout) if nothing happens before.
    /// It may move after every call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let question = self.question_deadline();
        let next = match &self.state {
            State::Searching(searching) => Some(searching.deadline()),
            State::Candidate(candidate) => candidate.deadline(),
            State::Following(following) => Some(self.following_deadline(following)),
            State::Leading(leading) => Some(leading.deadline()),
            State::Draining(draining) => Some(draining.deadline()),
            State::Left => return None,
        };
        question.into_iter().chain(next).min()
    }

    /// Moves the clock, and notices a stop of this process itself. After a stop the server may have
    /// missed messages, so it distrusts itself before it distrusts the others.
    pub(super) fn advance(&mut self, now: Instant) {
        let before = self.now;
        self.now = self.now.max(now);
        let gap = self.now.saturating_since(before);
        let due = self.poll_timeout().map_or(self.now, |due| due.max(before));
        let late = self.now.saturating_since(due);
        match &mut self.state {
            State::Following(following) if gap > self.config.timeout => following.reset_silence(self.now),
            // The same stop may have kept this server from receiving messages.
            State::Following(following) if late > self.config.heartbeat => following.subtract_delay(late),
            State::Leading(_) | State::Draining(_) if gap > self.config.timeout => self.end_term(),
            _ => {}
        }
    }

    pub(super) fn send(&mut self, to: &ServerId, body: Body) {
        self.counters.sent += 1;
        let message = Message {
            sender: self.me.clone(),
            body,
        };
        self.output(Output::Send {
            to: to.clone(),
            message,
        });
    }

    pub(super) fn broadcast(&mut self, body: &Body) {
        let to: Vec<ServerId> = self.peers.reachable().cloned().collect();
        for peer in to {
            self.send(&peer, body.clone());
        }
    }

    pub(super) fn send_known(&mut self, to: &ServerId, coordinator: Option<Coordinator>) {
        let epoch = self.seen;
        self.send(to, Body::Known { coordinator, epoch });
    }
}
