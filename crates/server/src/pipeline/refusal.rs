//! The error frames for commands that got no reply: the problem, the outcome, and the next step.

use core::time::Duration;

use bellwether_protocol::{ErrorCode, ErrorFrame, MAX_RESULT_BYTES, MongoError, Outcome};

use super::MAX_STORED_REPLY;
use super::abandonments::Refusal;
use super::error_details::with_write_errors;
use super::suspects::Reason;
use crate::database::codes::{MAX_TIME_EXPIRED, NOT_IN_TRANSACTION, UNAUTHORIZED};

const TRY_NEXT: &str = "send it with the same id to the next server of the list";

pub(super) fn not_leading() -> ErrorFrame {
    refused(ErrorCode::NotCoordinator, "this server is not executing commands").with_hint(TRY_NEXT)
}

pub(super) fn draining() -> ErrorFrame {
    refused(ErrorCode::Draining, "this server is handing over").with_hint(TRY_NEXT)
}

pub(super) fn abandoned() -> ErrorFrame {
    refused(ErrorCode::Draining, "the client has closed its connection").with_hint(TRY_NEXT)
}

pub(super) fn overloaded(retry_after: Duration) -> ErrorFrame {
    let millis = retry_after.as_millis();
    refused_for("too many commands are waiting", retry_after)
        .with_hint(format!("send it again with the same id after {millis} ms"))
}

fn refused_for(message: impl Into<String>, retry_after: Duration) -> ErrorFrame {
    let mut frame = refused(ErrorCode::Overloaded, message);
    frame.retry_after_ms = u64::try_from(retry_after.as_millis()).ok();
    frame
}

/// Returns the error for a write of a source whose earlier commands MongoDB did not end.
pub(super) fn not_ended(refused: Refusal) -> ErrorFrame {
    let sender = if refused.by_group {
        "client's address"
    } else {
        "connection"
    };
    let seconds = refused.left.as_secs().max(1);
    let message = format!(
        "writes of this {sender} are refused for {seconds} s more: MongoDB could not interrupt several of its commands"
    );
    refused_for(message, refused.left).with_hint(
        "change the commands that compute long in one expression; send others again with the same id after that time",
    )
}

/// Returns the error for a command that MongoDB did not survive, or did not end.
pub(super) fn suspect(reason: Reason, left: Duration) -> ErrorFrame {
    let happened = match reason {
        Reason::Abandoned => "MongoDB went on with it long after its deadline and could not be interrupted",
        Reason::LostPrimaries => "MongoDB lost its primary twice while the command ran",
    };
    let seconds = left.as_secs().max(1);
    let message =
        format!("this command is refused for {seconds} s more: when it was executed before, {happened}");
    refused(ErrorCode::CommandNotAllowed, message)
        .with_hint("change the command so that it computes less in one expression")
}

/// Returns the error for a command that names data which MongoDB cannot read at a moment of the
/// past.
pub(super) fn no_moment(error: MongoError) -> ErrorFrame {
    mongo(error).with_hint(
        "a read needs a snapshot, which MongoDB does not have of capped collections; a collection that was just changed has one soon",
    )
}

pub(super) fn id_expired(wrong: &str) -> ErrorFrame {
    refused(ErrorCode::IdExpired, format!("the id {wrong}")).with_hint(
        "if it was sent before, look at the data first, since it may have been executed; ids are made from server_time_ms in \
         hello_ok, right before a command is sent for the first time",
    )
}

/// Returns the error for an id whose record is that of another command. The text may be that of the
/// same command, changed by its sender for another try, so no hint may ask for another id.
pub(super) fn id_reused() -> ErrorFrame {
    refused(
        ErrorCode::IdReused,
        "a command with another text was executed under this id; this text was not executed",
    )
    .with_hint(
        "if it is meant as the same command, that is executed and must not be sent under another id: repeat its first text, \
         or send an outcome frame, for its reply",
    )
}

/// Returns the error for a question about a command of another subject.
pub(super) fn forbidden() -> ErrorFrame {
    refused(
        ErrorCode::Forbidden,
        "the command with this id is of another subject",
    )
    .with_hint("ask on a connection of the subject that has sent the command")
}

pub(super) fn reply_not_kept(epoch: u64) -> ErrorFrame {
    let message = format!(
        "the command was executed in epoch {epoch}; its reply was larger than {MAX_STORED_REPLY} bytes and was not kept"
    );
    ErrorFrame::new(ErrorCode::ReplyNotKept, Outcome::Executed, message)
        .with_hint("read what the command has changed; it is not executed again")
}

pub(super) fn too_large() -> ErrorFrame {
    refused(
        ErrorCode::ResultTooLarge,
        format!("the reply is larger than {MAX_RESULT_BYTES} bytes"),
    )
    .with_hint("ask for less: page with sort, skip and limit, or leave fields out")
}

/// Returns the error for a command that MongoDB refused. Nothing of it remains: the transaction was
/// aborted.
pub(super) fn mongo(error: MongoError) -> ErrorFrame {
    let message = format!("MongoDB refused the command: {}", error.message);
    let mut frame = refused(ErrorCode::Mongo, message);
    if error.code == NOT_IN_TRANSACTION {
        frame.hint =
            Some("every command runs in a transaction, where MongoDB does not support this".to_owned());
    }
    if error.code == UNAUTHORIZED {
        frame.hint = Some(
            "the user in the server's connection string lacks a privilege: its operator grants readWrite on the database"
                .to_owned(),
        );
    }
    frame.mongo = Some(with_write_errors(error));
    frame
}

pub(super) fn unavailable(outcome: Outcome, reason: &str) -> ErrorFrame {
    let message = format!("MongoDB has no primary that can be reached: {reason}");
    ErrorFrame::new(ErrorCode::DatabaseUnavailable, outcome, message)
        .with_hint("send it again with the same id; a new primary is elected within seconds")
}

pub(super) fn overdue(outcome: Outcome) -> ErrorFrame {
    let message = match outcome {
        Outcome::NotExecuted => "the deadline passed before the command was committed",
        _ => "the deadline passed while MongoDB had not said whether the command was committed",
    };
    ErrorFrame::new(ErrorCode::Deadline, outcome, message)
        .with_hint("send it again with the same id, which is safe, and a longer deadline_ms")
}

/// Returns the error for a command whose deadline has passed. If the command met write conflicts
/// until then, the error says so.
pub(super) fn overdue_after(conflicts: bool, outcome: Outcome) -> ErrorFrame {
    let overdue = overdue(outcome);
    if !conflicts {
        return overdue;
    }
    let message = format!(
        "{}: MongoDB reported a write conflict at every try",
        overdue.message
    );
    ErrorFrame { message, ..overdue }.with_hint(
        "if it changes many documents, split it: MongoDB reports conflicts when a transaction does not fit into its cache; \
         else wait until other programs have ended their transactions on the same documents, and send it again with the same id",
    )
}

/// Returns the error for a command that MongoDB continued after the command's time.
pub(super) fn not_interrupted() -> ErrorFrame {
    mongo(MongoError::new(
        MAX_TIME_EXPIRED,
        "MaxTimeMSExpired",
        "operation exceeded time limit, and MongoDB could not interrupt it",
    ))
    .with_hint("change the command so that it computes less in one expression")
}

pub(super) fn fenced(epoch: u64, outcome: Outcome) -> ErrorFrame {
    let message = format!("epoch {epoch} of this server has ended: another coordinator has taken over");
    ErrorFrame::new(ErrorCode::Fenced, outcome, message).with_hint(TRY_NEXT)
}

pub(super) fn internal(outcome: Outcome, reason: String) -> ErrorFrame {
    ErrorFrame::new(ErrorCode::Internal, outcome, reason)
        .with_hint("the server's operator must look at it; the same id is safe to send again")
}

fn refused(code: ErrorCode, message: impl Into<String>) -> ErrorFrame {
    ErrorFrame::new(code, Outcome::NotExecuted, message)
}
