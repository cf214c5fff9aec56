//! How many bytes of replies may wait for clients to take them, on all connections together.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// Replies up to this size are held in any case: to refuse one would take as much.
pub(super) const SMALL: usize = 1024;

#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    used: AtomicUsize,
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            used: AtomicUsize::new(0),
        })
    }

    /// Holds so many bytes for a connection that holds `own` already; nothing if there is no room.
    ///
    /// As in the queue, a connection may hold as much as is still free, so that a few that read slowly leave
    /// room for the others. One reply it may hold whenever it fits.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize, own: usize) -> Option<Held> {
        let fits = |used: usize| {
            let free = self.max.saturating_sub(used);
            let within_share = own == 0 || own + bytes <= free;
            (bytes <= SMALL || bytes <= free && within_share).then_some(used + bytes)
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()?;
        Some(Held {
            budget: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_and_leaves_room_for_others() {
        let budget = Budget::new(100_000);
        let first = budget.hold(40_000, 0).unwrap();
        assert!(budget.hold(40_000, first.bytes).is_none(), "more than is free");
        let second = budget.hold(20_000, first.bytes);
        assert!(second.is_some());
        let other = budget.hold(40_000, 0).unwrap();
        assert!(budget.hold(2_000, 0).is_none(), "full");
        assert!(budget.hold(SMALL, other.bytes).is_some(), "small");
        drop(second);
        assert!(budget.hold(20_000, 0).is_some());
    }
}
