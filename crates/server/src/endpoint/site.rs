//! The source to which shares count: all connections of one address, or one connection of an
//! address that many clients share.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A source of work. All connections of the same source hold the same value.
#[derive(Debug)]
pub(super) struct Site {
    group: u64,
    pub(super) at_work: Arc<Semaphore>,
}

impl Site {
    /// Creates a source. `at_a_time` limits its pieces of work that run or wait for a thread.
    pub(super) fn new(group: u64, at_a_time: usize) -> Arc<Self> {
        Arc::new(Self {
            group,
            at_work: Arc::new(Semaphore::new(at_a_time)),
        })
    }

    /// Returns the number that distinguishes sources wherever they share something fairly. The
    /// number is the same for every connection of an address, even after all of them were closed.
    /// Each connection of a shared address has a different number.
    pub(super) fn group(&self) -> u64 {
        self.group
    }
}
