//! The state that the parts of the pipeline have in common.

use std::sync::Arc;

use bellwether_protocol::ErrorCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::job::{Counts, Job};
use super::progress::Progress;
use super::queue::Queue;
use super::readers::Readers;
use super::suspects::Suspects;
use super::{Answer, Settings, refusal};
use crate::command::ParsedCommand;
use crate::database::{Database, Fence};

/// State that the handles of the pipeline, its executor and its readers have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) database: Database,
    pub(super) fence: Fence,
    pub(super) settings: Settings,
    pub(super) queue: Queue,
    pub(super) readers: Readers,
    pub(super) counts: Counts,
    pub(super) progress: Progress,
    pub(super) suspects: Arc<Suspects>,
    pub(super) fenced: watch::Sender<Option<u64>>,
}

impl Shared {
    /// Puts commands back before all others. If the queue has been closed meanwhile, answers them.
    pub(super) fn put_back(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        if let Err(closed) = self.queue.put_back(jobs) {
            for job in closed {
                job.answer(Err(refusal::draining()), &self.counts);
            }
        }
    }

    /// Records that MongoDB does not end the work on these commands. If MongoDB has no primary,
    /// they are not at fault, and this records nothing. Returns `true` if the commands are at
    /// fault.
    pub(super) fn blame(&self, commands: &[&ParsedCommand]) -> bool {
        let are_at_fault = self.database.health().borrow().available;
        if are_at_fault {
            self.suspects.abandoned(commands, Instant::now());
        }
        are_at_fault
    }

    /// Notes that MongoDB has executed a command, or refused it.
    pub(super) fn note(&self, answer: &Answer) {
        let worked = match answer {
            Ok(_) => true,
            Err(error) => error.code == ErrorCode::Mongo,
        };
        if worked {
            self.progress.executed(Instant::now());
        }
    }

    /// Answers the waiting commands whose deadline has passed.
    pub(super) fn answer_overdue(&self) {
        for job in self.queue.take_overdue(Instant::now()) {
            let overdue = Err(job.task.overdue());
            job.answer(overdue, &self.counts);
        }
    }
}
