//! The end of a conversation: what its client is told.

use core::ops::ControlFlow;

use bellwether_protocol::{CloseCode, ErrorCode, ErrorFrame, FrameError, Outcome, SUBPROTOCOL};
use tokio_tungstenite::tungstenite::{self, Error, Message, Utf8Bytes};

use super::error_text;

/// Why the server ends a conversation. The client is told after everything that it is owed.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) code: CloseCode,
    pub(super) reason: String,
    /// The last frame, before the connection is closed.
    pub(super) error: Option<ErrorFrame>,
}

/// Why a session ends, or nothing if the client is gone.
pub(super) type End = Option<Ending>;

impl Ending {
    pub(super) fn because(code: CloseCode, reason: impl Into<String>) -> End {
        Some(Self {
            code,
            reason: reason.into(),
            error: None,
        })
    }

    pub(super) fn with_error(code: CloseCode, reason: impl Into<String>, error: ErrorFrame) -> End {
        Some(Self {
            code,
            reason: reason.into(),
            error: Some(error),
        })
    }

    /// The end after a message of which nobody can know what it is about.
    pub(super) fn for_bad_frame(error: &FrameError) -> End {
        let reason = error.text();
        let error = bad_frame(&reason);
        Self::with_error(CloseCode::BadFrame, reason, error)
    }
}

/// An error that says, for people, what is wrong with a frame.
pub(super) fn bad_frame(reason: &str) -> ErrorFrame {
    let error = ErrorFrame::new(ErrorCode::BadFrame, Outcome::NotExecuted, reason);
    error_text::bounded(error.with_hint(format!(
        "see the description of {SUBPROTOCOL}; the connection is closed"
    )))
}

/// The text in a message; nothing if it carries none; or why the session ends.
pub(super) fn text_of(received: Option<Result<Message, Error>>) -> ControlFlow<End, Option<Utf8Bytes>> {
    match received {
        None | Some(Ok(Message::Close(_))) => ControlFlow::Break(None),
        Some(Ok(Message::Text(text))) => ControlFlow::Continue(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => ControlFlow::Continue(None),
        Some(Ok(Message::Binary(_))) => {
            ControlFlow::Break(Ending::because(CloseCode::UnsupportedData, "every frame is text"))
        }
        Some(Err(error)) => ControlFlow::Break(match error {
            // The client is gone: the work that it waited for is ended.
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
            Error::Capacity(error) => Ending::because(CloseCode::TooBig, error.to_string()),
            Error::Utf8(error) => Ending::because(CloseCode::InvalidUtf8, error),
            Error::Protocol(error) => Ending::because(CloseCode::ProtocolError, error.to_string()),
            _ => None,
        }),
    }
}
