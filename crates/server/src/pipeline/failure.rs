//! The meaning of MongoDB's and the driver's errors for a command.

use core::fmt;

use bellwether_protocol::MongoError;
use bson::{Bson, Document};
use mongodb::error::{
    Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use super::code_names::code_name;
use super::error_details::details_in;
use crate::database::codes::{
    CURSOR_KILLED, CURSOR_NOT_FOUND, INTERRUPTED, NO_SUCH_TRANSACTION, SNAPSHOT_TOO_OLD,
    SNAPSHOT_UNAVAILABLE, TRANSACTION_TOO_LARGE_FOR_CACHE, WRITE_CONFLICT, is_change_of_primary, is_passing,
};
use crate::database::{cleaned, decode_lossy};

/// The reason why a step of a transaction failed. In each case the transaction will not commit.
#[derive(Debug)]
pub(super) enum Failure {
    /// Running the whole transaction again may succeed.
    Transient(String),
    /// The same, because the connection broke before MongoDB answered.
    Disconnected(String),
    /// The same, after another transaction that has written to one of the documents has ended.
    Conflict(String),
    /// MongoDB cannot read at this moment; at a later one it may.
    MomentGone(MongoError),
    /// MongoDB refuses this command, now and in the next try.
    Refused(MongoError),
    /// The command used all its time.
    OutOfTime,
    /// The reply is larger than the limit.
    TooLarge,
    /// Something is wrong that is not the command's fault.
    Broken(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Some(reply) = undecoded(&error) {
            return Self::of_reply(&reply);
        }
        let transient = error.contains_label(TRANSIENT_TRANSACTION_ERROR);
        let reply = error
            .server_response()
            .and_then(|reply| decode_lossy(reply.as_bytes()));
        let text = cleaned(&error.kind.to_string());
        match *error.kind {
            ErrorKind::Command(command) => {
                let error = MongoError::new(command.code, command.code_name, cleaned(&command.message));
                Self::of_code(with_details(error, &reply.unwrap_or_default()), transient)
            }
            ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => Self::Disconnected(text),
            _ if transient => Self::Transient(text),
            // The same failure, but while a commit waits for the majority.
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) if is_transient(error.code) => {
                Self::Transient(cleaned(&error.message))
            }
            ErrorKind::ServerSelection { .. } => Self::Transient(text),
            _ => Self::Broken(text),
        }
    }
}

impl Failure {
    /// Returns the reply, if MongoDB executed the command and the driver could not decode the
    /// reply.
    ///
    /// # Errors
    /// The failure, if there is one.
    pub(super) fn or_reply(error: Error) -> Result<Document, Self> {
        match undecoded(&error) {
            Some(reply) if is_ok(&reply) => Ok(reply),
            _ => Err(error.into()),
        }
    }

    /// Reads a reply that says `ok: 0`.
    fn of_reply(reply: &Document) -> Self {
        let Some(code) = reply.get("code").and_then(integer) else {
            return Self::Broken("MongoDB's reply has neither a success nor an error".to_owned());
        };
        let error = error_in(reply, code);
        Self::of_code(error, has_label(reply, TRANSIENT_TRANSACTION_ERROR))
    }

    fn of_code(error: MongoError, labelled_transient: bool) -> Self {
        match error.code {
            WRITE_CONFLICT => Self::Conflict(error.message),
            // Another try would write the same amount.
            TRANSACTION_TOO_LARGE_FOR_CACHE => Self::Refused(error),
            _ if labelled_transient => Self::Transient(error.message),
            SNAPSHOT_TOO_OLD | SNAPSHOT_UNAVAILABLE => Self::MomentGone(error),
            code if is_transient(code) => Self::Transient(error.message),
            _ => Self::Refused(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transient(reason)
            | Self::Disconnected(reason)
            | Self::Conflict(reason)
            | Self::Broken(reason) => f.write_str(reason),
            Self::MomentGone(error) | Self::Refused(error) => {
                write!(f, "{} ({})", error.message, error.code_name)
            }
            Self::OutOfTime => f.write_str("MongoDB stopped the command at its deadline"),
            Self::TooLarge => f.write_str("the reply is too large"),
        }
    }
}

/// The reason why a commit failed.
#[derive(Debug)]
pub(super) struct CommitFailure {
    /// `true` if it is not known whether the transaction was committed. Committing again is safe.
    pub(super) in_doubt: bool,
    pub(super) failure: Failure,
}

impl From<Error> for CommitFailure {
    fn from(error: Error) -> Self {
        let label = UNKNOWN_TRANSACTION_COMMIT_RESULT;
        let in_reply = undecoded(&error).is_some_and(|reply| has_label(&reply, label));
        Self {
            in_doubt: in_reply || error.contains_label(label),
            failure: error.into(),
        }
    }
}

/// Returns the reply that MongoDB has sent and that the driver could not decode.
fn undecoded(error: &Error) -> Option<Document> {
    if matches!(*error.kind, ErrorKind::Command(_) | ErrorKind::Write(_)) {
        return None;
    }
    decode_lossy(error.server_response()?.as_bytes())
}

fn is_ok(reply: &Document) -> bool {
    match reply.get("ok") {
        Some(Bson::Double(ok)) => *ok == 1.0,
        Some(other) => integer(other) == Some(1),
        None => false,
    }
}

fn integer(value: &Bson) -> Option<i32> {
    match value {
        Bson::Int32(number) => Some(*number),
        Bson::Int64(number) => i32::try_from(*number).ok(),
        _ => None,
    }
}

/// Returns `true` for errors that are transient although MongoDB does not label them so. Either the
/// session was killed, or the primary changed, or the command may succeed a moment later. A session
/// is killed by a successor that claims the fence, or by an operator: the fence tells which.
fn is_transient(code: i32) -> bool {
    [CURSOR_NOT_FOUND, CURSOR_KILLED, NO_SUCH_TRANSACTION, INTERRUPTED].contains(&code)
        || is_change_of_primary(code)
        || is_passing(code)
}

/// Looks for errors in a reply that says `ok: 1`.
pub(super) fn check_reply(reply: &Document) -> Result<(), Failure> {
    let first_error = |field| match reply.get(field)? {
        Bson::Array(errors) => errors.first().and_then(Bson::as_document),
        Bson::Document(error) => Some(error),
        _ => None,
    };
    let Some(error) = first_error("writeErrors").or_else(|| first_error("writeConcernError")) else {
        return Ok(());
    };
    let code = error.get_i32("code").unwrap_or_default();
    let error = MongoError {
        index: error.get_i32("index").ok(),
        ..error_in(error, code)
    };
    Err(Failure::of_code(
        error,
        has_label(reply, TRANSIENT_TRANSACTION_ERROR),
    ))
}

/// Returns the error of this code from one of MongoDB's documents.
fn error_in(document: &Document, code: i32) -> MongoError {
    let code_name = document
        .get_str("codeName")
        .map_or_else(|_| code_name(code), str::to_owned);
    let message = document.get_str("errmsg").unwrap_or("no message");
    with_details(MongoError::new(code, code_name, cleaned(message)), document)
}

/// Adds MongoDB's details for programs to the error.
fn with_details(error: MongoError, document: &Document) -> MongoError {
    MongoError {
        details: details_in(document),
        ..error
    }
}

fn has_label(reply: &Document, label: &str) -> bool {
    reply
        .get_array("errorLabels")
        .is_ok_and(|labels| labels.iter().any(|one| one.as_str() == Some(label)))
}
