//! A command on its way through the pipeline, and the count of what became of all.

use std::sync::atomic::{AtomicU64, Ordering};

use bellwether_protocol::{CommandCounts, CommandId, Outcome};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Answer, SourceId};
use crate::command::ParsedCommand;

/// A command that waits, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) source: SourceId,
    pub(super) task: Task,
    reply: Reply,
}

/// A command to execute.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: CommandId,
    pub(super) command: ParsedCommand,
    pub(super) deadline: Instant,
    pub(super) submitted: Instant,
}

/// Where a command's answer goes.
#[derive(Debug)]
pub(super) struct Reply {
    sender: oneshot::Sender<Answer>,
}

impl Job {
    pub(super) fn new(
        source: SourceId,
        id: CommandId,
        command: ParsedCommand,
        deadline: Instant,
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let task = Task {
            id,
            command,
            deadline,
            submitted: Instant::now(),
        };
        let reply = Reply { sender };
        (Self { source, task, reply }, receiver)
    }

    /// The size of the command in bytes of BSON.
    pub(super) fn bytes(&self) -> usize {
        self.task.command.bytes()
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.sender.is_closed()
    }

    pub(super) fn into_parts(self) -> (Task, Reply) {
        (self.task, self.reply)
    }

    /// Answers a command that was never begun.
    pub(super) fn answer(self, answer: Answer, counts: &Counts) {
        self.reply.answer(&self.task, None, answer, counts);
    }
}

impl Reply {
    pub(super) fn answer(self, task: &Task, epoch: Option<u64>, answer: Answer, counts: &Counts) {
        let answer = answer.map_err(|frame| frame.for_command(task.id));
        counts.count(&answer);
        let (outcome, code) = match &answer {
            Ok(result) if result.replayed => ("replayed", None),
            Ok(_) => (Outcome::Executed.as_str(), None),
            Err(frame) => (frame.outcome.as_str(), Some(frame.code.as_str())),
        };
        tracing::debug!(
            id = %task.id,
            command = %task.command.name(),
            collection = task.command.collection(),
            epoch,
            elapsed = ?task.submitted.elapsed(),
            outcome,
            code,
            "command answered"
        );
        // Nobody may be waiting any more.
        let _ = self.sender.send(answer);
    }
}

/// How many commands there were, by what became of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    executed: AtomicU64,
    replayed: AtomicU64,
    not_executed: AtomicU64,
    unknown: AtomicU64,
}

impl Counts {
    /// Counts a command that did not even get into the queue.
    pub(super) fn refused(&self) {
        self.not_executed.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, answer: &Answer) {
        let counter = match answer {
            Ok(result) if result.replayed => &self.replayed,
            Ok(_) => &self.executed,
            Err(frame) => match frame.outcome {
                Outcome::NotExecuted => &self.not_executed,
                Outcome::Unknown => &self.unknown,
                Outcome::Executed => &self.executed,
            },
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self, queued: usize) -> CommandCounts {
        CommandCounts {
            queued: u64::try_from(queued).unwrap_or(u64::MAX),
            executed: self.executed.load(Ordering::Relaxed),
            replayed: self.replayed.load(Ordering::Relaxed),
            not_executed: self.not_executed.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
        }
    }
}
