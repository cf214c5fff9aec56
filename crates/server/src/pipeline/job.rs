//! A command on its way through the pipeline, and the counts of all outcomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bellwether_protocol::{CommandCounts, CommandId, ErrorFrame, Outcome, OutcomeResult};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::statements::FailedStatements;
use super::{Answer, SourceId, refusal};
use crate::command::{Kind, Operation, ParsedCommand};
use crate::subject::SubjectHash;

/// A waiting command, or a waiting question for an outcome, with the channel for its answer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) source: SourceId,
    pub(super) task: Arc<Task>,
    pub(super) notes: Notes,
    reply: Reply,
}

/// Facts about a job that the pipeline has learned while the job waited or was tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Notes {
    /// `true` if the command needs a batch without others.
    pub(super) apart: bool,
    /// For a question: if the command waited in the queue when the executor took the question.
    pub(super) waits: Waits,
    /// Number of moments at which MongoDB could not read.
    pub(super) lost_moments: u32,
}

/// A command that a client asks about, as the queue has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Waits {
    #[default]
    No,
    /// The command waits, and the client may know that.
    Yes,
    /// The command waits, and it is of another subject.
    OfAnother,
}

/// A command to execute, or a question to answer.
#[derive(Debug)]
pub(super) struct Task {
    /// The command's id.
    pub(super) id: CommandId,
    pub(super) work: Work,
    pub(super) deadline: Instant,
    pub(super) submitted: Instant,
    /// Failed statements of a command with `ordered: false`.
    pub(super) failed: FailedStatements,
    conflict: AtomicBool,
}

/// The work of a task.
#[derive(Debug)]
pub(super) enum Work {
    /// Execute a command.
    Execute(ParsedCommand),
    /// Find the outcome of the command with this id, for this subject.
    FindOutcome(Option<SubjectHash>),
}

/// The answer to a question: the outcome of the command, or the reason why there is no answer.
pub(super) type OutcomeAnswer = Result<OutcomeResult, ErrorFrame>;

/// The channel for an answer.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(oneshot::Sender<Answer>),
    OutcomeResult(oneshot::Sender<OutcomeAnswer>),
}

impl Job {
    /// Returns a job that executes a command, and the receiver of the answer.
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

    /// Returns a job that finds the outcome of a command, and the receiver of the answer.
    pub(super) fn find_outcome(
        source: SourceId,
        id: CommandId,
        deadline: Instant,
        subject: Option<SubjectHash>,
    ) -> (Self, oneshot::Receiver<OutcomeAnswer>) {
        let (sender, receiver) = oneshot::channel();
        let task = Task::new(id, Work::FindOutcome(subject), deadline);
        let reply = Reply::OutcomeResult(sender);
        (
            Self::from_parts(source, Notes::default(), Arc::new(task), reply),
            receiver,
        )
    }

    /// Returns the size of the command in bytes of BSON.
    pub(super) fn bytes(&self) -> usize {
        self.task.command().map_or(0, ParsedCommand::bytes)
    }

    /// Returns the memory that the job takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.task.command().map_or(0, ParsedCommand::memory)
    }

    /// Returns `true` if no other command may be in its batch, not even a command of its source,
    /// which would share the conflicts.
    pub(super) fn is_alone(&self) -> bool {
        self.notes.apart || self.task.is_alone()
    }

    /// Returns `true` if no client waits for the answer any more.
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

    /// Answers a job that was never begun.
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

    /// Returns the answer if the deadline passes while the command waits.
    pub(super) fn overdue(&self) -> ErrorFrame {
        refusal::overdue_after(self.conflict.load(Ordering::Relaxed), Outcome::NotExecuted)
    }

    /// Returns the subject that has sent the command or the question.
    pub(super) fn subject(&self) -> Option<&SubjectHash> {
        match &self.work {
            Work::Execute(command) => command.fingerprints().by(),
            Work::FindOutcome(subject) => subject.as_ref(),
        }
    }

    pub(super) fn command(&self) -> Option<&ParsedCommand> {
        match &self.work {
            Work::Execute(command) => Some(command),
            Work::FindOutcome(_) => None,
        }
    }

    /// Returns `true` if the other statements are executed after a statement has failed.
    pub(super) fn is_unordered(&self) -> bool {
        self.command().is_some_and(|command| {
            !command.is_list() && command.operations().iter().all(Operation::is_unordered)
        })
    }

    /// Returns `true` if the command needs a batch of its own. Such a command lists or changes
    /// collections or indexes, which MongoDB does not do in a transaction.
    pub(super) fn is_alone(&self) -> bool {
        self.command()
            .is_some_and(|command| command.kind() == Kind::Schema)
    }

    /// Returns `true` if it can be executed only as a read, and not in the transaction of a batch.
    pub(super) fn only_beside(&self) -> bool {
        self.only_reads()
            && self
                .command()
                .is_some_and(|command| !command.runs_in_transaction())
    }

    /// Returns `true` if it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        self.command().is_none_or(|command| command.kind() == Kind::Read)
    }
}

impl Reply {
    /// Waits until the client no longer waits for the answer. May be dropped at any time.
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
                    // The question was not answered, which says nothing about the command.
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
        // The client may be gone.
        let _ = sender.send(answer);
    }

    /// Answers a question.
    pub(super) fn tell(self, outcome_result: OutcomeResult) {
        if let Self::OutcomeResult(sender) = self {
            let _ = sender.send(Ok(outcome_result));
        }
    }
}

/// The numbers of commands, by outcome.
#[derive(Debug, Default)]
pub(super) struct Counts {
    executed: AtomicU64,
    replayed: AtomicU64,
    not_executed: AtomicU64,
    unknown: AtomicU64,
}

impl Counts {
    /// Counts a command that the queue did not take.
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
