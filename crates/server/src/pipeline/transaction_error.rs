//! The ways in which one try at a batch fails.

use std::sync::Arc;

use bellwether_protocol::{ErrorFrame, MongoError, Outcome};
use mongodb::error::Error;

use super::execute::refused;
use super::failure::Failure;
use super::job::Task;
use super::merge::Slot;
use super::refusal;
use super::statements::FailedStatement;
use crate::command::ParsedCommand;
use crate::database::codes::TRANSACTION_TOO_LARGE_FOR_CACHE;

/// The reason why a try did not end with a commit.
#[derive(Debug)]
pub(super) enum TransactionError {
    /// Try again from the start.
    Again(String),
    /// The same, after another transaction that blocks this one has ended.
    Conflict {
        reason: String,
        /// The command whose statement met the conflict, if it is known.
        task: Option<usize>,
    },
    /// This command was refused: leave it out and try again with the others.
    Refused { task: usize, answer: ErrorFrame },
    /// A statement of this command was refused, which leaves its other statements to be executed.
    /// It is not known which statement it is if commands were merged.
    Statement {
        task: usize,
        failed: Option<FailedStatement>,
    },
    /// An id has a record already: look the ids up.
    Repeated,
    /// A merged reply did not tell the effect of each command: try again unmerged.
    Unsettled,
    /// A later epoch has been granted.
    Fenced,
    /// A deadline passed before the commit was sent.
    Overdue,
    /// It is not known which command is at fault, if any.
    Failed(Fault),
    /// The batch was abandoned: no client waits for it, and it must not commit.
    Abandoned,
}

impl From<Failure> for TransactionError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transient(reason) | Failure::Disconnected(reason) => Self::Again(reason),
            Failure::MomentGone(error) => Self::Again(error.message),
            Failure::Conflict(reason) => Self::Conflict { reason, task: None },
            Failure::OutOfTime => Self::Overdue,
            Failure::Refused(error) => Self::Failed(error.into()),
            Failure::TooLarge => Self::Failed(Fault::other("the stored replies are too large to read")),
            Failure::Broken(reason) => Self::Failed(Fault::other(reason)),
        }
    }
}

impl From<Error> for TransactionError {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// A failure that was not found to be the fault of one command.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) reason: String,
    /// MongoDB's error, if it was one.
    pub(super) error: Option<MongoError>,
}

impl Fault {
    pub(super) fn other(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            error: None,
        }
    }

    /// Returns the answer to the command that causes the fault when it runs alone.
    pub(super) fn into_frame(self) -> ErrorFrame {
        match self.error {
            Some(error) => refusal::mongo(error),
            None => refusal::internal(Outcome::NotExecuted, self.reason),
        }
    }
}

impl From<MongoError> for Fault {
    fn from(error: MongoError) -> Self {
        Self {
            reason: format!("{} ({})", error.message, error.code_name),
            error: Some(error),
        }
    }
}

/// Returns the error of a transaction in which this operation of a command failed.
pub(super) fn of_part(failure: Failure, slot: Slot<'_>, tasks: &[Arc<Task>]) -> TransactionError {
    // The cache holds everything that the transaction has written, not the writes of this operation
    // alone.
    if let Failure::Refused(error) = &failure
        && error.code == TRANSACTION_TOO_LARGE_FOR_CACHE
    {
        return failure.into();
    }
    if let Failure::Conflict(reason) = failure {
        let task = Some(slot.task);
        return TransactionError::Conflict { reason, task };
    }
    let is_list = tasks[slot.task].command().is_some_and(ParsedCommand::is_list);
    match refused(failure, is_list.then_some(slot.index)) {
        Ok(answer) => TransactionError::Refused {
            task: slot.task,
            answer,
        },
        Err(failure) => failure.into(),
    }
}
