//! The frames. Each is one JSON object in one WebSocket text message, with its name in `type`.
//! Fields a receiver does not know are ignored, so that fields can be added.

mod client_side;
mod server_side;
#[cfg(test)]
mod tests;

use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::json::decimal;
use crate::{CommandId, ErrorCode, Outcome, RawJson};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// What program this is, for the server's log: a name and a version, such as `bellwether-cli/0.1.0`.
    pub client: String,
    /// The cluster the client means to talk to. The server refuses if it belongs to another.
    pub cluster: Option<String>,
}

/// A command to execute.
#[derive(Clone, Debug)]
pub struct Command {
    /// The command's id: the same for every attempt at the same command.
    pub id: CommandId,
    /// Time limit for the server's work on it, in milliseconds from its arrival. Without it the server's default
    /// holds; more than the server's maximum counts as the maximum.
    pub deadline_ms: Option<u64>,
    /// The MongoDB command document in Extended JSON, as the user wrote it.
    pub command: RawJson,
}

/// A question: what became of the command with this id?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeQuery {
    /// The command's id.
    pub id: CommandId,
    /// How long the server may take to find out, in milliseconds from the question's arrival. Without it the
    /// server's default holds; more than the server's maximum counts as the maximum.
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
    OutcomeResult(OutcomeResult),
    /// An error.
    Error(ErrorFrame),
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    const KNOWN: [Self; 4] = [Self::Coordinator, Self::Follower, Self::Electing, Self::Draining];

    pub(crate) fn from_name(name: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|role| role.as_str() == name);
        known.unwrap_or(Self::Unrecognized)
    }

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
#[derive(Clone, Debug)]
pub struct CommandResult {
    /// The command's id.
    pub id: CommandId,
    /// The epoch in which the command was executed.
    pub epoch: u64,
    /// Whether this is the stored reply of an earlier execution.
    pub replayed: bool,
    /// MongoDB's reply document in canonical Extended JSON.
    pub result: RawJson,
}

/// What became of a command: the answer to [`OutcomeQuery`].
///
/// It speaks of the moment of the answer. [`Outcome::NotExecuted`] says that the command has had no effect
/// until then; a try that is still on its way, or a later one with the same id, may execute it after that.
/// [`Outcome::Unknown`] says that it waits in the server's queue: ask again.
#[derive(Clone, Debug)]
pub struct OutcomeResult {
    /// The command's id.
    pub id: CommandId,
    /// What became of it.
    pub outcome: Outcome,
    /// The epoch in which it was executed, if it was.
    pub epoch: Option<u64>,
    /// Its reply in canonical Extended JSON, if it was executed and the reply was kept.
    pub result: Option<RawJson>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MongoError {
    /// MongoDB's error code.
    pub code: i32,
    /// MongoDB's name for it.
    pub code_name: String,
    /// MongoDB's message.
    pub message: String,
    /// Which statement of the command failed, counted from 0, for write errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i32>,
    /// Which command of a list failed, counted from 0, where a list was sent as one command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<u32>,
    /// MongoDB's details of the error for programs, if there are any.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<MongoErrorDetails>>,
}

/// Details of MongoDB's error for programs, in canonical Extended JSON, under MongoDB's own names. A server leaves out a part
/// that is longer than 16 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MongoErrorDetails {
    /// Why it is refused; for one, by which rule a document fails its collection's validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_info: Option<RawJson>,
    /// The fields of the unique index that has the key already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_pattern: Option<RawJson>,
    /// The key that the index has already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_value: Option<RawJson>,
    /// For write errors, the array of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_errors: Option<RawJson>,
}

impl MongoErrorDetails {
    /// The parts that MongoDB sent, with MongoDB's names for them.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &RawJson)> {
        let parts = [
            ("errInfo", &self.err_info),
            ("keyPattern", &self.key_pattern),
            ("keyValue", &self.key_value),
            ("writeErrors", &self.write_errors),
        ];
        parts
            .into_iter()
            .filter_map(|(name, part)| Some((name, part.as_ref()?)))
    }
}

impl MongoError {
    /// An error with nothing but the compulsory fields.
    pub fn new(code: i32, code_name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            code_name: code_name.into(),
            message: message.into(),
            index: None,
            command: None,
            details: None,
        }
    }

    /// The message, and the name and the number of the error.
    pub fn text(&self) -> String {
        let sign = if self.code < 0 { "-" } else { "" };
        let code = decimal(self.code.unsigned_abs().into());
        [&*self.message, " (", &self.code_name, " ", sign, &code, ")"].concat()
    }
}

/// Text that is not a frame of this protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Not a JSON object, or one without a `type`.
    NotAFrame(String),
    /// An object of a type this side does not receive.
    UnknownType(String),
    /// An object of a known type whose fields are wrong.
    BadFields {
        /// The frame's type.
        frame: &'static str,
        /// The command it is about, if its id can be read.
        id: Option<CommandId>,
        /// What is wrong.
        detail: String,
    },
}

impl FrameError {
    /// The command that the frame is about, if its id can be read. Then the fault concerns this command only.
    pub fn id(&self) -> Option<CommandId> {
        match self {
            Self::NotAFrame(_) | Self::UnknownType(_) => None,
            Self::BadFields { id, .. } => *id,
        }
    }

    /// What is wrong.
    pub fn text(&self) -> String {
        match self {
            Self::NotAFrame(detail) => ["not a JSON object with a \"type\": ", detail].concat(),
            Self::UnknownType(kind) => ["unknown frame type \"", kind, "\""].concat(),
            Self::BadFields { frame, detail, .. } => ["bad ", frame, " frame: ", detail].concat(),
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for FrameError {}

/// What serde says is wrong may quote a whole field: what it begins with and how it ends is enough.
fn shortened(detail: String) -> String {
    const FIRST: usize = 200;
    const LAST: usize = 80;
    let end = |(at, _): (usize, char)| at;
    let first = detail.char_indices().nth(FIRST).map(end);
    let last = detail.char_indices().rev().nth(LAST - 1).map(end);
    match (first, last) {
        (Some(first), Some(last)) if first < last => [&detail[..first], "…", &detail[last..]].concat(),
        _ => detail,
    }
}

fn unknown(kind: &str) -> FrameError {
    FrameError::UnknownType(kind.chars().take(64).collect())
}
