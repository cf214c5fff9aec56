//! The server's side: reads the client's frames and writes the server's, with serde_json.
//!
//! A reply is JSON already and may be long. So the frame is put together around its text, and the
//! reply is not read again.

mod received;

use serde::Serialize;

use crate::json::Object;
use crate::{ClientFrame, FrameError, Identity, OutcomeResult, ServerFrame};

fn text<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).unwrap_or_else(|error| {
        // Every field is a string, an integer, a bool or JSON already.
        unreachable!("a frame always serialises: {error}")
    })
}

impl ClientFrame {
    /// Reads a frame from a client. Never recurses into the command, however deeply it is nested.
    ///
    /// # Errors
    /// [`FrameError`] if the text is not such a frame.
    pub fn parse(json: &str) -> Result<Self, FrameError> {
        received::read(json)
    }
}

impl ServerFrame {
    /// Returns the frame as JSON text.
    pub fn to_json(&self) -> String {
        match self {
            Self::HelloOk(frame) => text(frame),
            Self::TokenOk(identity) => text(&TokenOk { identity }),
            Self::Result(frame) => Object::new()
                .text("type", "result")
                .text("id", &frame.id.text())
                .plain("epoch", frame.epoch)
                .plain("replayed", frame.replayed)
                .raw("result", frame.result.as_str())
                .finish(),
            Self::OutcomeResult(frame) => outcome_result(frame),
            Self::Error(frame) => text(frame),
        }
    }
}

/// An identity as a frame of its own.
#[derive(Serialize)]
#[serde(tag = "type", rename = "token_ok")]
struct TokenOk<'a> {
    #[serde(flatten)]
    identity: &'a Identity,
}

fn outcome_result(frame: &OutcomeResult) -> String {
    let mut json = Object::new();
    json.text("type", "outcome_result")
        .text("id", &frame.id.text())
        .text("outcome", frame.outcome.as_str());
    if let Some(epoch) = frame.epoch {
        json.plain("epoch", epoch);
    }
    if let Some(result) = &frame.result {
        json.raw("result", result.as_str());
    }
    json.finish()
}
