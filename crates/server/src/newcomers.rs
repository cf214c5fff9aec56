//! Connections that have shown nothing yet: so many at a time, and the oldest gives way to the newest.
//!
//! A flood of connections that say nothing cannot hold the places then: one that does what it should within
//! moments, as every honest one does, is through before it is the oldest.

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::AbortHandle;

/// The tasks of such connections.
#[derive(Debug)]
pub(crate) struct Newcomers {
    tasks: VecDeque<(AbortHandle, Settled)>,
    max: usize,
}

/// Whether a newcomer is one no more. Clones are the same newcomer's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled(Arc<AtomicBool>);

impl Settled {
    /// From now on it need not give way.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Newcomers {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            tasks: VecDeque::new(),
            max,
        }
    }

    /// Adds a task, and aborts the oldest one that has not ended or settled if there are too many.
    pub(crate) fn add(&mut self, task: AbortHandle, settled: Settled) {
        if self.tasks.len() >= self.max {
            self.tasks
                .retain(|(task, settled)| !task.is_finished() && !settled.is_set());
        }
        if self.tasks.len() >= self.max
            && let Some((oldest, _)) = self.tasks.pop_front()
        {
            oldest.abort();
        }
        self.tasks.push_back((task, settled));
    }
}

#[cfg(test)]
mod tests {
    use core::future::pending;

    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    fn add(newcomers: &mut Newcomers) -> (JoinHandle<()>, Settled) {
        let task = tokio::spawn(pending());
        let settled = Settled::default();
        newcomers.add(task.abort_handle(), settled.clone());
        (task, settled)
    }

    #[tokio::test]
    async fn the_oldest_gives_way_unless_it_has_settled() {
        let mut newcomers = Newcomers::new(2);
        let (first, settled) = add(&mut newcomers);
        settled.set();
        let (second, _) = add(&mut newcomers);
        let (third, _) = add(&mut newcomers);
        yield_now().await;
        assert!(!first.is_finished() && !second.is_finished() && !third.is_finished());
        let (fourth, _) = add(&mut newcomers);
        assert!(second.await.unwrap_err().is_cancelled());
        assert!(!first.is_finished() && !third.is_finished() && !fourth.is_finished());
    }
}
