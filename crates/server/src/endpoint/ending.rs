//! The end of a connection, and the last messages to its client.

use core::ops::ControlFlow;

use bellwether_protocol::{CloseCode, ErrorCode, ErrorFrame, FrameError, Outcome, SUBPROTOCOL};
use tokio_tungstenite::tungstenite::{self, Error, Message, Utf8Bytes};

use super::error_text;

/// The reason why the server ends a connection. The server sends the reason after all answers that
/// it still owes the client.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) code: CloseCode,
    pub(super) reason: String,
    /// The last frame before the server closes the connection.
    pub(super) error: Option<ErrorFrame>,
}

/// The reason why a session ends, or `None` if the client is gone.
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

    /// Returns the end after a message without a recognizable subject.
    pub(super) fn for_bad_frame(error: &FrameError) -> End {
        let reason = error.text();
        let error = bad_frame(&reason);
        Self::with_error(CloseCode::BadFrame, reason, error)
    }
}

/// Returns an error that explains to people the problem with a frame.
pub(super) fn bad_frame(reason: &str) -> ErrorFrame {
    let error = ErrorFrame::new(ErrorCode::BadFrame, Outcome::NotExecuted, reason);
    error_text::bounded(error.with_hint(format!(
        "see the description of {SUBPROTOCOL}; the connection is closed"
    )))
}

/// Returns the text of a message, or `None` if it has no text. Breaks with the reason if the
/// session ends.
pub(super) fn text_of(received: Option<Result<Message, Error>>) -> ControlFlow<End, Option<Utf8Bytes>> {
    match received {
        None | Some(Ok(Message::Close(_))) => ControlFlow::Break(None),
        Some(Ok(Message::Text(text))) => ControlFlow::Continue(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => ControlFlow::Continue(None),
        Some(Ok(Message::Binary(_))) => {
            ControlFlow::Break(Ending::because(CloseCode::UnsupportedData, "every frame is text"))
        }
        Some(Err(error)) => ControlFlow::Break(match error {
            // The client is gone: the work for it ends.
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
            Error::Capacity(error) => Ending::because(CloseCode::TooBig, error.to_string()),
            Error::Utf8(error) => Ending::because(CloseCode::InvalidUtf8, error),
            Error::Protocol(error) => Ending::because(CloseCode::ProtocolError, error.to_string()),
            _ => None,
        }),
    }
}
