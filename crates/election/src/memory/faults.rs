use core::ops::RangeInclusive;
use core::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

/// Faults of messages on their way. The default is no fault.
///
/// Reordering has no field of its own: a range of delays reorders messages that are sent close
/// together.
///
/// Hints about links are delayed like messages, but never lost, repeated or reordered: they come
/// from the server's own side.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Probability that a message is lost: from 0, the default, to 1. A value outside counts as the
    /// nearer end.
    ///
    /// A few per cent show if the program recovers lost messages. At one half, almost every
    /// exchange of two messages fails, and servers assume that others have crashed.
    pub drop: f64,

    /// Probability that a message arrives twice, if it is not lost: from 0, the default, to 1. A
    /// value outside counts as the nearer end. The copy has a delay of its own.
    pub duplicate: f64,

    /// Delay of messages, evenly distributed over the range. Default none.
    ///
    /// Choose half of a round trip for the start. With an end above the election's heartbeat
    /// interval, messages overtake each other. With an end above its timeout, servers suspect live
    /// servers. Use whole milliseconds, because tokio's timer rounds up to them. A range whose end
    /// is before its start counts as its start alone.
    pub delay: RangeInclusive<Duration>,
}

impl Faults {
    /// Every message arrives, once and at once.
    pub const NONE: Self = Self {
        drop: 0.0,
        duplicate: 0.0,
        delay: Duration::ZERO..=Duration::ZERO,
    };

    /// Returns the delays of the copies of one message that arrive, none if the message is lost.
    pub(super) fn draw(&self, rng: &mut SmallRng) -> impl Iterator<Item = Duration> + use<> {
        let first = (rng.random::<f64>() >= self.drop).then(|| self.draw_delay(rng));
        let second = first.and_then(|_| (rng.random::<f64>() < self.duplicate).then(|| self.draw_delay(rng)));
        first.into_iter().chain(second)
    }

    pub(super) fn draw_delay(&self, rng: &mut SmallRng) -> Duration {
        let (start, end) = (*self.delay.start(), *self.delay.end());
        if end > start {
            rng.random_range(start..=end)
        } else {
            start
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::NONE
    }
}
