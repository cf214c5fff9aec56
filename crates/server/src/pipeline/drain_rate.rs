//! The rate at which commands are answered while others wait. It tells refused clients when to come
//! back.

use core::time::Duration;

use tokio::time::Instant;

/// Commands a second that are assumed before the first measurement.
const FIRST_GUESS: f64 = 1_000.0;
/// Time for which a measurement counts.
const MEMORY: Duration = Duration::from_secs(1);
/// The longest estimate.
const LONGEST: Duration = Duration::from_secs(3_600);
/// The shortest and the longest pause that the server tells a client.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));

#[derive(Debug)]
pub(super) struct DrainRate {
    per_second: f64,
    /// Start and size of the current batch.
    batch: Option<(Instant, usize)>,
    /// `true` if a command waits for the next batch for sure. Only then is the time until the next
    /// batch the time that the current batch took, without idle time.
    busy: bool,
}

impl Default for DrainRate {
    fn default() -> Self {
        Self {
            per_second: FIRST_GUESS,
            batch: None,
            busy: false,
        }
    }
}

impl DrainRate {
    /// Records that a batch begins with this number of commands. `others_wait` is `true` if other
    /// commands wait.
    pub(super) fn batch(&mut self, now: Instant, commands: usize, others_wait: bool) {
        if let Some((began, commands)) = self.measured() {
            let took = now.saturating_duration_since(began).as_secs_f64().max(1e-6);
            let weight = 1.0 - (-took / MEMORY.as_secs_f64()).exp();
            self.per_second += weight * (commands as f64 / took - self.per_second);
        }
        self.batch = Some((now, commands));
        self.busy = others_wait;
    }

    /// Records that the queue has refused a command. The commands that fill the queue wait for the
    /// next batch, so no idle time comes before it. In a queue that is smaller than a batch, each
    /// batch takes all commands. Then only this shows that the executor is busy.
    pub(super) fn refused(&mut self) {
        self.busy = true;
    }

    /// Records that no batch follows the current one for a while: that time is no part of a
    /// measurement.
    pub(super) fn pause(&mut self) {
        self.batch = None;
        self.busy = false;
    }

    /// Returns the pause for a client whose own commands fill its share: the time they will take,
    /// within bounds.
    pub(super) fn pause_for(&self, commands: usize, now: Instant) -> Duration {
        let (least, most) = BOUNDS;
        self.time_for(commands, now).clamp(least, most)
    }

    /// Returns the time that this number of commands will take.
    pub(super) fn time_for(&self, commands: usize, now: Instant) -> Duration {
        // A batch that takes long lowers the rate before it ends.
        let at_most = self.measured().map_or(f64::INFINITY, |(began, commands)| {
            commands as f64 / now.saturating_duration_since(began).as_secs_f64().max(1e-6)
        });
        let seconds = commands as f64 / self.per_second.min(at_most).max(1e-3);
        Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64()))
    }

    /// Returns the start and size of the current batch, if no idle time comes before the next one.
    fn measured(&self) -> Option<(Instant, usize)> {
        self.batch.filter(|_| self.busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_batches_and_ignores_idle_time() {
        let mut now = Instant::now();
        let mut drain_rate = DrainRate::default();
        for _ in 0..100 {
            drain_rate.batch(now, 50, true);
            now += Duration::from_millis(100);
        }
        drain_rate.batch(now, 50, false);
        let busy = drain_rate.pause_for(1_000, now);
        assert!((1_900..2_100).contains(&busy.as_millis()), "{busy:?}");

        now += Duration::from_secs(3_600);
        assert_eq!(drain_rate.pause_for(1_000, now), busy);
        drain_rate.batch(now, 1, true);
        assert_eq!(drain_rate.pause_for(1_000, now), busy);

        drain_rate.pause();
        now += Duration::from_secs(3_600);
        drain_rate.batch(now, 1, true);
        assert_eq!(drain_rate.pause_for(1_000, now), busy, "between two terms");
    }

    #[test]
    fn a_refusal_shows_that_a_batch_is_measured_although_none_waited_when_it_began() {
        let (mut now, mut drain_rate) = (Instant::now(), DrainRate::default());
        for _ in 0..100 {
            drain_rate.batch(now, 10, false);
            drain_rate.refused();
            now += Duration::from_millis(100);
        }
        drain_rate.batch(now, 10, false);
        let pause = drain_rate.pause_for(100, now);
        assert!((990..1_010).contains(&pause.as_millis()), "{pause:?}");
    }

    #[test]
    fn a_batch_that_hangs_is_noticed_and_the_answer_is_bounded() {
        let began = Instant::now();
        let mut drain_rate = DrainRate::default();
        assert_eq!(drain_rate.pause_for(1, began), BOUNDS.0);
        drain_rate.batch(began, 10, true);
        assert_eq!(drain_rate.pause_for(100, began), Duration::from_millis(100));
        assert_eq!(
            drain_rate.pause_for(20, began + Duration::from_secs(1)),
            Duration::from_secs(2)
        );
        assert_eq!(
            drain_rate.pause_for(20, began + Duration::from_secs(60)),
            BOUNDS.1
        );
        assert_eq!(drain_rate.pause_for(0, began), BOUNDS.0);
    }
}
