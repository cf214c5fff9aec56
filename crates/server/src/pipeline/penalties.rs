//! Sources whose commands made batches fail: for a while they have batches of their own.

use core::time::Duration;
use std::collections::HashMap;

use tokio::time::Instant;

use super::SourceId;

/// Tries that a source may cost others before it has batches of its own. A group, such as an
/// address, may cost [`GROUP_FACTOR`] times as many.
const TOLERATED: f64 = 16.0;
const GROUP_FACTOR: f64 = 8.0;
/// Time after which half of a score is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(2);
/// Number of entries at which those that no longer count are removed.
const ENOUGH: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Penalties {
    sources: HashMap<SourceId, Score>,
    groups: HashMap<u64, Score>,
}

#[derive(Clone, Copy, Debug)]
struct Score {
    tries: f64,
    at: Instant,
}

impl Score {
    fn now(self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at);
        self.tries * 0.5_f64.powf(age.div_duration_f64(HALF_LIFE))
    }
}

impl Penalties {
    /// Records that a command of this source made this number of tries of others fail.
    pub(super) fn add(&mut self, source: SourceId, tries: u32, now: Instant) {
        let counts = |score: &Score| score.now(now) >= 1.0;
        if self.sources.len() >= ENOUGH {
            self.sources.retain(|_, score| counts(score));
        }
        if self.groups.len() >= ENOUGH {
            self.groups.retain(|_, score| counts(score));
        }
        let tries = f64::from(tries);
        let add = |score: Option<&Score>| Score {
            tries: tries + score.map_or(0.0, |score| score.now(now)),
            at: now,
        };
        self.sources.insert(source, add(self.sources.get(&source)));
        let group = source.group();
        self.groups.insert(group, add(self.groups.get(&group)));
    }

    /// Returns `true` if the commands of this source must not be in a batch with those of others.
    pub(super) fn is_apart(&self, source: SourceId, now: Instant) -> bool {
        let exceeds = |score: Option<&Score>, most: f64| score.is_some_and(|score| score.now(now) > most);
        exceeds(self.sources.get(&source), TOLERATED)
            || exceeds(self.groups.get(&source.group()), TOLERATED * GROUP_FACTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_costs_others_much_is_set_apart_for_a_while() {
        let (mut penalties, now) = (Penalties::default(), Instant::now());
        let (bad, good) = (SourceId::in_group(1), SourceId::in_group(1));
        penalties.add(bad, 16, now);
        assert!(!penalties.is_apart(bad, now));
        penalties.add(bad, 1, now);
        assert!(penalties.is_apart(bad, now) && !penalties.is_apart(good, now));
        assert!(!penalties.is_apart(bad, now + HALF_LIFE));
    }

    #[test]
    fn a_group_that_changes_its_sources_is_set_apart() {
        let (mut penalties, now) = (Penalties::default(), Instant::now());
        for _ in 0..13 {
            penalties.add(SourceId::in_group(1), 10, now);
        }
        assert!(penalties.is_apart(SourceId::in_group(1), now));
        assert!(!penalties.is_apart(SourceId::in_group(2), now));
    }

    #[test]
    fn what_is_forgotten_takes_no_memory() {
        let (mut penalties, mut now) = (Penalties::default(), Instant::now());
        for _ in 0..10 * ENOUGH {
            penalties.add(SourceId::new(), 1, now);
            now += HALF_LIFE / 100;
        }
        assert!(penalties.sources.len() <= ENOUGH && penalties.groups.len() <= ENOUGH);
    }
}
