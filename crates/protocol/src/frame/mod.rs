//! The frames. Each is one JSON object in one WebSocket text message, with its name in `type`.
//! Fields a receiver does not know are ignored, so that fields can be added.

mod client_side;
mod server_side;
#[cfg(test)]
mod tests;

use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(feature = "tokens")]
use crate::Token;
use crate::json::decimal;
use crate::{CommandId, ErrorCode, Outcome, RawJson};

/// A frame from a client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientFrame {
    /// The first frame of a connection.
    Hello(Hello),
    /// A command to execute.
    Command(Command),
    /// A question: what became of a command?
    Outcome(OutcomeQuery),
    /// A token that replaces the one of `hello`, or the first one of the connection.
    #[cfg(feature = "tokens")]
    Token(Token),
}

/// The first frame of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Name and version of the client program, for the server's log, such as
    /// `bellwether-cli/0.1.0`.
    pub client: String,
    /// Cluster that the client expects. A server of another cluster refuses the client.
    pub cluster: Option<String>,
    /// Proof of the client's identity, for a server that asks for one.
    #[cfg(feature = "tokens")]
    pub token: Option<Token>,
}

impl Hello {
    /// Returns the first frame of a client with this name and version, which has no token.
    pub fn new(client: impl Into<String>, cluster: Option<String>) -> Self {
        Self {
            client: client.into(),
            cluster,
            #[cfg(feature = "tokens")]
            token: None,
        }
    }

    /// Returns the same frame with this token.
    #[cfg(feature = "tokens")]
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }
}

/// A command to execute.
#[derive(Clone, Debug)]
pub struct Command {
    /// Id of the command: the same for every attempt at the same command.
    pub id: CommandId,
    /// Time limit for the server's work on the command, in milliseconds from its arrival. `None`
    /// means the server's default. A value above the server's maximum counts as the maximum.
    pub deadline_ms: Option<u64>,
    /// The MongoDB command document in Extended JSON, as the user wrote it.
    pub command: RawJson,
}

/// A question for the outcome of the command with this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeQuery {
    /// The command's id.
    pub id: CommandId,
    /// Time limit for the server to answer the question, in milliseconds from its arrival. `None`
    /// means the server's default. A value above the server's maximum counts as the maximum.
    pub deadline_ms: Option<u64>,
}

/// A frame from a server.
#[derive(Clone, Debug)]
pub enum ServerFrame {
    /// The answer to `hello`.
    HelloOk(HelloOk),
    /// The answer to a token that the server has accepted after `hello`.
    TokenOk(Identity),
    /// A command's reply.
    Result(CommandResult),
    /// The outcome of a command: the answer to an [`OutcomeQuery`].
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
    /// The newest epoch of a coordinator that the server knows.
    pub epoch: Option<u64>,
    /// The coordinator the server knows, itself included.
    pub coordinator: Option<CoordinatorHint>,
    /// The server's clock, in milliseconds since the Unix epoch. Command ids are made from it.
    pub server_time_ms: u64,
    /// The limits of the server.
    pub limits: Limits,
    /// The identity of the client, if its token has proven one. A client without the feature
    /// `tokens` does not read it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Box<Identity>>,
}

/// The identity that a client's token has proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The subject that the token names.
    pub subject: String,
    /// The roles that the token names.
    pub roles: Vec<String>,
    /// End of the token, in milliseconds since the Unix epoch, by the clock of its issuer. The
    /// server executes no command of the connection from 30 s after it on.
    pub token_expires_ms: u64,
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
    /// A role that this version of the crate does not know. The server is not the coordinator.
    #[serde(other)]
    Unrecognized,
}

impl RoleName {
    const KNOWN: [Self; 4] = [Self::Coordinator, Self::Follower, Self::Electing, Self::Draining];

    pub(crate) fn from_name(name: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|role| role.as_str() == name);
        known.unwrap_or(Self::Unrecognized)
    }

    /// Returns the name on the wire.
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

/// The coordinator, as far as the sender knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordinatorHint {
    /// Id of the coordinator.
    pub server: String,
    /// URL for clients. A client follows it only to a server on its own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Limits of a server.
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
    /// Time for which the server remembers an id, in milliseconds.
    pub retention_ms: u64,
}

/// A command's reply.
#[derive(Clone, Debug)]
pub struct CommandResult {
    /// The command's id.
    pub id: CommandId,
    /// The epoch in which the command was executed.
    pub epoch: u64,
    /// `true` if this is the stored reply of an earlier execution.
    pub replayed: bool,
    /// MongoDB's reply document in canonical Extended JSON.
    pub result: RawJson,
}

/// The outcome of a command: the answer to an [`OutcomeQuery`].
///
/// The outcome is that of the moment of the answer. [`Outcome::NotExecuted`] says that the command
/// has had no effect until then. An attempt on its way, or a later attempt with the same id, may
/// still execute the command. [`Outcome::Unknown`] says that the command waits in the server's
/// queue: ask again.
#[derive(Clone, Debug)]
pub struct OutcomeResult {
    /// The command's id.
    pub id: CommandId,
    /// The outcome.
    pub outcome: Outcome,
    /// The epoch in which the command was executed, if it was executed.
    pub epoch: Option<u64>,
    /// The reply in canonical Extended JSON, if the command was executed and the server kept the
    /// reply.
    pub result: Option<RawJson>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "type", rename = "error")]
#[error("{code}: {message}")]
pub struct ErrorFrame {
    /// Id of the command, if the error belongs to a command and not to the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The error, for programs.
    pub code: ErrorCode,
    /// The error, for people.
    pub message: String,
    /// The next step, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The outcome of the command.
    pub outcome: Outcome,
    /// The coordinator that the server knows, if that helps the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<CoordinatorHint>,
    /// Time after which another attempt at this server is worthwhile, in milliseconds, for the code
    /// `overloaded`. The server estimates it from the length of its queue and the rate of its
    /// answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// MongoDB's error, for the code `mongo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mongo: Option<MongoError>,
}

impl ErrorFrame {
    /// Returns an error with the compulsory fields only.
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

    /// Returns the same error for the command with this id.
    #[must_use]
    pub fn for_command(mut self, id: CommandId) -> Self {
        self.id = Some(id);
        self
    }

    /// Returns the same error with a hint on the next step.
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
    /// MongoDB's name for the error.
    pub code_name: String,
    /// MongoDB's message.
    pub message: String,
    /// Index of the statement that failed, from 0, for write errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<i32>,
    /// Index of the command that failed, from 0, in a list of commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<u32>,
    /// MongoDB's details of the error for programs, if there are any.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<MongoErrorDetails>>,
}

/// Details of MongoDB's error for programs, in canonical Extended JSON, under MongoDB's own names.
/// A server leaves out a part that is longer than 16 KiB, or 96 KiB for `writeErrors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MongoErrorDetails {
    /// Details of the refusal, such as the rule by which a document fails its collection's
    /// validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_info: Option<RawJson>,
    /// The fields of the unique index that has the key already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_pattern: Option<RawJson>,
    /// The key that the index has already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_value: Option<RawJson>,
    /// The array of errors, for write errors.
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
    /// Returns an error with the compulsory fields only.
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

    /// Returns the message, with the name and the number of the error.
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
        /// The command that the frame is about, if its id is readable.
        id: Option<CommandId>,
        /// The fault.
        detail: String,
    },
}

impl FrameError {
    /// Returns the command that the frame is about, if its id is readable. The fault then concerns
    /// this command only.
    pub fn id(&self) -> Option<CommandId> {
        match self {
            Self::NotAFrame(_) | Self::UnknownType(_) => None,
            Self::BadFields { id, .. } => *id,
        }
    }

    /// Returns the fault as a text.
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

/// Shortens the text of serde, which may quote a whole field. Keeps its beginning and its end.
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
