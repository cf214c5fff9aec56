//! Times at which refused clients should come back: one sequence for each group of sources.
//!
//! Room becomes free at some rate. Each refused request gets a time of its own, one after another
//! at that rate. Otherwise all refused clients would come back at once, and most of them would be
//! refused again.
//!
//! The groups of sources, such as the connections from one address, share the rate. Each group has
//! a sequence of times of its own. So the refused requests of one group do not push back those of
//! another.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

/// The longest pause that the server tells a client.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The latest time of each group. Each call costs logarithmic time.
#[derive(Debug, Default)]
pub(crate) struct RetryTimes {
    latest: HashMap<u64, Instant>,
    in_order: BTreeSet<(Instant, u64)>,
}

impl RetryTimes {
    /// Returns the next time of this group, at most [`LONGEST_PAUSE`] after `now`. `each` is the
    /// time in which room for the request becomes free. This group shares the rate with the other
    /// groups that have times. `sharing` is the lowest number of groups that share it.
    pub(crate) fn next(&mut self, group: u64, each: Duration, sharing: usize, now: Instant) -> Instant {
        let before = self.latest.get(&group).copied();
        let groups = self.latest.len() + usize::from(before.is_none());
        let sharing = u32::try_from(groups.max(sharing)).unwrap_or(u32::MAX);
        let step = each.saturating_mul(sharing).min(LONGEST_PAUSE);
        let begin = before.unwrap_or(now).clamp(now, now + LONGEST_PAUSE);
        let next = (begin + step).min(now + LONGEST_PAUSE);
        if let Some(before) = before {
            self.in_order.remove(&(before, group));
        }
        self.in_order.insert((next, group));
        self.latest.insert(group, next);
        next
    }

    /// Forgets the groups whose latest time is `until` or earlier.
    pub(crate) fn forget(&mut self, until: Instant) {
        while let Some((latest, group)) = self.in_order.first().copied()
            && latest <= until
        {
            self.in_order.pop_first();
            self.latest.remove(&group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Duration = Duration::from_millis(100);

    #[test]
    fn each_request_gets_a_time_of_its_own_up_to_the_longest_pause() {
        let (mut times, now) = (RetryTimes::default(), Instant::now());
        for n in 1..4 {
            assert_eq!(times.next(1, EACH, 1, now), now + n * EACH);
        }
        for _ in 0..1_000 {
            assert!(times.next(1, EACH, 1, now) <= now + LONGEST_PAUSE);
        }
        assert_eq!(times.next(2, Duration::MAX, 1, now), now + LONGEST_PAUSE);
        // A time that has passed does not bring the next one forward.
        let later = now + 2 * LONGEST_PAUSE;
        assert_eq!(times.next(1, EACH, 1, later), later + 2 * EACH);
    }

    #[test]
    fn groups_share_the_rate_and_do_not_push_each_other_back() {
        let (mut times, now) = (RetryTimes::default(), Instant::now());
        for _ in 0..50 {
            times.next(1, EACH, 1, now);
        }
        assert_eq!(times.next(2, EACH, 1, now), now + 2 * EACH, "two groups share");
        assert_eq!(times.next(2, EACH, 7, now), now + 9 * EACH, "seven groups share");
    }

    #[test]
    fn groups_without_a_later_time_are_forgotten() {
        let (mut times, now) = (RetryTimes::default(), Instant::now());
        for group in 0..10 {
            times.next(group, EACH * 10, 1, now);
        }
        times.next(3, EACH * 10, 1, now);
        times.forget(now + EACH * 99);
        let left: Vec<u64> = times.in_order.iter().map(|(_, group)| *group).collect();
        assert_eq!((left, times.latest.len()), (vec![9, 3], 2));
        times.forget(now + LONGEST_PAUSE);
        assert!(times.latest.is_empty() && times.in_order.is_empty());
    }
}
