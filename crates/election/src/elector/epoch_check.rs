//! `granted_epochs_only`: no server acts for long on an epoch that the arbiter has not granted.
//!
//! The server believes a larger epoch at once, so that a takeover stays fast. Meanwhile it asks the
//! arbiter for the newest granted epoch. If that epoch is smaller, a peer has invented the larger
//! one. The server then forgets the invented epoch everywhere and searches for a coordinator again.
//!
//! For a while afterwards the server verifies first. It handles a message with an unknown epoch
//! only after the arbiter has confirmed that epoch. Otherwise servers with the same false belief
//! would mislead each other again.
//!
//! Requests for votes propose epochs that are not granted yet, a few above the granted ones. The
//! server checks them only if they are far enough above to use up the epochs for requests.

use alloc::collections::BTreeMap;
use core::mem;

use rand::RngCore;

use super::time_shift::TimeShift;
use super::{Elector, Newest, Output, State};
use crate::{Body, Epoch, Instant, Message, ServerId};

/// After a refuted epoch, a server verifies first for this many times the time limit of a claim:
/// 20 s by default.
const VERIFY_CLAIMS: u32 = 4;

/// Largest lead of a proposed epoch over the newest granted epoch: more proposals than any cluster
/// makes. Proposals that are further apart are never used twice. So no vote counts for another
/// proposal when a server begins again below.
const LARGEST_LEAD: u64 = 1 << 32;

/// This server's knowledge of the arbiter's grants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EpochCheck {
    /// The largest epoch in use here that the arbiter has granted.
    granted: Epoch,
    /// The question that the arbiter has not answered yet.
    question: Option<Question>,
    /// No question before this: the arbiter could not be reached, or has just refuted an epoch.
    ask_at: Instant,
    verify_until: Option<Instant>,
    /// Messages that name an epoch to be confirmed first: the newest of each peer.
    held: BTreeMap<ServerId, Held>,
}

/// An answer does not cover epochs that the server learned after the question: the arbiter may have
/// granted them in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Question {
    /// The largest epoch that this server believed at the time of the question.
    seen: Epoch,
    /// The largest epoch of all, with the messages that it held back.
    named: Epoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    message: Message,
    epoch: Epoch,
    /// `true` if the current question came after this message.
    asked: bool,
}

impl EpochCheck {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            granted: Epoch::ZERO,
            question: None,
            ask_at: now,
            verify_until: None,
            held: BTreeMap::new(),
        }
    }

    /// Notes that the arbiter has granted this epoch.
    pub(super) fn note_granted(&mut self, epoch: Epoch) {
        self.granted = self.granted.max(epoch);
    }

    /// Returns `true` if the arbiter must confirm a new epoch before this server believes it. That
    /// lasts at least while messages wait for an answer.
    fn verifies_first(&self, now: Instant) -> bool {
        self.verify_until.is_some_and(|until| until > now)
            || (self.question.is_some() && !self.held.is_empty())
    }

    /// Forgets a peer that was removed.
    pub(super) fn forget_peer(&mut self, id: &ServerId) {
        self.held.remove(id);
    }

    /// Returns the moment of the next question, if there is one. `named` is the largest epoch that
    /// peers have named.
    fn deadline(&self, named: Epoch) -> Option<Instant> {
        let due = self.question.is_none() && named > self.granted;
        due.then_some(self.ask_at)
    }

    pub(super) fn shift(&mut self, shift: &TimeShift, named: Epoch) {
        if self.deadline(named).is_some() {
            shift.deadline(&mut self.ask_at);
        } else {
            shift.not_before(&mut self.ask_at);
        }
        shift.until(&mut self.verify_until);
        for held in self.held.values_mut() {
            if let Body::Coordinator { sent_at, .. } = &mut held.message.body {
                shift.timestamp(sent_at);
            }
        }
    }
}

/// Returns the epoch that must be granted if the message is true.
fn named(body: &Body) -> Option<Epoch> {
    match body {
        Body::Known { coordinator, epoch } => {
            let coordinator = coordinator.as_ref().map_or(Epoch::ZERO, |known| known.epoch);
            Some(coordinator.max(*epoch))
        }
        Body::Coordinator { epoch, .. } | Body::Handover { epoch, .. } => Some(*epoch),
        Body::RequestVote { epoch } | Body::Vote { epoch, .. } => Some(implied(*epoch)),
        _ => None,
    }
}

/// Returns the smallest epoch that must be granted before a server proposes this epoch.
fn implied(proposed: Epoch) -> Epoch {
    Epoch(proposed.0.saturating_sub(LARGEST_LEAD))
}

impl<R: RngCore> Elector<R> {
    /// Returns a message if this server may handle it now. Keeps it if the arbiter must confirm its
    /// epoch first.
    pub(super) fn hold_if_unverified(&mut self, message: Message) -> Option<Message> {
        let verify = self.epoch_check.verifies_first(self.now);
        let epoch = named(&message.body).filter(|epoch| verify && *epoch > self.epoch_check.granted);
        let Some(epoch) = epoch else {
            // This message replaces an earlier one that is held back.
            if !self.epoch_check.held.is_empty() && named(&message.body).is_some() {
                self.epoch_check.held.remove(&message.sender.rank.id);
            }
            return Some(message);
        };
        let held = Held {
            epoch,
            asked: false,
            message,
        };
        self.epoch_check
            .held
            .insert(held.message.sender.rank.id.clone(), held);
        None
    }

    /// Returns the largest epoch that this server believes to be granted.
    pub(super) fn named_epoch(&self) -> Epoch {
        let held = self.epoch_check.held.values().map(|held| held.epoch);
        let named = held.fold(self.seen, Epoch::max);
        named.max(implied(self.promises.largest()))
    }

    /// Returns the moment of the next question to the arbiter, if there is one.
    pub(super) fn question_deadline(&self) -> Option<Instant> {
        self.epoch_check.deadline(self.named_epoch())
    }

    /// Asks the arbiter about the epochs that peers have named, once at a time and not before the
    /// pause is over.
    pub(super) fn ask_newest(&mut self) {
        let due = self.question_deadline().is_some_and(|at| at <= self.now);
        if !due || matches!(self.state, State::Left) {
            return;
        }
        for held in self.epoch_check.held.values_mut() {
            held.asked = true;
        }
        self.epoch_check.question = Some(Question {
            seen: self.seen,
            named: self.named_epoch(),
        });
        self.output(Output::AskNewest);
    }

    /// Handles the arbiter's answer to an [`Output::AskNewest`]. Ignored without a question.
    ///
    /// If the arbiter has not granted an epoch that the server knew at the time of the question,
    /// the server forgets that epoch. A follower of its coordinator searches for another.
    pub fn handle_newest(&mut self, now: Instant, newest: Newest) {
        self.advance(now);
        let question = self.epoch_check.question.take();
        let Some(question) = question.filter(|_| !matches!(self.state, State::Left)) else {
            return;
        };
        match newest {
            Newest::Unreachable => self.epoch_check.ask_at = self.now + self.config.claim_retry,
            // Such an arbiter cannot refute anything.
            Newest::NotRecorded => self.apply_newest(question, question.named),
            Newest::Epoch(newest) => self.apply_newest(question, newest),
        }
        self.ask_newest();
    }

    fn apply_newest(&mut self, question: Question, newest: Epoch) {
        self.epoch_check.note_granted(newest.min(question.named));
        let granted = self.epoch_check.granted;
        // The server learned this epoch after the question, so it asks again at once.
        let newer = self.seen > granted && self.seen > question.seen;
        if question.named > granted {
            self.counters.refuted += 1;
            self.epoch_check.verify_until = Some(self.now + self.config.claim_timeout * VERIFY_CLAIMS);
            if !newer {
                self.epoch_check.ask_at = self.now + self.config.claim_retry;
            }
        }
        if implied(self.promises.largest()) > granted {
            self.forget_votes_beyond(granted);
        }
        if self.seen > granted && !newer {
            self.forget_beyond(granted);
        }
        for (peer, held) in mem::take(&mut self.epoch_check.held) {
            if held.epoch <= granted {
                self.receive(held.message);
            } else if !held.asked {
                self.epoch_check.held.insert(peer, held);
            } else if matches!(held.message.body, Body::Known { .. }) {
                // That peer has a false belief. It knows no coordinator.
                self.note_search_answer(&held.message.sender);
            }
        }
    }

    /// Handles the answer that no larger epoch is granted.
    fn forget_beyond(&mut self, granted: Epoch) {
        self.seen = granted;
        self.changes += 1;
        self.resigned_to.take_if(|epoch| *epoch > granted);
        self.former_coordinator
            .take_if(|coordinator| coordinator.epoch > granted);
        let State::Following(following) = &self.state else {
            return;
        };
        if following.coordinator.epoch <= granted {
            return;
        }
        if !following.reported_only {
            // The coordinator itself has announced the invented epoch, so the search passes over
            // it.
            let announcer = following.coordinator.rank.id.clone();
            self.peers
                .pass_over(&announcer, self.now + self.config.claim_timeout);
        }
        self.search();
    }
}
