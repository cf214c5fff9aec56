use core::ops::Add;
use core::time::Duration;

/// A moment on the caller's monotonic clock: the time since an origin that the caller chooses. The
/// clock should count the time during which the machine is suspended, because leases expire on
/// other machines meanwhile.
///
/// The elector compares moments from its caller and never reads a clock, so a test can drive it
/// through hours in microseconds. Moments of different servers are never compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// Returns the moment this long after the origin.
    pub const fn since_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Returns the time from the origin to this moment.
    pub const fn elapsed_since_origin(self) -> Duration {
        self.0
    }

    /// Returns the time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the largest moment.
    fn add(self, after: Duration) -> Instant {
        Self(self.0.saturating_add(after))
    }
}
