//! The commands of one batch, in the order in which the batch handles them.

use std::collections::HashSet;
use std::sync::Arc;

use super::SourceId;
use super::job::{Job, Notes, Reply, Task};

/// The commands of a batch: first those for the transaction, then the reads at the moment of its
/// commit.
pub(super) struct BatchCommands {
    pub(super) sources: Vec<SourceId>,
    pub(super) notes: Vec<Notes>,
    pub(super) tasks: Vec<Arc<Task>>,
    pub(super) replies: Vec<Reply>,
    /// Number of the commands for the transaction.
    pub(super) writes: usize,
}

impl BatchCommands {
    /// Puts the reads behind the writes. A read stays among the writes if a write of the same
    /// source comes after it.
    pub(super) fn sort(jobs: Vec<Job>) -> Self {
        let mut writers = HashSet::new();
        let mut reads = Vec::new();
        let mut writes = Vec::new();
        for job in jobs.into_iter().rev() {
            if job.task.only_reads() && !writers.contains(&job.source) {
                reads.push(job);
            } else {
                writers.insert(job.source);
                writes.push(job);
            }
        }
        let mut sorted = Self {
            sources: Vec::new(),
            notes: Vec::new(),
            tasks: Vec::new(),
            replies: Vec::new(),
            writes: writes.len(),
        };
        for job in writes.into_iter().rev().chain(reads.into_iter().rev()) {
            let (source, notes, task, reply) = job.into_parts();
            sorted.sources.push(source);
            sorted.notes.push(notes);
            sorted.tasks.push(task);
            sorted.replies.push(reply);
        }
        sorted
    }
}
