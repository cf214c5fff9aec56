//! How a command is refused: nothing was executed, and why.

use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome};

pub(super) fn refused(code: ErrorCode, message: impl Into<String>) -> ErrorFrame {
    ErrorFrame::new(code, Outcome::NotExecuted, message)
}

pub(super) fn bad_command(message: impl Into<String>) -> ErrorFrame {
    refused(ErrorCode::BadCommand, message)
}

pub(super) fn not_allowed(message: impl Into<String>) -> ErrorFrame {
    refused(ErrorCode::CommandNotAllowed, message)
}
