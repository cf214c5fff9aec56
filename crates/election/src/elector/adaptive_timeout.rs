//! The time limit for a silent coordinator.

use core::time::Duration;

use crate::{Config, Detection};

/// Smallest number of gaps that says something about a network.
const ENOUGH: u8 = 8;

/// The coordinator's rhythm as this server observes it: mean and mean deviation of the gaps between
/// its answers. Both are moving averages with the weights of RFC 6298 (section 2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct AdaptiveTimeout {
    gaps: u8,
    mean: Duration,
    deviation: Duration,
}

impl AdaptiveTimeout {
    pub(super) fn observe(&mut self, gap: Duration) {
        if self.gaps == 0 {
            (self.mean, self.deviation) = (gap, gap / 2);
        } else {
            self.deviation = (self.deviation * 3 + self.mean.abs_diff(gap)) / 4;
            self.mean = (self.mean * 7 + gap) / 8;
        }
        self.gaps = self.gaps.saturating_add(1).min(ENOUGH);
    }

    /// Begins again, because the coordinator or the network is another.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn limit(&self, config: &Config) -> Duration {
        match config.detection {
            Detection::Adaptive { floor } if self.gaps >= ENOUGH => {
                (self.mean + self.deviation * 4).clamp(floor, config.timeout)
            }
            _ => config.timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adaptive() -> Config {
        Config {
            detection: Detection::Adaptive {
                floor: Duration::from_millis(200),
            },
            ..Config::default()
        }
    }

    #[test]
    fn a_steady_coordinator_is_suspected_at_the_floor_and_an_unsteady_one_at_the_timeout() {
        let mut adaptive_timeout = AdaptiveTimeout::default();
        assert_eq!(
            adaptive_timeout.limit(&adaptive()),
            Config::default().timeout,
            "nothing is known yet"
        );
        for _ in 0..50 {
            adaptive_timeout.observe(Duration::from_millis(100));
        }
        assert_eq!(adaptive_timeout.limit(&adaptive()), Duration::from_millis(200));
        for gap in [20, 400].repeat(20) {
            adaptive_timeout.observe(Duration::from_millis(gap));
        }
        assert_eq!(adaptive_timeout.limit(&adaptive()), Config::default().timeout);
        assert_eq!(
            adaptive_timeout.limit(&Config::default()),
            Config::default().timeout
        );
    }

    #[test]
    fn a_little_jitter_is_allowed_for() {
        let mut adaptive_timeout = AdaptiveTimeout::default();
        for gap in [80, 120].repeat(20) {
            adaptive_timeout.observe(Duration::from_millis(gap));
        }
        let limit = adaptive_timeout.limit(&adaptive());
        assert!(
            limit >= Duration::from_millis(200) && limit < Duration::from_millis(260),
            "{limit:?}"
        );
    }
}
