use core::fmt;

use serde::{Deserialize, Serialize};

/// Effect of a command on the data. Every error states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// This attempt has had no effect and will have none. An earlier attempt with the same id may
    /// have had one.
    NotExecuted,
    /// The command may or may not have had its effect. The same id, sent again, settles this. A
    /// server executes the command if it was not executed, and otherwise sends the first reply.
    Unknown,
    /// The command has had its effect, once, and MongoDB has committed the effect to a majority.
    Executed,
}

impl Outcome {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::NotExecuted, Self::Unknown, Self::Executed];
        all.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// Returns the name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotExecuted => "not_executed",
            Self::Unknown => "unknown",
            Self::Executed => "executed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Next step of a client after an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhatNext {
    /// Pass the same command, with the same id, to the next server of the list.
    TryNextServer,
    /// Stop: every server would answer the same.
    GiveUp,
}

/// The stable codes of error frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// This server is a follower; the frame names the coordinator it knows.
    NotCoordinator,
    /// This server knows of no coordinator: an election is under way, or MongoDB cannot be reached.
    NoCoordinator,
    /// A newer coordinator has taken over while this one worked on the command.
    Fenced,
    /// The server is shutting down or handing over.
    Draining,
    /// The queue is full.
    Overloaded,
    /// MongoDB has no reachable primary.
    DatabaseUnavailable,
    /// The command's deadline has passed.
    Deadline,
    /// The command is not a document in MongoDB Extended JSON, or repeats a field.
    BadCommand,
    /// The server does not pass on this command, or an option or operator in it.
    CommandNotAllowed,
    /// The command is nested deeper than the limit.
    TooDeep,
    /// The reply would be larger than the limit. The command has changed nothing.
    ResultTooLarge,
    /// A command with another text was executed under this id.
    IdReused,
    /// The id's timestamp lies outside the time for which ids are remembered.
    IdExpired,
    /// The command was executed before. Its reply was larger than the server keeps, so the server
    /// cannot repeat the reply.
    ReplyNotKept,
    /// MongoDB refused the command; the frame carries its code, name and message.
    Mongo,
    /// The server could not read the frame. With an id, the fault concerns that command or question
    /// only. Without an id, the server then closes the connection.
    BadFrame,
    /// The client expected another cluster. The server then closes the connection.
    WrongCluster,
    /// The server executes commands of authenticated clients only, and this connection has proven
    /// no identity, or its token has expired.
    Unauthenticated,
    /// The client asks about a command of another subject.
    Forbidden,
    /// A fault in the server itself.
    Internal,
    /// A code that this version of the crate does not know. Treat the error by its `outcome` and
    /// try the next server.
    #[serde(other)]
    Unrecognized,
}

impl ErrorCode {
    /// All codes that a server of this version sends.
    pub const ALL: [ErrorCode; 20] = [
        Self::NotCoordinator,
        Self::NoCoordinator,
        Self::Fenced,
        Self::Draining,
        Self::Overloaded,
        Self::DatabaseUnavailable,
        Self::Deadline,
        Self::BadCommand,
        Self::CommandNotAllowed,
        Self::TooDeep,
        Self::ResultTooLarge,
        Self::IdReused,
        Self::IdExpired,
        Self::ReplyNotKept,
        Self::Mongo,
        Self::BadFrame,
        Self::WrongCluster,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Internal,
    ];

    pub(crate) fn from_name(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|code| code.as_str() == name);
        known.unwrap_or(Self::Unrecognized)
    }

    /// Returns the name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotCoordinator => "not_coordinator",
            Self::NoCoordinator => "no_coordinator",
            Self::Fenced => "fenced",
            Self::Draining => "draining",
            Self::Overloaded => "overloaded",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::Deadline => "deadline",
            Self::BadCommand => "bad_command",
            Self::CommandNotAllowed => "command_not_allowed",
            Self::TooDeep => "too_deep",
            Self::ResultTooLarge => "result_too_large",
            Self::IdReused => "id_reused",
            Self::IdExpired => "id_expired",
            Self::ReplyNotKept => "reply_not_kept",
            Self::Mongo => "mongo",
            Self::BadFrame => "bad_frame",
            Self::WrongCluster => "wrong_cluster",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Internal => "internal",
            Self::Unrecognized => "unrecognized",
        }
    }

    /// Returns the client's next step. [`WhatNext::TryNextServer`] if another server, or the same
    /// server a moment later, may answer differently.
    pub const fn what_next(self) -> WhatNext {
        match self {
            Self::NotCoordinator
            | Self::NoCoordinator
            | Self::Fenced
            | Self::Draining
            | Self::Overloaded
            | Self::DatabaseUnavailable
            | Self::Deadline
            | Self::WrongCluster
            | Self::Internal
            | Self::Unrecognized => WhatNext::TryNextServer,
            Self::BadCommand
            | Self::CommandNotAllowed
            | Self::TooDeep
            | Self::ResultTooLarge
            | Self::IdReused
            | Self::IdExpired
            | Self::ReplyNotKept
            | Self::Mongo
            | Self::BadFrame
            | Self::Unauthenticated
            | Self::Forbidden => WhatNext::GiveUp,
        }
    }

    /// Returns `true` if this code proves that earlier attempts had no effect. A server sends such
    /// a code only after it has looked up the command's id, in a transaction under its own epoch.
    ///
    /// If it did not find the id, no earlier attempt without an answer had an effect, and none can
    /// have an effect later.
    pub const fn settles_earlier_attempts(self) -> bool {
        matches!(self, Self::Mongo | Self::ResultTooLarge)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
