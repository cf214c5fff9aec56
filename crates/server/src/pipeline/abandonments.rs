//! Sources whose commands MongoDB did not end: they have batches of their own, and are refused
//! after a repetition. The new sources of a group are refused when its abandoned batches took a
//! minute together. Sources that were there before those batches are refused when batches of such
//! sources took a minute as well.
//!
//! The server also recognizes such a command by its fingerprint. A sender that changes each command
//! gets past that. Therefore the sender counts as well: the source, and its group.
//!
//! A statement that was merged from commands of several groups says less. It sets the groups apart,
//! so that a repetition shows which of them is at fault.
//!
//! The refusal is `overloaded`, which clients follow by a pause, and no final error. A sender may
//! have innocent commands, and a group, such as an address, may have innocent sources. Their
//! commands were not executed, and will be accepted later. The refusal is for commands that write.
//! A read that no write follows cannot hold up a batch, and has limits of its own.

use core::time::Duration;
use std::collections::{HashMap, HashSet, VecDeque};

use tokio::time::Instant;

use super::SourceId;

/// Time for which an abandoned batch counts. It is long because one batch may take half a minute
/// before it is abandoned. In a minute there would never be many.
const COUNTED_FOR: Duration = Duration::from_secs(600);
/// Number of abandoned batches after which a source is refused.
const MOST_BY_SOURCE: usize = 2;
/// Time that the abandoned batches of a group may take at once, and part of the time that they may
/// take on average. A group is not refused after a few batches, because it may have innocent
/// sources. A refusal is short for the same reason. It takes ten times as long as the batch that
/// the group had too many.
const MOST_TIME_OF_GROUP: Duration = Duration::from_secs(60);
const FORGOTTEN_PART: u32 = 10;
/// Shortest time that the server names to a refused sender.
const SHORTEST_REFUSAL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Abandonments {
    sources: HashMap<SourceId, Counted>,
    groups: HashMap<u64, GroupTime>,
    /// The groups of which one may be at fault.
    suspected: HashMap<u64, Suspicion>,
}

/// The suspicion against a group.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    since: Instant,
    /// `true` if there was an earlier one in the time for which suspicions count.
    again: bool,
    cleared: bool,
}

impl Suspicion {
    fn counts(self, now: Instant) -> bool {
        self.since + COUNTED_FOR > now
    }
}

/// The reason why no command of a source is accepted, and the time for which that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `true` if the batches count for the group together.
    pub(super) by_group: bool,
    pub(super) left: Duration,
}

/// The times of the latest abandoned batches, at most as many as lead to a refusal.
#[derive(Debug, Default)]
struct Counted(VecDeque<Instant>);

/// The time that abandoned batches of a group took.
#[derive(Debug)]
struct GroupTime {
    /// A source that was made at the first of these batches. An older one was there before.
    first: SourceId,
    by_all: TimeTaken,
    by_older: TimeTaken,
}

impl GroupTime {
    fn new(now: Instant) -> Self {
        let none = TimeTaken {
            total: Duration::ZERO,
            at: now,
        };
        Self {
            first: SourceId::new(),
            by_all: none,
            by_older: none,
        }
    }

    fn add(&mut self, sources: &[SourceId], took: Duration, now: Instant) {
        self.by_all.add(took, now);
        if sources.iter().all(|source| source.is_older_than(self.first)) {
            self.by_older.add(took, now);
        }
    }

    /// Returns the time for which this source is refused.
    fn refuses_for(&self, source: SourceId, now: Instant) -> Option<Duration> {
        if source.is_older_than(self.first) {
            self.by_older.exceeds_for(now)
        } else {
            self.by_all.exceeds_for(now)
        }
    }
}

/// A sum of times of which a part is forgotten as time goes by: a leaky bucket.
#[derive(Clone, Copy, Debug)]
struct TimeTaken {
    total: Duration,
    /// The moment for which the total holds.
    at: Instant,
}

impl TimeTaken {
    fn add(&mut self, took: Duration, now: Instant) {
        self.total = self.left(now).saturating_add(took);
        self.at = now;
    }

    fn left(&self, now: Instant) -> Duration {
        let forgotten = now.saturating_duration_since(self.at) / FORGOTTEN_PART;
        self.total.saturating_sub(forgotten)
    }

    /// Returns the time until the total is less than a group may take.
    fn exceeds_for(&self, now: Instant) -> Option<Duration> {
        let excess = self.left(now).checked_sub(MOST_TIME_OF_GROUP)?;
        Some(excess.saturating_mul(FORGOTTEN_PART).max(SHORTEST_REFUSAL))
    }
}

impl Counted {
    fn add(&mut self, most: usize, now: Instant) {
        if self.0.len() >= most {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }

    /// Returns `true` if any of the batches still counts.
    fn counts(&self, now: Instant) -> bool {
        self.0.back().is_some_and(|last| *last + COUNTED_FOR > now)
    }

    /// Returns the time until fewer than `most` batches count.
    fn exceeds_for(&self, most: usize, now: Instant) -> Option<Duration> {
        let first = self.0.front().filter(|_| self.0.len() >= most)?;
        let left = (*first + COUNTED_FOR).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

impl Abandonments {
    /// Records that MongoDB did not end a statement with commands of these sources. One source
    /// alone is at fault. If several sources are of one group, the group is at fault. Of several
    /// groups each one is suspected: its sources have batches of their own. If the same happens
    /// again, it is then known whose command it is. The batch has taken `took`.
    pub(super) fn add(&mut self, sources: &[SourceId], took: Duration, now: Instant) {
        self.sources.retain(|_, counted| counted.counts(now));
        self.groups.retain(|_, time| !time.by_all.left(now).is_zero());
        self.suspected.retain(|_, suspicion| suspicion.counts(now));
        let Some((first, others)) = sources.split_first() else {
            return;
        };
        let are_all = |same: fn(&SourceId, &SourceId) -> bool| others.iter().all(|other| same(other, first));
        if are_all(|one, other| one == other) {
            self.sources.entry(*first).or_default().add(MOST_BY_SOURCE, now);
        }
        if are_all(|one, other| one.group() == other.group()) {
            let group = self.groups.entry(first.group());
            let time = group.or_insert_with(|| GroupTime::new(now));
            return time.add(sources, took, now);
        }
        let groups: HashSet<u64> = sources.iter().map(|source| source.group()).collect();
        for group in groups {
            let again = self.suspected.contains_key(&group);
            let suspicion = Suspicion {
                since: now,
                again,
                cleared: false,
            };
            self.suspected.insert(group, suspicion);
        }
    }

    /// Records that MongoDB has ended the statements of a batch that this source had for itself.
    /// This clears the first suspicion against its group. A second one within the time is not
    /// cleared: a sender could clear itself by harmless commands again and again.
    pub(super) fn ended_apart(&mut self, source: SourceId) {
        if let Some(suspicion) = self.suspected.get_mut(&source.group()) {
            suspicion.cleared = !suspicion.again;
        }
    }

    /// Returns `true` if MongoDB did not end a command of this source a while ago.
    pub(super) fn is_at_fault(&self, source: SourceId, now: Instant) -> bool {
        let counted = self.sources.get(&source);
        counted.is_some_and(|counted| counted.counts(now))
    }

    /// Returns `true` if the commands of this source must not be in a batch with those of others.
    /// The source is at fault, or it is not known which group is. The other sources of a group at
    /// fault stay together: apart, a group of innocent sources would execute far less.
    pub(super) fn is_apart(&self, source: SourceId, now: Instant) -> bool {
        let suspicion = self.suspected.get(&source.group());
        self.is_at_fault(source, now)
            || suspicion.is_some_and(|suspicion| !suspicion.cleared && suspicion.counts(now))
    }

    /// Returns the reason why commands of this source that write are refused now, if they are.
    pub(super) fn refusal(&self, source: SourceId, now: Instant) -> Option<Refusal> {
        let by_source = self
            .sources
            .get(&source)
            .and_then(|counted| counted.exceeds_for(MOST_BY_SOURCE, now));
        if let Some(left) = by_source {
            return Some(Refusal {
                by_group: false,
                left,
            });
        }
        let group = self.groups.get(&source.group())?;
        let left = group.refuses_for(source, now)?;
        Some(Refusal { by_group: true, left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_source_is_set_apart_and_then_refused() {
        let (mut abandonments, now) = (Abandonments::default(), Instant::now());
        let (bad, good) = (SourceId::in_group(1), SourceId::in_group(1));
        abandonments.add(&[bad, bad], SECOND, now);
        assert!(abandonments.is_apart(bad, now) && !abandonments.is_apart(good, now));
        assert!(abandonments.is_at_fault(bad, now) && !abandonments.is_at_fault(good, now));
        assert_eq!(abandonments.refusal(bad, now), None);
        let second = now + 30 * SECOND;
        abandonments.add(&[bad], SECOND, second);
        let refusal = abandonments.refusal(bad, second).unwrap();
        assert_eq!(
            (refusal.by_group, refusal.left),
            (false, COUNTED_FOR - 30 * SECOND)
        );
        assert_eq!(abandonments.refusal(good, second), None);

        // Each batch counts for its own time.
        let later = now + COUNTED_FOR;
        assert_eq!(abandonments.refusal(bad, later), None);
        assert!(abandonments.is_apart(bad, later));
        abandonments.add(&[bad], SECOND, later);
        assert!(abandonments.refusal(bad, later).is_some());
        assert!(!abandonments.is_apart(bad, later + COUNTED_FOR));
    }

    #[test]
    fn the_new_sources_of_a_group_are_refused_after_a_minute() {
        let (mut abandonments, now) = (Abandonments::default(), Instant::now());
        let fresh = || SourceId::in_group(1);
        let older = fresh();
        for _ in 0..15 {
            assert_eq!(abandonments.refusal(fresh(), now), None);
            abandonments.add(&[fresh()], 4 * SECOND, now);
        }
        let refusal = abandonments.refusal(fresh(), now).unwrap();
        assert_eq!((refusal.by_group, refusal.left), (true, SHORTEST_REFUSAL));
        assert_eq!(abandonments.refusal(SourceId::in_group(2), now), None);
        assert_eq!(abandonments.refusal(older, now), None);

        // The group may take a tenth of the time from then on.
        let later = now + SECOND;
        assert_eq!(abandonments.refusal(fresh(), later), None);
        abandonments.add(&[fresh()], 4 * SECOND, later);
        let refusal = abandonments.refusal(fresh(), later).unwrap();
        assert_eq!(refusal.left, 39 * SECOND);
        assert_eq!(abandonments.refusal(fresh(), later + 40 * SECOND), None);
        assert_eq!(abandonments.refusal(older, later), None);
    }

    #[test]
    fn the_older_sources_of_a_group_are_refused_after_a_minute_of_their_own() {
        let (mut abandonments, now) = (Abandonments::default(), Instant::now());
        let older: Vec<_> = (0..16).map(|_| SourceId::in_group(1)).collect();
        let (innocent, bad) = older.split_first().unwrap();
        for source in bad {
            assert_eq!(abandonments.refusal(*innocent, now), None);
            abandonments.add(&[*source], 4 * SECOND, now);
        }
        assert!(abandonments.refusal(*innocent, now).unwrap().by_group);
        let new = SourceId::in_group(1);
        abandonments.add(&[new, *innocent], 4 * SECOND, now);
        assert_eq!(
            abandonments.refusal(*innocent, now).unwrap().left,
            SHORTEST_REFUSAL
        );
        assert_eq!(abandonments.refusal(new, now).unwrap().left, 40 * SECOND);
    }

    #[test]
    fn of_several_groups_none_is_at_fault_until_it_is_alone() {
        let (mut abandonments, now) = (Abandonments::default(), Instant::now());
        let (bad, good) = (SourceId::in_group(1), SourceId::in_group(2));
        abandonments.add(&[good, bad], SECOND, now);
        assert!(abandonments.is_apart(good, now) && abandonments.is_apart(bad, now));
        abandonments.ended_apart(good);
        assert!(!abandonments.is_apart(good, now));
        abandonments.ended_apart(bad);
        for _ in 0..9 {
            abandonments.add(&[good, bad], SECOND, now);
        }
        abandonments.ended_apart(good);
        abandonments.ended_apart(bad);
        assert!(abandonments.is_apart(good, now) && abandonments.is_apart(bad, now));
        assert!(abandonments.refusal(good, now).is_none() && abandonments.refusal(bad, now).is_none());
        for _ in 0..MOST_BY_SOURCE {
            abandonments.add(&[bad], SECOND, now);
        }
        assert!(abandonments.refusal(bad, now).is_some());
        assert!(!abandonments.is_apart(good, now + COUNTED_FOR));
    }

    #[test]
    fn several_sources_of_one_group_count_for_the_group() {
        let (mut abandonments, now) = (Abandonments::default(), Instant::now());
        for _ in 0..2 {
            let two = [SourceId::in_group(1), SourceId::in_group(1)];
            abandonments.add(&two, MOST_TIME_OF_GROUP / 2, now);
        }
        assert!(abandonments.refusal(SourceId::in_group(1), now).unwrap().by_group);
    }

    #[test]
    fn expired_entries_take_no_memory() {
        let (mut abandonments, mut now) = (Abandonments::default(), Instant::now());
        for _ in 0..1_000 {
            abandonments.add(&[SourceId::new()], SECOND, now);
            abandonments.add(&[SourceId::new(), SourceId::new()], SECOND, now);
            now += 3 * SECOND;
        }
        assert_eq!(abandonments.sources.len(), 200);
        assert_eq!(abandonments.groups.len(), 4);
        assert_eq!(abandonments.suspected.len(), 400);
    }
}
