//! Times at which refused clients should come back, where no place is kept for them.
//!
//! Room becomes free at some rate, which is measured here. Each refused request gets a time of its
//! own, one after another at that rate. Otherwise all refused clients would come back at once, and
//! most of them would be refused again.
//!
//! The groups of sources, such as the connections from one address, share the rate. Each group has
//! a sequence of times of its own. So the refused requests of one group do not push back those of
//! another.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(1);
/// The longest pause that the server tells a client.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct RefusalPace {
    /// The lowest rate that is assumed, for each second.
    least: f64,
    /// The shortest pause that the server tells a client.
    shortest: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    /// The amount that became free in the current window.
    freed: f64,
    /// The amount that became free for each second in the window before.
    per_second: f64,
    /// For each group, the latest time at which one of its refused clients should come back.
    told: HashMap<u64, Instant>,
}

impl RefusalPace {
    /// Returns a pace whose rate is `least` for each second until more is measured.
    pub(crate) fn new(least: f64, shortest: Duration) -> Self {
        Self {
            least,
            shortest,
            state: Mutex::default(),
        }
    }

    /// Records that this amount of room became free.
    pub(crate) fn freed(&self, amount: usize, now: Instant) {
        self.with(now, |state| state.freed += amount as f64);
    }

    /// Returns the pause after which a request of this group, which needs this amount of room,
    /// should be sent again.
    pub(crate) fn retry_after(&self, amount: usize, group: u64, now: Instant) -> Duration {
        self.with(now, |state| {
            state.told.retain(|_, at| *at > now);
            let before = state.told.get(&group).copied().unwrap_or(now);
            let sharing = state.told.len() + usize::from(before == now);
            let per_second = state.per_second.max(state.freed).max(self.least);
            let seconds = amount as f64 * sharing as f64 / per_second;
            let longest = now + LONGEST;
            let at = longest.min(before + Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())));
            state.told.insert(group, at);
            at.saturating_duration_since(now).max(self.shortest)
        })
    }

    fn with<T>(&self, now: Instant, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let age = state.began.map(|began| now.saturating_duration_since(began));
        if age.is_none_or(|age| age >= WINDOW) {
            state.per_second = state.freed / age.unwrap_or(WINDOW).as_secs_f64();
            state.freed = 0.0;
            state.began = Some(now);
        }
        work(&mut state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: Duration = Duration::from_millis(20);

    #[test]
    fn each_refused_request_is_told_a_time_of_its_own() {
        let (pace, now) = (RefusalPace::new(10.0, SHORTEST), Instant::now());
        let told: Vec<u128> = (0..3).map(|_| pace.retry_after(1, 1, now).as_millis()).collect();
        assert_eq!(told, [100, 200, 300]);
        // Earlier times stay taken when the window has ended.
        let later = now + Duration::from_millis(200);
        assert_eq!(pace.retry_after(1, 1, later).as_millis(), 200);
        for _ in 0..1_000 {
            assert!(pace.retry_after(1, 1, now + WINDOW) <= LONGEST);
        }
        assert_eq!(pace.retry_after(usize::MAX, 2, now), LONGEST);
    }

    #[test]
    fn the_rate_is_that_of_the_last_window() {
        let (pace, now) = (RefusalPace::new(10.0, SHORTEST), Instant::now());
        pace.freed(500, now);
        pace.freed(500, now + WINDOW / 2);
        let next = now + WINDOW;
        assert_eq!(pace.retry_after(100, 1, next).as_millis(), 100);
        assert_eq!(pace.retry_after(1, 2, next), SHORTEST);
        // Nothing became free meanwhile.
        let later = next + 2 * WINDOW;
        assert_eq!(pace.retry_after(1, 1, later).as_millis(), 100);
    }

    #[test]
    fn the_requests_of_one_group_do_not_push_back_those_of_another() {
        let (pace, now) = (RefusalPace::new(10.0, SHORTEST), Instant::now());
        for _ in 0..50 {
            pace.retry_after(1, 1, now);
        }
        let told = pace.retry_after(1, 2, now);
        assert_eq!(told.as_millis(), 200, "the two groups share the rate");
        pace.retry_after(1, 3, now + 2 * LONGEST);
        assert_eq!(
            pace.state.lock().unwrap().told.len(),
            1,
            "old times are forgotten"
        );
    }
}
