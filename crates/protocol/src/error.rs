use core::fmt;

use serde::{Deserialize, Serialize};

/// What became of a command. Every error says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// This attempt at it has had no effect and will have none. What an earlier one with the same id did, this does
    /// not say.
    NotExecuted,
    /// It may or may not have had its effect. Asking again with the same id settles it: the command runs if
    /// it had not, and its first reply comes back if it had.
    Unknown,
    /// It has had its effect, once, and MongoDB has committed it to a majority.
    Executed,
}

impl Outcome {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let all = [Self::NotExecuted, Self::Unknown, Self::Executed];
        all.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// The name on the wire.
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

/// What a client should do about an error code.
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
    /// The command, or an option or operator in it, is not one this server passes on.
    CommandNotAllowed,
    /// The command is nested deeper than the limit.
    TooDeep,
    /// The reply would be larger than the limit. Nothing was changed.
    ResultTooLarge,
    /// A command with another text was executed under this id.
    IdReused,
    /// The id's timestamp lies outside the time for which ids are remembered.
    IdExpired,
    /// The command was executed before; its reply was larger than the server keeps, so it cannot be given
    /// again.
    ReplyNotKept,
    /// MongoDB refused the command; the frame carries its code, name and message.
    Mongo,
    /// The frame could not be understood. With an id, the fault concerns that command or question only; without one, the
    /// connection is closed after it.
    BadFrame,
    /// The client expected another cluster; the connection is closed after it.
    WrongCluster,
    /// A fault in the server itself.
    Internal,
    /// A code this version of the crate does not know. Treat it by its `outcome` and try the next server.
    #[serde(other)]
    Unrecognized,
}

impl ErrorCode {
    /// Every code a server of this version sends.
    pub const ALL: [ErrorCode; 18] = [
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
        Self::Internal,
    ];

    pub(crate) fn from_name(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|code| code.as_str() == name);
        known.unwrap_or(Self::Unrecognized)
    }

    /// The name on the wire.
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
            Self::Internal => "internal",
            Self::Unrecognized => "unrecognized",
        }
    }

    /// Whether another server, or the same one a moment later, may answer differently.
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
            | Self::BadFrame => WhatNext::GiveUp,
        }
    }

    /// Whether a server answers with this code only after it has looked the command's id up and not found
    /// it, in a transaction under its own epoch. Such an answer settles every earlier attempt that ended
    /// without one: none of them had an effect, and none can have one later.
    pub const fn settles_earlier_attempts(self) -> bool {
        matches!(self, Self::Mongo | Self::ResultTooLarge)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
