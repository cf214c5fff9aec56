//! The passage of time: the next timer of each role, and the handler that it calls.

use rand::RngCore;

use super::{Elector, State};
use crate::Instant;

impl<R: RngCore> Elector<R> {
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
}
