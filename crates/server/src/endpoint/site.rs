//! The source that shares are counted by: all connections of one address, or one connection of an
//! address that many clients share.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A source of work. All connections that count as one hold the same.
#[derive(Debug)]
pub(super) struct Site {
    group: u64,
    pub(super) at_work: Arc<Semaphore>,
}

impl Site {
    /// `at_a_time` is how many pieces of work of this source may be under way or wait for a thread.
    pub(super) fn new(group: u64, at_a_time: usize) -> Arc<Self> {
        Arc::new(Self {
            group,
            at_work: Arc::new(Semaphore::new(at_a_time)),
        })
    }

    /// The number by which everything that is shared fairly tells sources apart. It is the same for
    /// every connection of an address, also after all of them were closed, and another one for
    /// every connection of a shared address.
    pub(super) fn group(&self) -> u64 {
        self.group
    }
}
