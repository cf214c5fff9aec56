//! The progress of the pipeline: the time that the current batch takes, and the time without an
//! execution.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Time after the end of an epoch in which the next one can begin here and count as its
/// continuation.
const SOON: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Start of the current batch.
    batch: Option<Instant>,
    /// Time since which something waits and nothing was executed.
    waiting: Option<Instant>,
    /// The value of `waiting` when an epoch ended without an execution, and the time of that end.
    before: Option<(Instant, Instant)>,
}

impl Progress {
    pub(super) fn batch_begins(&self, now: Instant) {
        let mut state = self.lock();
        state.batch = Some(now);
        let before = state.before.take().filter(|(_, end)| *end + SOON > now);
        let since = before.map_or(now, |(since, _)| since);
        state.waiting.get_or_insert(since);
    }

    /// Records the end of the batch. `others_wait` is `true` if commands wait for the next batch.
    pub(super) fn batch_ends(&self, others_wait: bool) {
        let mut state = self.lock();
        state.batch = None;
        if !others_wait {
            state.waiting = None;
        }
    }

    /// Records that nothing waits any more.
    pub(super) fn idle(&self) {
        let mut state = self.lock();
        state.batch = None;
        state.waiting = None;
    }

    /// Records that the epoch is over and another may begin at once. The time without an execution
    /// goes on then: a command that makes each batch fail must not hide that nothing is executed.
    pub(super) fn epoch_ends(&self, now: Instant) {
        let mut state = self.lock();
        state.batch = None;
        if let Some(since) = state.waiting.take() {
            state.before = Some((since, now));
        }
    }

    /// Records that a command was executed, or that MongoDB has refused it.
    pub(super) fn executed(&self, now: Instant) {
        let mut state = self.lock();
        state.waiting = state.batch.map(|_| now);
        state.before = None;
    }

    /// Returns the time since the current batch began.
    pub(super) fn batch_takes(&self, now: Instant) -> Option<Duration> {
        let began = self.lock().batch?;
        Some(now.saturating_duration_since(began))
    }

    /// Returns the time for which something has waited and nothing was executed.
    pub(super) fn stalled_for(&self, now: Instant) -> Option<Duration> {
        let since = self.lock().waiting?;
        Some(now.saturating_duration_since(since))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_no_stall_and_every_execution_ends_one() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let progress = Progress::default();
        assert_eq!(progress.stalled_for(begin), None);
        progress.batch_begins(begin);
        assert_eq!(progress.stalled_for(begin + second), Some(second));
        assert_eq!(progress.batch_takes(begin + second), Some(second));
        progress.executed(begin + second);
        assert_eq!(progress.stalled_for(begin + second * 3), Some(second * 2));
        progress.batch_ends(true);
        assert_eq!(progress.batch_takes(begin), None);
        assert_eq!(progress.stalled_for(begin + second * 3), Some(second * 2));
        progress.batch_begins(begin + second * 3);
        progress.batch_ends(false);
        assert_eq!(progress.stalled_for(begin + second * 9), None);
        progress.executed(begin + second * 9);
        assert_eq!(progress.stalled_for(begin + second * 99), None);
    }

    #[test]
    fn a_stall_goes_on_in_the_next_epoch() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let progress = Progress::default();
        progress.batch_begins(begin);
        progress.epoch_ends(begin + second * 4);
        progress.idle();
        assert_eq!(progress.stalled_for(begin + second * 4), None, "nothing waits");
        progress.batch_begins(begin + second * 5);
        assert_eq!(progress.stalled_for(begin + second * 6), Some(second * 6));
        progress.executed(begin + second * 6);
        progress.epoch_ends(begin + second * 7);
        progress.batch_begins(begin + second * 7 + SOON);
        let now = begin + second * 8 + SOON;
        assert_eq!(
            progress.stalled_for(now),
            Some(second),
            "another epoch was between"
        );
    }
}
