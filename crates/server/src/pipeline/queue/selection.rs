//! The choice of the commands of the next batch.

use std::collections::HashSet;

use bellwether_protocol::CommandId;

use crate::pipeline::job::Job;
use crate::pipeline::source::SourceId;

/// The commands of the next batch, as far as they are chosen.
pub(super) struct Selection {
    pub(super) jobs: Vec<Job>,
    pub(super) ids: HashSet<CommandId>,
    /// Sources whose last command here cannot be in a transaction. A write after it would put it
    /// into one.
    pub(super) ended: HashSet<SourceId>,
    /// Sources that have a command that must wait. None of their later commands may go before it.
    pub(super) held: HashSet<SourceId>,
    /// `true` if its only command takes a batch of its own.
    pub(super) alone: bool,
    /// The only source that this batch is for, if it has batches of its own.
    pub(super) apart: Option<SourceId>,
    pub(super) bytes: usize,
    pub(super) max_jobs: usize,
    pub(super) max_bytes: usize,
}

impl Selection {
    pub(super) fn must_wait(&self, job: &Job) -> bool {
        self.ids.contains(&job.task.id) || self.ended.contains(&job.source) || self.held.contains(&job.source)
    }

    /// Returns `true` if commands of this source must not be in one batch with those that are
    /// chosen.
    pub(super) fn excludes(&self, source: SourceId, apart: bool, apart_may_begin: bool) -> bool {
        match self.apart {
            Some(only) => only != source,
            None if self.jobs.is_empty() => apart && !apart_may_begin,
            None => apart,
        }
    }

    pub(super) fn has_room_for(&self, job: &Job) -> bool {
        let together = !self.alone && !job.is_alone();
        let fits = self.jobs.len() < self.max_jobs && self.bytes + job.bytes() <= self.max_bytes;
        together && fits || self.jobs.is_empty()
    }

    pub(super) fn extend(&mut self, job: Option<Job>, apart: bool) {
        if let Some(job) = &job {
            if self.jobs.is_empty() {
                self.apart = apart.then_some(job.source);
            }
            self.bytes += job.bytes();
            self.ids.insert(job.task.id);
            self.alone = job.is_alone();
            if job.task.only_beside() {
                self.ended.insert(job.source);
            }
        }
        self.jobs.extend(job);
    }
}
