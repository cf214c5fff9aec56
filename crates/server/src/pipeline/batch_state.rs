//! The state of a batch, as the executor sees it from outside while the batch is in progress.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwether_protocol::{ErrorFrame, Outcome};
use tokio::time::{Duration, Instant, sleep_until};

use super::refusal;

/// The state that a batch shares with the executor, which polls the batch. Both are in one task, so
/// neither changes the state while the other reads it. That holds until the batch is abandoned.
#[derive(Debug, Default)]
pub(super) struct BatchState {
    in_doubt: AtomicBool,
    abandoned: AtomicBool,
    conflicts: AtomicBool,
    running: Mutex<Running>,
}

/// A statement that MongoDB works on.
#[derive(Clone, Debug, Default)]
pub(super) struct Running {
    /// The commands that the statement is part of, by their place in the batch.
    pub(super) tasks: Vec<usize>,
    /// Time in which MongoDB must answer each message of the statement. Absent if only the
    /// deadlines count.
    time: Option<Duration>,
    /// Time of the last message to MongoDB.
    since: Option<Instant>,
}

impl Running {
    /// Returns the time by which MongoDB ends the statement by itself, or sends the next batch of
    /// its reply.
    fn ends_by(&self) -> Option<Instant> {
        Some(self.since? + self.time?)
    }

    /// Returns `true` if MongoDB works on the statement although its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.ends_by().is_some_and(|ends_by| ends_by <= Instant::now())
    }
}

impl BatchState {
    /// Returns the outcome of a command of the batch that gets no reply.
    pub(super) fn outcome(&self) -> Outcome {
        if self.in_doubt.load(Ordering::Relaxed) {
            Outcome::Unknown
        } else {
            Outcome::NotExecuted
        }
    }

    /// Records whether a commit is in doubt: it was sent, and it is not known if it happened.
    ///
    /// The flag is set before the commit leaves. It is cleared when a later transaction has written
    /// the fence and found none of the ids. The two transactions exclude each other. So a record
    /// that is then not found does not exist, and cannot come to exist any more. A record that is
    /// found is settled when the later transaction has committed.
    pub(super) fn set_in_doubt(&self, in_doubt: bool) {
        self.in_doubt.store(in_doubt, Ordering::Relaxed);
    }

    /// Records that every command of the batch has been answered and that nothing may be committed
    /// any more.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
    }

    /// Returns `true` if the batch must not commit.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// Records that the batch has met many write conflicts.
    pub(super) fn set_conflicts(&self) {
        self.conflicts.store(true, Ordering::Relaxed);
    }

    /// Returns the answer to a command of the batch whose deadline has passed.
    pub(super) fn overdue(&self, outcome: Outcome) -> ErrorFrame {
        refusal::overdue_after(self.conflicts.load(Ordering::Relaxed), outcome)
    }

    /// Records that MongoDB works on a statement of these commands. MongoDB must end it within
    /// `time`.
    pub(super) fn set_running(&self, tasks: Vec<usize>, time: Option<Duration>) {
        *self.lock() = Running {
            tasks,
            time,
            since: Some(Instant::now()),
        };
    }

    /// Records that MongoDB has answered, and works on no statement.
    pub(super) fn set_idle(&self) {
        *self.lock() = Running::default();
    }

    /// Records that a message is sent to MongoDB: the time of a statement begins again for each
    /// batch of its reply.
    pub(super) fn sends(&self) {
        if let Some(since) = &mut self.lock().since {
            *since = Instant::now();
        }
    }

    /// Returns the statement that MongoDB works on.
    pub(super) fn running(&self) -> Running {
        self.lock().clone()
    }

    /// Waits until MongoDB has worked on a statement for `overrun` longer than its time. Each poll
    /// reads that time again, so this must be polled after the batch. May be dropped at any time.
    pub(super) async fn overruns(&self, overrun: Duration) {
        let mut sleep = pin!(sleep_until(Instant::now()));
        poll_fn(|context| {
            let Some(ends_by) = self.lock().ends_by() else {
                return Poll::Pending;
            };
            if sleep.deadline() != ends_by + overrun {
                sleep.as_mut().reset(ends_by + overrun);
            }
            sleep.as_mut().poll(context)
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
