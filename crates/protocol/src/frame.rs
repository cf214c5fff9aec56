//! The frames. Each is one JSON object in one WebSocket text message, with its name in `type`.
//! Fields a receiver does not know are ignored, so that fields can be added.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{CommandId, ErrorCode, Outcome};

/// A frame from a client.
#[derive(Clone, Debug)]
pub enum ClientFrame {
    /// The first frame of a connection.
    Hello(Hello),
    /// A command to execute.
    Command(Command),
    /// A question: what became of a command?
    Outcome(OutcomeQuery),
}

/// The first frame of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "hello")]
pub struct Hello {
    /// What program this is, for the server's log: a name and a version, such as `bellwether-cli/0.1.0`.
    #[serde(default)]
    pub client: String,
    /// The cluster the client means to talk to. The server refuses if it belongs to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// A command to execute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "command")]
pub struct Command {
    /// The command's id: the same for every attempt at the same command.
    pub id: CommandId,
    /// How long the server may work on it, in milliseconds from its arrival. Without it the server's default
    /// holds; more than the server's maximum counts as the maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// The MongoDB command document in Extended JSON, as the user wrote it.
    pub command: Box<RawValue>,
}

/// A question: what became of the command with this id?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "outcome")]
pub struct OutcomeQuery {
    /// The command's id.
    pub id: CommandId,
    /// How long the server may take to find out, in milliseconds from the question's arrival. Without it the
    /// server's default holds; more than the server's maximum counts as the maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// A frame from a server.
#[derive(Clone, Debug)]
pub enum ServerFrame {
    /// The answer to `hello`.
    HelloOk(HelloOk),
    /// A command's reply.
    Result(CommandResult),
    /// What became of a command somebody asked about.
    Fate(CommandFate),
    /// An error.
    Error(ErrorFrame),
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "hello_ok")]
pub struct HelloOk {
    /// The cluster's name.
    pub cluster: String,
    /// The server's id.
    pub server: String,
    /// The server's role at this moment.
    pub role: RoleName,
    /// The newest epoch the server knows a coordinator of.
    pub epoch: Option<u64>,
    /// The coordinator the server knows, itself included.
    pub coordinator: Option<CoordinatorHint>,
    /// The server's clock, in milliseconds since the Unix epoch. Command ids are made from it.
    pub server_time_ms: u64,
    /// What the server accepts.
    pub limits: Limits,
}

/// The role of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RoleName {
    /// Executes commands.
    Coordinator,
    /// Follows a coordinator.
    Follower,
    /// Knows of no coordinator.
    Electing,
    /// Was coordinator or follower and is leaving.
    Draining,
    /// A role this version of the crate does not know: not the coordinator, as far as it can tell.
    #[serde(other)]
    Unrecognized,
}

impl RoleName {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Follower => "follower",
            Self::Electing => "electing",
            Self::Draining => "draining",
            Self::Unrecognized => "unrecognized",
        }
    }
}

/// Who the coordinator is, as far as the sender knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorHint {
    /// Its id.
    pub server: String,
    /// Where clients reach it. A client follows it only to a server on its own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// What a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest message, in bytes.
    pub max_message_bytes: u64,
    /// Deepest nesting of a command.
    pub max_depth: u64,
    /// Largest reply, in bytes of BSON.
    pub max_result_bytes: u64,
    /// Longest deadline, in milliseconds.
    pub max_deadline_ms: u64,
    /// For how long an id is remembered, in milliseconds.
    pub retention_ms: u64,
}

/// A command's reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "result")]
pub struct CommandResult {
    /// The command's id.
    pub id: CommandId,
    /// The epoch in which the command was executed.
    pub epoch: u64,
    /// Whether this is the stored reply of an earlier execution.
    pub replayed: bool,
    /// MongoDB's reply document in canonical Extended JSON.
    pub result: Box<RawValue>,
}

/// What became of a command: the answer to [`OutcomeQuery`].
///
/// It speaks of the moment of the answer. [`Outcome::NotExecuted`] says that the command has had no effect
/// until then; a try that is still on its way, or a later one with the same id, may execute it after that.
/// [`Outcome::Unknown`] says that it waits in the server's queue: ask again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "fate")]
pub struct CommandFate {
    /// The command's id.
    pub id: CommandId,
    /// What became of it.
    pub outcome: Outcome,
    /// The epoch in which it was executed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Its reply in canonical Extended JSON, if it was executed and the reply was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "type", rename = "error")]
#[error("{code}: {message}")]
pub struct ErrorFrame {
    /// The command it belongs to; absent if it belongs to the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong, for people.
    pub message: String,
    /// What to do about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What became of the command.
    pub outcome: Outcome,
    /// The coordinator the server knows, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<CoordinatorHint>,
    /// After how many milliseconds it is worth trying again here, for the code `overloaded`: an estimate from
    /// how many commands wait and how fast they are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What MongoDB said, for the code `mongo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mongo: Option<MongoError>,
}

impl ErrorFrame {
    /// An error with nothing but the compulsory fields.
    pub fn new(code: ErrorCode, outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            id: None,
            code,
            message: message.into(),
            hint: None,
            outcome,
            coordinator: None,
            retry_after_ms: None,
            mongo: None,
        }
    }

    /// The same error for the command with this id.
    #[must_use]
    pub fn for_command(mut self, id: CommandId) -> Self {
        self.id = Some(id);
        self
    }

    /// The same error with a sentence on what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// MongoDB's own error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MongoError {
    /// MongoDB's error code.
    pub code: i32,
    /// MongoDB's name for it.
    pub code_name: String,
    /// MongoDB's message.
    pub message: String,
    /// Which statement of the command failed, counted from 0, for write errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<i32>,
    /// Which command of a list failed, counted from 0, where a list was sent as one command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<u32>,
}

/// Text that is not a frame of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Not a JSON object, or one without a `type`.
    #[error("not a JSON object with a \"type\": {0}")]
    NotAFrame(String),
    /// An object of a type this side does not receive.
    #[error("unknown frame type {0:?}")]
    UnknownType(String),
    /// An object of a known type whose fields are wrong.
    #[error("bad {frame} frame: {detail}")]
    BadFields {
        /// The frame's type.
        frame: &'static str,
        /// What is wrong.
        detail: String,
    },
}

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
        Err(error) => Err(FrameError::NotAFrame(error.to_string())),
    }
}

fn fields<'a, T: Deserialize<'a>>(frame: &'static str, text: &'a str) -> Result<T, FrameError> {
    serde_json::from_str(text).map_err(|error| FrameError::BadFields {
        frame,
        detail: error.to_string(),
    })
}

fn unknown(kind: &str) -> FrameError {
    FrameError::UnknownType(kind.chars().take(64).collect())
}

fn text<T: Serialize>(frame: &T) -> String {
    serde_json::to_string(frame).unwrap_or_else(|error| {
        // Every field is a string, an integer, a bool or text that is JSON already.
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

    /// The frame as JSON text.
    pub fn to_json(&self) -> String {
        match self {
            Self::Hello(frame) => text(frame),
            Self::Command(frame) => text(frame),
            Self::Outcome(frame) => text(frame),
        }
    }
}

impl ServerFrame {
    /// Reads a frame a server sent.
    ///
    /// # Errors
    /// [`FrameError`] if the text is not such a frame.
    pub fn parse(json: &str) -> Result<Self, FrameError> {
        match tag(json)?.as_ref() {
            "hello_ok" => fields("hello_ok", json).map(Self::HelloOk),
            "result" => fields("result", json).map(Self::Result),
            "fate" => fields("fate", json).map(Self::Fate),
            "error" => fields("error", json).map(Self::Error),
            other => Err(unknown(other)),
        }
    }

    /// The frame as JSON text.
    pub fn to_json(&self) -> String {
        match self {
            Self::HelloOk(frame) => text(frame),
            Self::Result(frame) => text(frame),
            Self::Fate(frame) => text(frame),
            Self::Error(frame) => text(frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e";

    #[test]
    fn command_text_survives_unchanged() {
        let body = r#"{"find":"c","sort":{"10":1,"2":-1},"filter":{"n":9007199254740993}}"#;
        let json = format!(r#"{{"id":"{ID}","command":{body},"type":"command","later":1}}"#);
        let Ok(ClientFrame::Command(command)) = ClientFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(command.command.get(), body);
        assert!(ClientFrame::Command(command).to_json().contains(body));
    }

    #[test]
    fn deep_nesting_is_skipped_without_recursion() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let json = format!(r#"{{"type":"command","id":"{ID}","command":{{"insert":{deep}}}}}"#);
        assert!(ClientFrame::parse(&json).is_ok());
        let json = format!(r#"{{"x":{deep},"type":"hello"}}"#);
        assert!(ClientFrame::parse(&json).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let not_a_frame = ["", "null", "[\"hello\"]", "\"hello\"", "{}", "{", r#"{"type":1}"#];
        for json in not_a_frame {
            assert!(
                matches!(ClientFrame::parse(json), Err(FrameError::NotAFrame(_))),
                "{json}"
            );
        }
        let unknown = ClientFrame::parse(r#"{"type":"result"}"#);
        assert_eq!(unknown.unwrap_err(), FrameError::UnknownType("result".into()));
        let missing = ClientFrame::parse(r#"{"type":"command","id":"x","command":{}}"#).unwrap_err();
        assert!(missing.to_string().contains("UUID of version 7"), "{missing}");
    }

    #[test]
    fn errors_survive_the_way() {
        let error = ErrorFrame::new(ErrorCode::NotCoordinator, Outcome::NotExecuted, "s2 follows s1")
            .with_hint("send it to the coordinator");
        let json = ServerFrame::Error(error.clone()).to_json();
        assert!(
            json.starts_with(r#"{"type":"error","code":"not_coordinator""#),
            "{json}"
        );
        let Ok(ServerFrame::Error(back)) = ServerFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(back, error);
        let newer = json.replace("not_coordinator", "from_the_future");
        let Ok(ServerFrame::Error(back)) = ServerFrame::parse(&newer) else {
            panic!("{newer}")
        };
        assert_eq!(back.code, ErrorCode::Unrecognized);
    }

    #[test]
    fn a_question_and_its_answer_survive_the_way() {
        let json = format!(r#"{{"type":"outcome","id":"{ID}"}}"#);
        let Ok(ClientFrame::Outcome(query)) = ClientFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(query.deadline_ms, None);
        assert_eq!(ClientFrame::Outcome(query).to_json(), json);

        let body = r#"{"n":{"$numberInt":"1"},"z":0,"a":1}"#;
        let executed =
            format!(r#"{{"type":"fate","id":"{ID}","outcome":"executed","epoch":7,"result":{body}}}"#);
        let Ok(ServerFrame::Fate(fate)) = ServerFrame::parse(&executed) else {
            panic!("{executed}")
        };
        assert_eq!((fate.outcome, fate.epoch), (Outcome::Executed, Some(7)));
        assert_eq!(fate.result.as_ref().unwrap().get(), body);
        assert_eq!(ServerFrame::Fate(fate).to_json(), executed);

        let never = format!(r#"{{"type":"fate","id":"{ID}","outcome":"not_executed"}}"#);
        let Ok(ServerFrame::Fate(fate)) = ServerFrame::parse(&never) else {
            panic!("{never}")
        };
        assert!(fate.epoch.is_none() && fate.result.is_none());
        assert_eq!(ServerFrame::Fate(fate).to_json(), never);
    }

    #[test]
    fn fields_that_are_not_there_are_not_sent() {
        let mut error = ErrorFrame::new(ErrorCode::Overloaded, Outcome::NotExecuted, "full");
        let json = ServerFrame::Error(error.clone()).to_json();
        assert!(!json.contains("retry_after_ms"), "{json}");
        error.retry_after_ms = Some(120);
        error.mongo = Some(MongoError {
            code: 11000,
            code_name: "DuplicateKey".to_owned(),
            message: "E11000".to_owned(),
            index: None,
            command: Some(2),
        });
        let json = ServerFrame::Error(error.clone()).to_json();
        assert!(json.contains(r#""retry_after_ms":120"#), "{json}");
        assert!(json.contains(r#""command":2"#), "{json}");
        let Ok(ServerFrame::Error(back)) = ServerFrame::parse(&json) else {
            panic!("{json}")
        };
        assert_eq!(back, error);
    }

    #[test]
    fn every_code_has_its_wire_name() {
        for code in ErrorCode::ALL {
            assert_eq!(text(&code), format!("\"{code}\""));
        }
        for outcome in [Outcome::NotExecuted, Outcome::Unknown, Outcome::Executed] {
            assert_eq!(text(&outcome), format!("\"{outcome}\""));
        }
    }
}
