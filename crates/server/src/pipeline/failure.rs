//! What MongoDB's and the driver's errors mean for a command.

use bellwether_protocol::MongoError;
use bson::{Bson, Document};
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};

use crate::database::codes::{
    CURSOR_KILLED, CURSOR_NOT_FOUND, DUPLICATE_KEY, INTERRUPTED, NO_SUCH_TRANSACTION, SNAPSHOT_TOO_OLD,
    SNAPSHOT_UNAVAILABLE, WRITE_CONFLICT, is_change_of_primary,
};

/// Why a step of a transaction failed. Whatever it was, the transaction will not commit.
#[derive(Debug)]
pub(super) enum Failure {
    /// Running the whole transaction again may succeed.
    Transient(String),
    /// The same, once another transaction has ended that has written to one of the documents.
    Conflict(String),
    /// MongoDB cannot read at this moment; at a later one it may.
    MomentGone(String),
    /// MongoDB refuses this command, now and in the next try.
    Refused(MongoError),
    /// The command took as long as it was allowed to.
    OutOfTime,
    /// The reply is larger than the limit.
    TooLarge,
    /// Something is wrong that is not the command's fault.
    Broken(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let transient = error.contains_label(TRANSIENT_TRANSACTION_ERROR);
        match *error.kind {
            ErrorKind::Command(command) if command.code == WRITE_CONFLICT => Self::Conflict(command.message),
            _ if transient => Self::Transient(error.kind.to_string()),
            ErrorKind::Command(command)
                if [SNAPSHOT_TOO_OLD, SNAPSHOT_UNAVAILABLE].contains(&command.code) =>
            {
                Self::MomentGone(command.message)
            }
            ErrorKind::Command(command) if is_transient(command.code) => Self::Transient(command.message),
            ErrorKind::Command(command) => Self::Refused(MongoError {
                code: command.code,
                code_name: command.code_name,
                message: command.message,
                index: None,
                command: None,
            }),
            // The same where it happens while a commit waits for the majority.
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) if is_transient(error.code) => {
                Self::Transient(error.message)
            }
            ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. } => Self::Transient(error.kind.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}

/// What MongoDB does not label transient although it is: the session was killed, by a successor that claims
/// the fence or by an operator (the fence tells which), or the primary changed.
fn is_transient(code: i32) -> bool {
    [CURSOR_NOT_FOUND, CURSOR_KILLED, NO_SUCH_TRANSACTION, INTERRUPTED].contains(&code)
        || is_change_of_primary(code)
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
    let message = error.get_str("errmsg").unwrap_or("no message").to_owned();
    if code == WRITE_CONFLICT {
        return Err(Failure::Conflict(message));
    }
    if has_transient_label(reply) {
        return Err(Failure::Transient(message));
    }
    let named = error.get_str("codeName").map(str::to_owned);
    Err(Failure::Refused(MongoError {
        code,
        code_name: named.unwrap_or_else(|_| code_name(code)),
        message,
        index: error.get_i32("index").ok(),
        command: None,
    }))
}

fn has_transient_label(reply: &Document) -> bool {
    reply.get_array("errorLabels").is_ok_and(|labels| {
        let transient = Bson::String(TRANSIENT_TRANSACTION_ERROR.to_owned());
        labels.contains(&transient)
    })
}

/// MongoDB sends no name with the errors of single statements. These are the ones statements have.
fn code_name(code: i32) -> String {
    let name = match code {
        2 => "BadValue",
        9 => "FailedToParse",
        14 => "TypeMismatch",
        15 => "Overflow",
        16 => "InvalidLength",
        20 => "IllegalOperation",
        28 => "PathNotViable",
        40 => "ConflictingUpdateOperators",
        52 => "DollarPrefixedFieldName",
        53 => "InvalidIdField",
        55 => "InvalidDBRef",
        56 => "EmptyFieldName",
        57 => "DottedFieldName",
        66 => "ImmutableField",
        73 => "InvalidNamespace",
        121 => "DocumentValidationFailure",
        166 => "CommandNotSupportedOnView",
        224 => "QueryFeatureNotAllowed",
        10334 => "BSONObjectTooLarge",
        DUPLICATE_KEY => "DuplicateKey",
        17280 => "KeyTooLong",
        // What MongoDB itself calls a code without a name.
        other => return format!("Location{other}"),
    };
    name.to_owned()
}
