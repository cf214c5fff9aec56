//! The order of turns: groups take turns, and within a group its sources take turns.
//!
//! A group has one turn in a round, whether it has one source or a thousand. Each step costs time
//! that is logarithmic in the number of sources.

use std::collections::{BTreeMap, HashMap};

use crate::pipeline::source::SourceId;

/// A turn. A smaller one comes earlier.
type Turn = u64;

#[derive(Debug, Default)]
pub(super) struct Turns {
    groups: HashMap<u64, GroupTurns>,
    /// The groups that have a source which was not skipped, in their order.
    order: BTreeMap<Turn, u64>,
    /// The turn of each source within its group.
    sources: HashMap<SourceId, Turn>,
    /// The sources that wait for the next call of [`restore`](Self::restore).
    skipped: Vec<SourceId>,
    last: Turn,
}

#[derive(Debug)]
struct GroupTurns {
    turn: Turn,
    /// The sources that were not skipped.
    order: BTreeMap<Turn, SourceId>,
    /// Number of sources, with the skipped ones.
    sources: usize,
}

impl Turns {
    /// Puts a source behind the others of its group. A group without sources goes behind all other
    /// groups. The source must not have a turn yet.
    pub(super) fn join(&mut self, source: SourceId) {
        let turn = self.next_turn();
        let group = source.group();
        let (order, last) = (&mut self.order, &mut self.last);
        let turns = self.groups.entry(group).or_insert_with(|| {
            *last += 1;
            order.insert(*last, group);
            GroupTurns {
                turn: *last,
                order: BTreeMap::new(),
                sources: 0,
            }
        });
        turns.sources += 1;
        turns.order.insert(turn, source);
        self.sources.insert(source, turn);
        // The only other sources of the group may have been skipped.
        self.order.insert(turns.turn, group);
    }

    /// Takes the turn away from a source that has no more commands.
    pub(super) fn leave(&mut self, source: SourceId) {
        let Some(turn) = self.sources.remove(&source) else {
            return;
        };
        let Some(turns) = self.groups.get_mut(&source.group()) else {
            return;
        };
        turns.order.remove(&turn);
        turns.sources -= 1;
        if turns.order.is_empty() {
            self.order.remove(&turns.turn);
        }
        if turns.sources == 0 {
            self.groups.remove(&source.group());
        }
    }

    /// Returns the source whose turn it is.
    pub(super) fn next(&self) -> Option<SourceId> {
        let (_, group) = self.order.first_key_value()?;
        let (_, source) = self.groups.get(group)?.order.first_key_value()?;
        Some(*source)
    }

    /// Puts a source behind the others of its group, and its group behind all other groups.
    pub(super) fn pass(&mut self, source: SourceId) {
        let (for_source, for_group) = (self.next_turn(), self.next_turn());
        let group = source.group();
        let Some((turn, turns)) = self.sources.get_mut(&source).zip(self.groups.get_mut(&group)) else {
            return;
        };
        turns.order.remove(turn);
        turns.order.insert(for_source, source);
        *turn = for_source;
        self.order.remove(&turns.turn);
        self.order.insert(for_group, group);
        turns.turn = for_group;
    }

    /// Passes over a source, which keeps its turn for the time after the next call of
    /// [`restore`](Self::restore). Another source of its group may have the group's turn.
    pub(super) fn skip(&mut self, source: SourceId) {
        let Some((turn, turns)) = self
            .sources
            .get(&source)
            .zip(self.groups.get_mut(&source.group()))
        else {
            return;
        };
        if turns.order.remove(turn).is_some() {
            self.skipped.push(source);
        }
        if turns.order.is_empty() {
            self.order.remove(&turns.turn);
        }
    }

    /// Gives the skipped sources their turns back.
    pub(super) fn restore(&mut self) {
        for source in std::mem::take(&mut self.skipped) {
            let group = source.group();
            let Some((turn, turns)) = self.sources.get(&source).zip(self.groups.get_mut(&group)) else {
                continue;
            };
            turns.order.insert(*turn, source);
            self.order.insert(turns.turn, group);
        }
    }

    /// Returns the number of groups that have a turn.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Returns the number of sources of a group that have a turn.
    pub(super) fn sources_of(&self, group: u64) -> usize {
        self.groups.get(&group).map_or(0, |turns| turns.sources)
    }

    fn next_turn(&mut self) -> Turn {
        self.last += 1;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(turns: &mut Turns, count: usize) -> Vec<SourceId> {
        let take = |_| {
            let source = turns.next().expect("a source has a turn");
            turns.pass(source);
            source
        };
        (0..count).map(take).collect()
    }

    #[test]
    fn groups_take_turns_and_their_sources_take_turns_within_them() {
        let [a, b, c] = [
            SourceId::in_group(1),
            SourceId::in_group(1),
            SourceId::in_group(1),
        ];
        let other = SourceId::in_group(2);
        let mut turns = Turns::default();
        for source in [a, b, c, other] {
            turns.join(source);
        }
        assert_eq!((turns.groups(), turns.sources_of(1)), (2, 3));
        let expected = [a, other, b, other, c, other, a];
        assert_eq!(rounds(&mut turns, 7), expected);
        turns.leave(other);
        assert_eq!(rounds(&mut turns, 4), [b, c, a, b]);
    }

    #[test]
    fn a_skipped_source_keeps_its_turn_and_leaves_that_of_its_group_to_others() {
        let [a, b] = [SourceId::in_group(1), SourceId::in_group(1)];
        let other = SourceId::in_group(2);
        let mut turns = Turns::default();
        for source in [a, b, other] {
            turns.join(source);
        }
        turns.skip(a);
        assert_eq!(rounds(&mut turns, 2), [b, other]);
        turns.skip(b);
        assert_eq!(turns.next(), Some(other));
        turns.skip(other);
        assert_eq!(turns.next(), None);
        turns.restore();
        assert_eq!(rounds(&mut turns, 4), [a, other, b, other]);
    }

    #[test]
    fn sources_that_leave_remain_nowhere() {
        let sources: Vec<SourceId> = (0..6).map(|n| SourceId::in_group(n % 2)).collect();
        let mut turns = Turns::default();
        for source in &sources {
            turns.join(*source);
        }
        turns.skip(sources[0]);
        for source in &sources {
            turns.leave(*source);
        }
        turns.restore();
        assert_eq!((turns.next(), turns.groups()), (None, 0));
        assert!(turns.order.is_empty() && turns.sources.is_empty());
    }
}
