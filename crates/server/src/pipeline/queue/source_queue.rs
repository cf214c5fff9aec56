//! The waiting commands of one source.

use core::ops::Bound;
use std::collections::BTreeMap;

use super::room::Room;
use crate::pipeline::job::Job;

/// The position of a command in the order. It grows with arrival, and is negative for a command
/// that was put back.
pub(super) type Sequence = i64;

/// Commands in their order, with the room that they take.
#[derive(Debug, Default)]
pub(super) struct SourceQueue {
    jobs: BTreeMap<Sequence, Job>,
    room: Room,
}

impl SourceQueue {
    pub(super) fn first(&self) -> Option<(Sequence, &Job)> {
        self.jobs
            .first_key_value()
            .map(|(sequence, job)| (*sequence, job))
    }

    /// Returns the next sequence after this one.
    pub(super) fn after(&self, sequence: Sequence) -> Option<Sequence> {
        let behind = (Bound::Excluded(sequence), Bound::Unbounded);
        self.jobs.range(behind).next().map(|(sequence, _)| *sequence)
    }

    pub(super) fn get(&self, sequence: Sequence) -> Option<&Job> {
        self.jobs.get(&sequence)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    pub(super) fn into_jobs(self) -> impl Iterator<Item = Job> {
        self.jobs.into_values()
    }

    pub(super) fn insert(&mut self, sequence: Sequence, job: Job) {
        self.room += Room::of(&job);
        self.jobs.insert(sequence, job);
    }

    pub(super) fn remove(&mut self, sequence: Sequence) -> Option<Job> {
        let job = self.jobs.remove(&sequence)?;
        self.room -= Room::of(&job);
        Some(job)
    }

    /// Returns the room that the commands take.
    pub(super) fn room(&self) -> Room {
        self.room
    }
}
