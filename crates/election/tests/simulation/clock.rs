//! Real time, and the time of each server's own clock.

use std::time::Duration;

use bellwether_election::Instant;
use rand::Rng;
use rand::rngs::SmallRng;

/// Real time since the beginning of the run, in microseconds. No server can read it.
pub(crate) type Micros = u64;

pub(crate) const MS: Micros = 1_000;

/// The fastest and the slowest clock differ from real time by this much: 4.5 %, a hundred times as
/// much as hardware. So no clock runs a tenth faster than another, which is the limit for leases.
pub(crate) const DRIFT_PPM: u64 = 45_000;

/// A server's clock: its own origin, its own rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Micros,
    /// Ticks per real second, a million of them being exact.
    rate: u64,
}

impl Clock {
    pub(crate) fn exact() -> Self {
        Self {
            origin: 0,
            rate: 1_000_000,
        }
    }

    pub(crate) fn drifting(rng: &mut SmallRng) -> Self {
        Self {
            origin: rng.random_range(0..3_600_000 * MS),
            rate: rng.random_range(1_000_000 - DRIFT_PPM..=1_000_000 + DRIFT_PPM),
        }
    }

    pub(crate) fn read(&self, real: Micros) -> Instant {
        Instant::since_origin(Duration::from_nanos(
            self.origin * 1_000 + real * self.rate / 1_000,
        ))
    }

    /// Returns the first moment at which the clock shows `local`, or more; the beginning if it has
    /// shown that always.
    pub(crate) fn when(&self, local: Instant) -> Micros {
        let nanos = u64::try_from(local.elapsed_since_origin().as_nanos()).unwrap_or(u64::MAX);
        let since_origin = nanos.saturating_sub(self.origin * 1_000);
        (u128::from(since_origin) * 1_000)
            .div_ceil(u128::from(self.rate))
            .try_into()
            .unwrap_or(u64::MAX)
    }
}

/// Returns whole microseconds, rounded up.
pub(crate) fn micros(duration: Duration) -> Micros {
    duration.as_nanos().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

#[test]
fn a_wake_up_is_never_early() {
    use rand::SeedableRng;

    let mut rng = SmallRng::seed_from_u64(1);
    for _ in 0..10_000 {
        let clock = Clock::drifting(&mut rng);
        let real = rng.random_range(0..10_000_000_000);
        let local = clock.read(real) + Duration::from_nanos(rng.random_range(0..10_000_000_000));
        let woken = clock.when(local);
        assert!(clock.read(woken) >= local, "{clock:?} {local:?}");
        assert!(woken == 0 || clock.read(woken - 1) < local, "{clock:?} {local:?}");
    }
}
