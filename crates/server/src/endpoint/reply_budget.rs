//! The limit on the bytes of unsent replies, on all connections together.
//!
//! The reply to a read counts before the read begins, with the size of the connection's last reply.
//! The server therefore refuses a read without room for its reply before MongoDB has worked on it.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::refusal_pace::RefusalPace;

/// Replies up to this size always find room, because a refusal would take as much.
pub(super) const SMALL: usize = 1024;

/// Bytes that clients are expected to take in a second, until more is measured.
const LEAST_TAKEN: f64 = 1_048_576.0;
/// The shortest pause that the server tells a client whose reply has no room.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct ReplyBudget {
    max: usize,
    used: Mutex<Used>,
    /// The pace at which clients take their replies.
    pub(super) pace: RefusalPace,
}

#[derive(Debug, Default)]
struct Used {
    all: usize,
    /// The bytes of each group that holds any.
    by_group: HashMap<u64, usize>,
}

/// A number of bytes that is reserved until this value is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    reply_budget: Arc<ReplyBudget>,
    group: u64,
    pub(super) bytes: usize,
}

impl ReplyBudget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            used: Mutex::default(),
            pace: RefusalPace::new(LEAST_TAKEN, SHORTEST_PAUSE),
        })
    }

    /// Reserves bytes for a connection of this group that already holds `own` bytes. Returns `None`
    /// if there is no room.
    ///
    /// As in the queue, a connection may hold as much as is still free. A few connections that read
    /// slowly then leave room for the others. The same rule applies to all connections of a group
    /// together. A connection that holds nothing may hold one reply, if that fits.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize, own: usize, group: u64) -> Option<Reservation> {
        let mut used = self.used();
        if !used.fits(self.max, bytes, own, group) {
            return None;
        }
        used.add(group, bytes);
        Some(Reservation {
            reply_budget: Arc::clone(self),
            group,
            bytes,
        })
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Changes the reservation to another number of bytes, for a connection that holds `own` bytes
    /// in other reservations. Returns `None` if there is no room.
    pub(super) fn instead(self, bytes: usize, own: usize) -> Option<Self> {
        let (reply_budget, group) = (Arc::clone(&self.reply_budget), self.group);
        let mut used = reply_budget.used();
        used.remove(group, self.bytes);
        let fits = bytes <= self.bytes || used.fits(reply_budget.max, bytes, own, group);
        let mut held = self;
        held.bytes = if fits { bytes } else { 0 };
        used.add(group, held.bytes);
        drop(used);
        fits.then_some(held)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reply_budget.used().remove(self.group, self.bytes);
        self.reply_budget.pace.freed(self.bytes, Instant::now());
    }
}

impl Used {
    fn fits(&self, max: usize, bytes: usize, own: usize, group: u64) -> bool {
        let free = max.saturating_sub(self.all);
        let groups = self.by_group.get(&group).copied().unwrap_or_default();
        let within_share = |held: usize| held == 0 || held + bytes <= free;
        bytes <= SMALL || bytes <= free && within_share(own) && within_share(groups)
    }

    fn add(&mut self, group: u64, bytes: usize) {
        self.all += bytes;
        if bytes > 0 {
            *self.by_group.entry(group).or_default() += bytes;
        }
    }

    fn remove(&mut self, group: u64, bytes: usize) {
        self.all -= bytes;
        if let Some(groups) = self.by_group.get_mut(&group) {
            *groups -= bytes;
            if *groups == 0 {
                self.by_group.remove(&group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_and_leaves_room_for_others() {
        let reply_budget = ReplyBudget::new(100_000);
        let first = reply_budget.hold(40_000, 0, 1).unwrap();
        assert!(
            reply_budget.hold(40_000, first.bytes, 1).is_none(),
            "more than is free"
        );
        let second = reply_budget.hold(20_000, first.bytes, 1);
        assert!(second.is_some());
        let other = reply_budget.hold(40_000, 0, 2).unwrap();
        assert!(reply_budget.hold(2_000, 0, 3).is_none(), "full");
        assert!(reply_budget.hold(SMALL, other.bytes, 2).is_some(), "small");
        drop(second);
        assert!(reply_budget.hold(20_000, 0, 3).is_some());
    }

    #[test]
    fn many_connections_of_one_group_leave_room_for_others() {
        let reply_budget = ReplyBudget::new(100_000);
        let greedy: Vec<_> = (0..100).map_while(|_| reply_budget.hold(10_000, 0, 1)).collect();
        assert_eq!(greedy.len(), 5, "as much as is still free");
        assert!(reply_budget.hold(40_000, 0, 2).is_some(), "for another group");
        drop(greedy);
        assert_eq!(reply_budget.used().all, 0);
        assert!(reply_budget.used().by_group.is_empty());
    }

    #[test]
    fn an_expectation_becomes_the_size() {
        let reply_budget = ReplyBudget::new(100_000);
        let expected = reply_budget.hold(SMALL, 0, 1).unwrap();
        let larger = expected.instead(90_000, 0).unwrap();
        assert_eq!(reply_budget.used().all, 90_000);
        let smaller = larger.instead(60_000, 50_000).unwrap();
        assert_eq!(
            (smaller.bytes, reply_budget.used().all),
            (60_000, 60_000),
            "less always fits"
        );
        let other = reply_budget.hold(SMALL, 0, 2).unwrap();
        assert!(other.instead(50_000, 0).is_none(), "no room");
        assert_eq!(
            reply_budget.used().all,
            60_000,
            "nothing is held for what found no room"
        );
    }
}
