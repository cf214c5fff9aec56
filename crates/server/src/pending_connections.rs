//! Connections of clients or peers that have not proven anything yet. Their number is limited, and
//! the newest replaces the oldest.
//!
//! A flood of silent connections therefore cannot keep others out. An honest peer proves itself
//! within moments, before its connection is the oldest.

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::AbortHandle;

/// The tasks of pending connections, the oldest first.
#[derive(Debug)]
pub(crate) struct PendingConnections {
    tasks: VecDeque<(AbortHandle, Authenticated)>,
    max: usize,
}

/// Set when a connection is no longer pending. All clones belong to the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authenticated(Arc<AtomicBool>);

impl Authenticated {
    /// Keeps the connection from being replaced.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl PendingConnections {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            tasks: VecDeque::new(),
            max,
        }
    }

    /// Adds a task. Beyond the limit it aborts the oldest task of a pending connection.
    pub(crate) fn add(&mut self, task: AbortHandle, authenticated: Authenticated) {
        if self.tasks.len() >= self.max {
            self.tasks
                .retain(|(task, authenticated)| !task.is_finished() && !authenticated.is_set());
        }
        if self.tasks.len() >= self.max
            && let Some((oldest, _)) = self.tasks.pop_front()
        {
            oldest.abort();
        }
        self.tasks.push_back((task, authenticated));
    }
}

#[cfg(test)]
mod tests {
    use core::future::pending;

    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    fn add(pending_connections: &mut PendingConnections) -> (JoinHandle<()>, Authenticated) {
        let task = tokio::spawn(pending());
        let authenticated = Authenticated::default();
        pending_connections.add(task.abort_handle(), authenticated.clone());
        (task, authenticated)
    }

    #[tokio::test]
    async fn the_oldest_gives_way_unless_it_is_authenticated() {
        let mut pending_connections = PendingConnections::new(2);
        let (first, authenticated) = add(&mut pending_connections);
        authenticated.set();
        let (second, _) = add(&mut pending_connections);
        let (third, _) = add(&mut pending_connections);
        yield_now().await;
        assert!(!first.is_finished() && !second.is_finished() && !third.is_finished());
        let (fourth, _) = add(&mut pending_connections);
        assert!(second.await.unwrap_err().is_cancelled());
        assert!(!first.is_finished() && !third.is_finished() && !fourth.is_finished());
    }
}
