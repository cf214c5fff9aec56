//! The messages between servers, their faults, and the transport's reports of links.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::SmallRng;

use crate::clock::{MS, Micros};

/// The transport's reports of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hints {
    /// Nothing, as over UDP.
    None,
    /// The true state, a moment late.
    Honest,
    /// Also, now and then, a wrong state; the transport corrects it after a while.
    Lying,
}

/// The faults of every message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) loss: f64,
    pub(crate) double: f64,
    /// Each message takes its own time up to this, so they also overtake each other.
    pub(crate) longest: Micros,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            loss: 0.0,
            double: 0.0,
            longest: MS,
        }
    }

    pub(crate) fn some(rng: &mut SmallRng) -> Self {
        Self {
            loss: [0.0, 0.05, 0.2][rng.random_range(0..3)],
            double: [0.0, 0.05, 0.3][rng.random_range(0..3)],
            longest: [1, 10, 80, 600][rng.random_range(0..4)] * MS,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Network {
    hints: Hints,
    faults: Faults,
    /// From the first to the second nothing arrives. One way: the other way is another pair.
    cut: BTreeSet<(usize, usize)>,
    /// From the first to the second, this share of the messages is lost in addition.
    lossy: BTreeMap<(usize, usize), f64>,
    /// Number of hints that the transport should give to the first about the second. Only the last
    /// still counts.
    hinted: BTreeMap<(usize, usize), u64>,
}

impl Network {
    pub(crate) fn new(hints: Hints) -> Self {
        Self {
            hints,
            faults: Faults::none(),
            cut: BTreeSet::new(),
            lossy: BTreeMap::new(),
            hinted: BTreeMap::new(),
        }
    }

    pub(crate) fn hints(&self) -> Hints {
        self.hints
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    pub(crate) fn make_lossy(&mut self, from: usize, to: usize, loss: f64) {
        self.lossy.insert((from, to), loss);
    }

    pub(crate) fn mend(&mut self) {
        self.cut.clear();
        self.lossy.clear();
    }

    /// Returns `true` if a connection can be made: packets get through both ways.
    pub(crate) fn connects(&self, a: usize, b: usize) -> bool {
        !self.cut.contains(&(a, b)) && !self.cut.contains(&(b, a))
    }

    /// Returns the time in transit of each copy of a message that does arrive.
    pub(crate) fn deliveries(
        &self,
        from: usize,
        to: usize,
        rng: &mut SmallRng,
    ) -> impl Iterator<Item = Micros> + use<> {
        let lost = self.lossy.get(&(from, to)).copied().unwrap_or(0.0);
        let arrives =
            !self.cut.contains(&(from, to)) && !rng.random_bool(self.faults.loss) && !rng.random_bool(lost);
        let copies = match (arrives, rng.random_bool(self.faults.double)) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        let delays = [(); 2].map(|()| rng.random_range(50..=self.faults.longest.max(51)));
        delays.into_iter().take(copies)
    }

    /// Notes a new hint in transit, which replaces any earlier one that has not arrived. Returns
    /// its number.
    pub(crate) fn next_hint(&mut self, of: usize, about: usize) -> u64 {
        let hinted = self.hinted.entry((of, about)).or_default();
        *hinted += 1;
        *hinted
    }

    pub(crate) fn is_last_hint(&self, of: usize, about: usize, hint: u64) -> bool {
        self.hinted.get(&(of, about)) == Some(&hint)
    }
}
