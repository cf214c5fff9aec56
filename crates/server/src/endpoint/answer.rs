//! The answers to the frames of a client.

use core::future::ready;

use bellwether_protocol::{CommandId, ErrorCode, ErrorFrame, FrameError, Outcome, ServerFrame};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::ending::bad_frame;
use super::error_text;
use super::replies::Expected;

/// A frame to send, and the outcome of its command. The outcome is needed if there is no room for
/// the frame.
pub(super) struct Answer {
    pub(super) frame: ServerFrame,
    pub(super) outcome: Outcome,
    /// The reserved room, if the command is a read.
    pub(super) expected: Option<Expected>,
}

impl Answer {
    pub(super) fn new(frame: ServerFrame, outcome: Outcome) -> Self {
        Self {
            frame,
            outcome,
            expected: None,
        }
    }

    pub(super) fn error(error: ErrorFrame) -> Self {
        let outcome = error.outcome;
        Self::new(ServerFrame::Error(error_text::bounded(error)), outcome)
    }
}

/// Waits for the answer of the pipeline.
pub(super) async fn answer<T>(
    taken: Result<oneshot::Receiver<Result<T, ErrorFrame>>, ErrorFrame>,
) -> Result<T, ErrorFrame> {
    taken?.await.unwrap_or_else(|_| {
        let message = "the server failed while it worked on the command";
        Err(ErrorFrame::new(ErrorCode::Internal, Outcome::Unknown, message)
            .with_hint("send it again with the same id: it is executed once at most"))
    })
}

pub(super) fn id_of(frame: &ServerFrame) -> Option<CommandId> {
    match frame {
        ServerFrame::Result(result) => Some(result.id),
        ServerFrame::OutcomeResult(outcome_result) => Some(outcome_result.id),
        ServerFrame::Error(error) => error.id,
        ServerFrame::HelloOk(_) | ServerFrame::TokenOk(_) => None,
    }
}

/// Returns the answer to a frame with a fault that concerns only the command or question with this
/// id.
pub(super) fn refused_frame(id: CommandId, error: &FrameError) -> BoxFuture<'static, Answer> {
    let asks = matches!(error, FrameError::BadFields { frame: "outcome", .. });
    let mut refusal = bad_frame(&error.text()).for_command(id);
    refusal.hint =
        Some("correct the frame and send it again with the same id; the connection goes on".to_owned());
    if asks {
        // Only the question has no answer, which says nothing about the command.
        refusal.outcome = Outcome::Unknown;
    }
    ready(Answer::error(refusal)).boxed()
}
