//! The clock of an election: tokio's clock plus the time during which the machine was suspended.
//!
//! Tokio's clock is the system's monotonic clock, which on most systems stops while the machine is
//! suspended. Promises expire on other machines meanwhile, so that time must count. On Linux and
//! Android the boot-time clock continues. It is ahead of the monotonic clock by the time of all
//! suspensions since the boot.

use core::time::Duration;

use tokio::time;

use crate::Instant;

/// Reads the time since an election began, suspensions included. Clones read the same time.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    origin: time::Instant,
    suspensions: Suspensions,
    /// All suspensions before the election.
    before: Duration,
}

impl Clock {
    /// Returns a clock that begins now.
    pub(crate) fn start(suspensions: Suspensions) -> Self {
        Self {
            origin: time::Instant::now(),
            before: suspensions.total(),
            suspensions,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::since_origin(self.origin.elapsed() + self.suspended())
    }

    /// Returns the moment on tokio's clock at which this clock shows `at`, unless the machine is
    /// suspended before. A past moment stays a past moment.
    pub(crate) fn on_tokio(&self, at: Instant) -> time::Instant {
        self.origin + at.elapsed_since_origin().saturating_sub(self.suspended())
    }

    fn suspended(&self) -> Duration {
        self.suspensions.total().saturating_sub(self.before)
    }
}

/// Reads the total time during which the machine has been suspended.
#[derive(Clone, Debug)]
pub(crate) enum Suspensions {
    /// This machine, from its kernel.
    OfThisMachine,
    /// A machine that a test suspends.
    #[cfg(test)]
    Simulated(alloc::sync::Arc<std::sync::Mutex<Duration>>),
}

impl Suspensions {
    /// Returns the time of all suspensions since the boot; zero if the system does not report it.
    fn total(&self) -> Duration {
        match self {
            Self::OfThisMachine => machine::suspended(),
            #[cfg(test)]
            Self::Simulated(total) => *total.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod machine {
    use core::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    /// The system may interrupt this thread between the two readings. Their order then makes the
    /// result too small by the length of the interruption. The best of a few readings is too small
    /// by less than a microsecond.
    const READINGS: usize = 3;

    pub(super) fn suspended() -> Duration {
        let readings = (0..READINGS).map(|_| {
            let boot_time = read(ClockId::Boottime);
            boot_time.saturating_sub(read(ClockId::Monotonic))
        });
        readings.max().unwrap_or_default()
    }

    fn read(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod machine {
    use core::time::Duration;

    pub(super) fn suspended() -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn the_kernel_tells_of_suspensions() {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux has it");
        let uptime: f64 = uptime
            .split_whitespace()
            .next()
            .expect("two figures")
            .parse()
            .expect("a figure");
        assert!(machine::suspended().as_secs_f64() < uptime);
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspension_counts_and_brings_every_moment_nearer() {
        let total = alloc::sync::Arc::default();
        let clock = Clock::start(Suspensions::Simulated(alloc::sync::Arc::clone(&total)));
        time::advance(Duration::from_secs(1)).await;
        let (begun, later) = (clock.now(), clock.now() + Duration::from_secs(5));
        assert_eq!(
            clock.on_tokio(later),
            time::Instant::now() + Duration::from_secs(5)
        );
        *total.lock().expect("no task panics with the lock") = Duration::from_secs(4);
        assert_eq!(clock.now(), begun + Duration::from_secs(4));
        assert_eq!(
            clock.on_tokio(later),
            time::Instant::now() + Duration::from_secs(1)
        );
        assert!(clock.on_tokio(begun) <= time::Instant::now());
    }
}
