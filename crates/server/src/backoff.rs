//! The pauses between the attempts at one piece of work.

use core::time::Duration;

/// Exponential backoff: pauses that grow with each failure, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    /// The factor between one pause and the next.
    growth: f64,
    /// The random share of each pause, from 0 to 1.
    jitter: f64,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` to `longest`. Each is twice as long as the one before.
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            growth: 2.0,
            jitter: 0.0,
            failures: 0,
        }
    }

    /// Sets the factor between one pause and the next, from 1.
    pub(crate) const fn growth(self, growth: f64) -> Self {
        Self { growth, ..self }
    }

    /// Sets the random share of each pause, from 0 to 1. With 1, a pause can have any length from 0
    /// to the length that it has without jitter.
    pub(crate) const fn jitter(self, jitter: f64) -> Self {
        Self { jitter, ..self }
    }

    /// Returns the pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Makes the next pause the one that follows this number of earlier failures.
    pub(crate) fn restart_after(&mut self, failures: u32) {
        self.failures = failures;
    }

    /// Returns the pause that follows this number of earlier failures. The first pause follows 0.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        let grown = self.growth.powi(i32::try_from(failures).unwrap_or(i32::MAX));
        let seconds = (self.first.as_secs_f64() * grown).min(self.longest.as_secs_f64());
        Duration::from_secs_f64(seconds * (1.0 - self.jitter * rand::random::<f64>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(2);
    const LONGEST: Duration = Duration::from_millis(15);

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let pauses: Vec<u128> = (0..5).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [2, 4, 8, 15, 15]);
        backoff.restart_after(1);
        assert_eq!(backoff.next(), 2 * FIRST);
        assert_eq!(backoff.growth(1.5).after(1), FIRST * 3 / 2);
        assert_eq!(backoff.after(u32::MAX), LONGEST);
    }

    #[test]
    fn only_the_random_share_of_a_pause_changes() {
        let half = Backoff::new(FIRST, LONGEST).jitter(0.5);
        let pauses: Vec<Duration> = (0..100).map(|_| half.after(1)).collect();
        assert!(pauses.iter().all(|pause| (FIRST..=2 * FIRST).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
