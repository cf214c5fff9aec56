//! A limit for failed authentications, so that an address cannot try credentials at any rate.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Time in which failures are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Number of failures in a window after which a source has to wait for its end.
pub(super) const MAX_FAILURES: u32 = 20;
/// Number of sources whose failures are counted. An attacker with more addresses shares the last
/// place with all others that come later.
const MAX_SOURCES: usize = 16 * 1024;

/// The failures of each source of connections: an address, or one connection of a shared address.
#[derive(Debug, Default)]
pub(super) struct FailedAttempts(Mutex<HashMap<Option<u64>, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    began: Instant,
    count: u32,
}

impl FailedAttempts {
    /// Returns the time that this source has to wait before the server looks at another of its
    /// credentials. Returns `None` if it need not wait.
    pub(super) fn pause(&self, source: u64, now: Instant) -> Option<Duration> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = sources.get(&key(&sources, source))?;
        let end = failures.began + WINDOW;
        (failures.count >= MAX_FAILURES && now < end).then(|| end - now)
    }

    /// Records a failure of this source.
    pub(super) fn record(&self, source: u64, now: Instant) {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= MAX_SOURCES {
            sources.retain(|_, failures| now < failures.began + WINDOW);
        }
        let key = key(&sources, source);
        let failures = sources.entry(key).or_insert(Failures { began: now, count: 0 });
        if now >= failures.began + WINDOW {
            *failures = Failures { began: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

/// Returns the key of a source: its own, or the common one if there are too many sources.
fn key(sources: &HashMap<Option<u64>, Failures>, source: u64) -> Option<u64> {
    let has_room = sources.len() < MAX_SOURCES || sources.contains_key(&Some(source));
    has_room.then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_too_often_waits_for_the_end_of_its_window() {
        let (attempts, began) = (FailedAttempts::default(), Instant::now());
        for _ in 0..MAX_FAILURES {
            assert_eq!(attempts.pause(1, began), None);
            attempts.record(1, began);
        }
        let later = began + Duration::from_secs(15);
        assert_eq!(attempts.pause(1, later), Some(Duration::from_secs(45)));
        assert_eq!(attempts.pause(2, later), None, "another source need not wait");
        assert_eq!(attempts.pause(1, began + WINDOW), None);
        attempts.record(1, began + WINDOW);
        assert_eq!(attempts.pause(1, began + WINDOW), None);
    }

    #[test]
    fn many_sources_take_no_more_memory_than_the_limit() {
        let (attempts, now) = (FailedAttempts::default(), Instant::now());
        for source in 0..2 * MAX_SOURCES as u64 {
            attempts.record(source, now);
        }
        let count = attempts.0.lock().unwrap().len();
        assert!(count <= MAX_SOURCES + 1, "{count}");
        let newcomer = u64::MAX;
        assert!(
            attempts.pause(newcomer, now).is_some(),
            "it shares the last place"
        );
        assert_eq!(attempts.pause(1, now), None);
        attempts.record(newcomer, now + WINDOW);
        assert_eq!(attempts.0.lock().unwrap().len(), 1);
    }
}
