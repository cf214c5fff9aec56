//! The server's side: what clients send is read, and what they are told is written, by serde_json. Frames that
//! hold a reply are put together around it: it is JSON already, may be long, and need not be looked at again.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{shortened, unknown};
use crate::json::Object;
use crate::{ClientFrame, CommandFate, FrameError, ServerFrame};

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

fn tag(text: &str) -> Result<Cow<'_, str>, FrameError> {
    // An array would otherwise be read as the struct's fields in order.
    if !text.trim_start().starts_with('{') {
        return Err(FrameError::NotAFrame("the message does not start with {".into()));
    }
    match serde_json::from_str::<Tag<'_>>(text) {
        Ok(tag) => Ok(tag.kind),
        Err(error) => Err(FrameError::NotAFrame(shortened(error.to_string()))),
    }
}

fn fields<'a, T: Deserialize<'a>>(frame: &'static str, text: &'a str) -> Result<T, FrameError> {
    serde_json::from_str(text).map_err(|error| FrameError::BadFields {
        frame,
        detail: shortened(error.to_string()),
    })
}

fn text<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).unwrap_or_else(|error| {
        // Every field is a string, an integer or a bool.
        unreachable!("a frame always serialises: {error}")
    })
}

impl ClientFrame {
    /// Reads a frame a client sent.
    ///
    /// # Errors
    /// [`FrameError`] if the text is not such a frame. Never recurses into the command, however deeply it is
    /// nested.
    pub fn parse(json: &str) -> Result<Self, FrameError> {
        match tag(json)?.as_ref() {
            "hello" => fields("hello", json).map(Self::Hello),
            "command" => fields("command", json).map(Self::Command),
            "outcome" => fields("outcome", json).map(Self::Outcome),
            other => Err(unknown(other)),
        }
    }
}

impl ServerFrame {
    /// The frame as JSON text.
    pub fn to_json(&self) -> String {
        match self {
            Self::HelloOk(frame) => text(frame),
            Self::Result(frame) => Object::new()
                .text("type", "result")
                .text("id", &frame.id.text())
                .plain("epoch", frame.epoch)
                .plain("replayed", frame.replayed)
                .raw("result", frame.result.as_str())
                .finish(),
            Self::Fate(frame) => fate(frame),
            Self::Error(frame) => text(frame),
        }
    }
}

fn fate(frame: &CommandFate) -> String {
    let mut json = Object::new();
    json.text("type", "fate")
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
