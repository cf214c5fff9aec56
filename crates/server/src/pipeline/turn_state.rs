//! The state of a turn, as the executor sees it from outside while the turn is under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwether_protocol::Outcome;

/// Shared by the turn and the executor, which polls the turn. Both are in one task, so neither changes it while the other
/// looks, until the turn is abandoned.
#[derive(Debug, Default)]
pub(super) struct TurnState {
    in_doubt: AtomicBool,
    abandoned: AtomicBool,
    running: Mutex<Vec<usize>>,
}

impl TurnState {
    /// The outcome of a command of the turn that gets no reply.
    pub(super) fn outcome(&self) -> Outcome {
        if self.in_doubt.load(Ordering::Relaxed) {
            Outcome::Unknown
        } else {
            Outcome::NotExecuted
        }
    }

    /// Records whether a commit was sent of which it is not known if it happened. Set before the commit leaves, cleared
    /// when a later transaction has written the fence and found none of the ids: the two exclude each other, so a record
    /// that is then not found does not exist and cannot come to exist any more. A record that is found is settled when
    /// that transaction has committed.
    pub(super) fn set_in_doubt(&self, in_doubt: bool) {
        self.in_doubt.store(in_doubt, Ordering::Relaxed);
    }

    /// Records that every command of the turn has been answered and that nothing may be committed any more.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
    }

    /// Returns `true` if the turn must not commit.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// Records whose statement MongoDB works on: the places of the commands in the turn.
    pub(super) fn set_running(&self, tasks: Vec<usize>) {
        *self.lock() = tasks;
    }

    /// The places of the commands whose statement MongoDB works on.
    pub(super) fn running(&self) -> Vec<usize> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
