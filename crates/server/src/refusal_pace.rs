//! Pauses for refused clients, where no place is kept for them.
//!
//! The rate at which room becomes free is measured here. [`RetryTimes`] gives each refused request
//! a time of its own at that rate.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::retry_times::{LONGEST_PAUSE, RetryTimes};

/// Time over which the rate is measured.
const WINDOW: Duration = Duration::from_secs(1);

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
    times: RetryTimes,
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
            state.times.forget(now);
            let per_second = state.per_second.max(state.freed).max(self.least);
            let seconds = (amount as f64 / per_second).min(LONGEST_PAUSE.as_secs_f64());
            let at = state.times.next(group, Duration::from_secs_f64(seconds), 1, now);
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
    fn a_refused_request_waits_for_as_much_room_as_it_needs() {
        let (pace, now) = (RefusalPace::new(10.0, SHORTEST), Instant::now());
        let told: Vec<u128> = (0..3).map(|_| pace.retry_after(1, 1, now).as_millis()).collect();
        assert_eq!(told, [100, 200, 300]);
        // Earlier times stay taken when the window has ended.
        let later = now + Duration::from_millis(200);
        assert_eq!(pace.retry_after(1, 1, later).as_millis(), 200);
        assert_eq!(pace.retry_after(usize::MAX, 2, now), LONGEST_PAUSE);
        assert_eq!(pace.retry_after(1, 3, now + 2 * LONGEST_PAUSE).as_millis(), 100);
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
}
