use core::ops::RangeInclusive;
use core::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

/// What goes wrong with messages on their way. The default is nothing.
///
/// Reordering has no field of its own: it is what a range of delays does to messages sent close together.
///
/// Hints about links are delayed like messages but never lost, doubled or reordered: they come from the
/// server's own side.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// How likely a message is to be lost: from 0, the default, to 1. Values beyond count as the nearer end.
    ///
    /// A few per cent show whether lost messages are made up for; at one half almost every exchange of two
    /// messages fails, and servers take each other for dead.
    pub drop: f64,

    /// How likely a message that is not lost is to arrive twice: from 0, the default, to 1. Values beyond count
    /// as the nearer end. The copy has a delay of its own.
    pub duplicate: f64,

    /// How long messages are under way, evenly spread over the range. Default none.
    ///
    /// Choose half of a round trip for the start, and an end above the election's heartbeat interval to have
    /// messages overtake each other; an end above its timeout makes it doubt live servers. Whole milliseconds:
    /// tokio's timer rounds up to them. A range whose end is before its start counts as its start alone.
    pub delay: RangeInclusive<Duration>,
}

impl Faults {
    /// Every message arrives, once and at once.
    pub const NONE: Self = Self {
        drop: 0.0,
        duplicate: 0.0,
        delay: Duration::ZERO..=Duration::ZERO,
    };

    /// The delays of the copies of one message that arrive, none if it is lost.
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
