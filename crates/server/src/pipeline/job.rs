//! A command on its way through the pipeline, and the count of what became of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bellwether_protocol::{CommandCounts, CommandId, ErrorFrame, Outcome, OutcomeResult};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::statements::FailedStatements;
use super::{Answer, SourceId, refusal};
use crate::command::{Kind, Operation, ParsedCommand};

/// A command or a question that waits, and who waits for its answer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) source: SourceId,
    pub(super) task: Arc<Task>,
    pub(super) notes: Notes,
    reply: Reply,
}

/// What was found out about a job while it waited or was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes {
    /// Whether the command needs a batch without others.
    pub(super) apart: bool,
    /// Of a question: whether the command waited in the queue when its outcome was asked.
    pub(super) waits: bool,
    /// The number of moments at which MongoDB could not read.
    pub(super) lost_moments: u32,
}

/// Something to do.
#[derive(Debug)]
pub(super) struct Task {
    /// The command's id.
    pub(super) id: CommandId,
    pub(super) work: Work,
    pub(super) deadline: Instant,
    pub(super) submitted: Instant,
    /// Of a command with `ordered: false`.
    pub(super) failed: FailedStatements,
    conflict: AtomicBool,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Work {
    /// Execute a command.
    Execute(ParsedCommand),
    /// Say what became of the command with this id.
    FindOutcome,
}

/// What a question gets: what became of the command, or why that cannot be said.
pub(super) type OutcomeAnswer = Result<OutcomeResult, ErrorFrame>;

/// Where an answer goes.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(oneshot::Sender<Answer>),
    OutcomeResult(oneshot::Sender<OutcomeAnswer>),
}

impl Job {
    /// A command to execute.
    pub(super) fn execute(
        source: SourceId,
        id: CommandId,
        command: ParsedCommand,
        deadline: Instant,
    ) -> (Self, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let task = Task::new(id, Work::Execute(command), deadline);
        let reply = Reply::Answer(sender);
        (
            Self::from_parts(source, Notes::default(), Arc::new(task), reply),
            receiver,
        )
    }

    /// A question about a command.
    pub(super) fn find_outcome(
        source: SourceId,
        id: CommandId,
        deadline: Instant,
    ) -> (Self, oneshot::Receiver<OutcomeAnswer>) {
        let (sender, receiver) = oneshot::channel();
        let task = Task::new(id, Work::FindOutcome, deadline);
        let reply = Reply::OutcomeResult(sender);
        (
            Self::from_parts(source, Notes::default(), Arc::new(task), reply),
            receiver,
        )
    }

    /// The size of the command in bytes of BSON.
    pub(super) fn bytes(&self) -> usize {
        self.task.command().map_or(0, ParsedCommand::bytes)
    }

    /// How much memory it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.task.command().map_or(0, ParsedCommand::memory)
    }

    /// Returns `true` if no other command may be in its batch, not even one of its source: it would
    /// share the conflicts.
    pub(super) fn is_alone(&self) -> bool {
        self.notes.apart || self.task.is_alone()
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.reply {
            Reply::Answer(sender) => sender.is_closed(),
            Reply::OutcomeResult(sender) => sender.is_closed(),
        }
    }

    pub(super) fn from_parts(source: SourceId, notes: Notes, task: Arc<Task>, reply: Reply) -> Self {
        Self {
            source,
            task,
            notes,
            reply,
        }
    }

    pub(super) fn into_parts(self) -> (SourceId, Notes, Arc<Task>, Reply) {
        (self.source, self.notes, self.task, self.reply)
    }

    /// Answers what was never begun.
    pub(super) fn answer(self, answer: Answer, counts: &Counts) {
        self.reply.answer(&self.task, None, answer, counts);
    }
}

impl Task {
    fn new(id: CommandId, work: Work, deadline: Instant) -> Self {
        Self {
            id,
            work,
            deadline,
            submitted: Instant::now(),
            failed: FailedStatements::default(),
            conflict: AtomicBool::new(false),
        }
    }

    /// Records that the command waits because it met a write conflict.
    pub(super) fn set_conflict(&self) {
        self.conflict.store(true, Ordering::Relaxed);
    }

    /// The answer if its deadline passes while it waits.
    pub(super) fn overdue(&self) -> ErrorFrame {
        let overdue = refusal::overdue(Outcome::NotExecuted);
        if self.conflict.load(Ordering::Relaxed) {
            refusal::of_conflicts(overdue)
        } else {
            overdue
        }
    }

    pub(super) fn command(&self) -> Option<&ParsedCommand> {
        match &self.work {
            Work::Execute(command) => Some(command),
            Work::FindOutcome => None,
        }
    }

    /// Returns `true` if a statement that fails leaves the others to be executed.
    pub(super) fn is_unordered(&self) -> bool {
        self.command().is_some_and(|command| {
            !command.is_list() && command.operations().iter().all(Operation::is_unordered)
        })
    }

    /// Whether it takes a batch of its own: MongoDB does not execute it in a transaction, and it
    /// may not only read.
    pub(super) fn is_alone(&self) -> bool {
        self.command()
            .is_some_and(|command| command.kind() == Kind::Schema)
    }

    /// Whether it can be executed as a read only, not in the transaction of a batch.
    pub(super) fn only_beside(&self) -> bool {
        self.only_reads()
            && self
                .command()
                .is_some_and(|command| !command.runs_in_transaction())
    }

    /// Whether it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        self.command().is_none_or(|command| command.kind() == Kind::Read)
    }
}

impl Reply {
    /// Waits until the client does not wait for the answer any more. May be dropped at any time.
    pub(super) async fn abandoned(&mut self) {
        match self {
            Self::Answer(sender) => sender.closed().await,
            Self::OutcomeResult(sender) => sender.closed().await,
        }
    }

    /// Sends the answer to a command, or the error to a question.
    pub(super) fn answer(self, task: &Task, epoch: Option<u64>, answer: Answer, counts: &Counts) {
        let answer = answer.map_err(|frame| frame.for_command(task.id));
        let sender = match self {
            Self::Answer(sender) => sender,
            Self::OutcomeResult(sender) => {
                if let Err(mut frame) = answer {
                    // The question was not answered; that says nothing of the command.
                    frame.outcome = Outcome::Unknown;
                    let _ = sender.send(Err(frame));
                }
                return;
            }
        };
        counts.count(&answer);
        let (outcome, code) = match &answer {
            Ok(result) if result.replayed => ("replayed", None),
            Ok(_) => (Outcome::Executed.as_str(), None),
            Err(frame) => (frame.outcome.as_str(), Some(frame.code.as_str())),
        };
        tracing::debug!(
            id = %task.id,
            command = task.command().map(ParsedCommand::name),
            collection = task.command().map(ParsedCommand::collection),
            epoch,
            elapsed = ?task.submitted.elapsed(),
            outcome,
            code,
            "command answered"
        );
        // Nobody may be waiting any more.
        let _ = sender.send(answer);
    }

    /// Answers a question.
    pub(super) fn tell(self, outcome_result: OutcomeResult) {
        if let Self::OutcomeResult(sender) = self {
            let _ = sender.send(Ok(outcome_result));
        }
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
            batch_ms: None,
        }
    }
}
