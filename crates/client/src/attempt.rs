use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bellwether_protocol::json::decimal;
use bellwether_protocol::{CloseCode, CoordinatorHint, ErrorCode, ErrorFrame, Outcome, RoleName, WhatNext};

use crate::{Closed, ConnectError, ServerUrl};

/// One attempt at one server.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The server's address.
    pub url: ServerUrl,
    /// The server's id, if the server has sent it.
    pub server: Option<String>,
    /// The pass over the list in which the attempt began, counted from 1.
    pub pass: u32,
    /// Set if a hint of another server led to this server before its turn.
    pub hinted: bool,
    /// Set if the client sent the command.
    pub sent: bool,
    /// Set if the command only reads, so that it has no effect in any case.
    pub only_reads: bool,
    /// The duration of the attempt.
    pub took: Duration,
    /// The end of the attempt.
    pub end: AttemptEnd,
}

impl Attempt {
    /// Returns the outcome of the command according to this attempt alone.
    pub fn outcome(&self) -> Outcome {
        let outcome = match &self.end {
            AttemptEnd::Executed => Outcome::Executed,
            AttemptEnd::Refused(frame) if self.sent => frame.outcome,
            AttemptEnd::Lost(Lost::Closed(closed)) if closed.rules_out_execution() => Outcome::NotExecuted,
            _ if self.sent => Outcome::Unknown,
            _ => Outcome::NotExecuted,
        };
        match outcome {
            Outcome::Unknown if self.only_reads => Outcome::NotExecuted,
            outcome => outcome,
        }
    }

    /// Returns `true` if the answer means that no earlier attempt had an effect or ever will have
    /// one. The server did not find the id, or found it with another command.
    pub(crate) fn settles_earlier_attempts(&self) -> bool {
        match &self.end {
            AttemptEnd::Refused(frame) if self.sent => {
                frame.code.settles_earlier_attempts() || frame.code == ErrorCode::IdReused
            }
            _ => false,
        }
    }

    /// Returns how well this attempt explains why there is no reply. Of two attempts with the same
    /// weight, the later one is preferred.
    pub(crate) fn weight(&self) -> u8 {
        match &self.end {
            AttemptEnd::Executed | AttemptEnd::Answered => 9,
            AttemptEnd::Refused(_) if self.end.what_next() == WhatNext::GiveUp => 8,
            AttemptEnd::TooLarge { .. } => 8,
            AttemptEnd::Lost(Lost::Closed(closed)) if closed.is_final() => 8,
            AttemptEnd::Lost(_) => 7,
            AttemptEnd::Cancelled => 6,
            AttemptEnd::Refused(_) => 5,
            end if end.is_about_origin() => 4,
            AttemptEnd::WrongCluster { .. } | AttemptEnd::HelloRefused(_) => 4,
            AttemptEnd::NotCoordinator { .. } => 3,
            AttemptEnd::Closed(_) | AttemptEnd::BadEndpoint(_) | AttemptEnd::NotProven(_) => 2,
            AttemptEnd::HelloTimeout
            | AttemptEnd::ConnectTimeout
            | AttemptEnd::Unreachable(_)
            | AttemptEnd::NoRoom(_) => 1,
            AttemptEnd::Overtaken => 0,
        }
    }
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// The server executed the command, now or earlier, and sent the reply.
    Executed,
    /// The server answered the question for the outcome of the command.
    Answered,
    /// No server answers at the address.
    Unreachable(String),
    /// The server has no room for another connection.
    NoRoom(String),
    /// The connection was not open within the time limit.
    ConnectTimeout,
    /// The program at the address is not a Bellwether server that this client can speak to.
    BadEndpoint(String),
    /// The server did not prove over TLS that it is the server of the URL.
    NotProven(String),
    /// The server accepted the connection, but did not introduce itself within the time limit.
    HelloTimeout,
    /// The server closed the connection before the command was sent.
    Closed(Closed),
    /// The server is not the coordinator, so the client did not send it the command.
    NotCoordinator {
        /// The role of the server.
        role: RoleName,
        /// The coordinator that the server knows.
        coordinator: Option<CoordinatorHint>,
    },
    /// The server does not belong to the expected cluster, so the client did not send it the
    /// command.
    WrongCluster {
        /// The cluster of the server.
        found: String,
    },
    /// The command is longer than the server accepts, so the client did not send it.
    TooLarge {
        /// Length of the message, in bytes.
        bytes: usize,
        /// The server's limit, in bytes.
        limit: u64,
    },
    /// The server answered the hello with an error, so the client did not send it the command. The
    /// error concerns the connection: another server may accept it.
    HelloRefused(Arc<ErrorFrame>),
    /// The server answered the command, or the question, with an error.
    Refused(Arc<ErrorFrame>),
    /// The client asked the server and received no answer. If it sent the command, the server may
    /// or may not have executed it.
    Lost(Lost),
    /// The caller stopped waiting.
    Cancelled,
    /// Another server had the command and decided it, so the client did not send it to this server.
    Overtaken,
}

/// The reason why no answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// No answer came, and the server gave no sign of life any more.
    Silence,
    /// No answer came before the time was over, although the server was alive.
    StillWorking,
    /// The connection closed before an answer came.
    Closed(Closed),
    /// The client could not understand the answer.
    Unreadable(String),
    /// No answer came, and meanwhile another server became coordinator. From then on the old server
    /// can commit nothing any more, so the client stopped waiting for it.
    Superseded {
        /// The new coordinator's epoch.
        epoch: u64,
    },
}

impl From<ConnectError> for AttemptEnd {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable(detail) => Self::Unreachable(detail),
            ConnectError::NoRoom(detail) => Self::NoRoom(detail),
            ConnectError::BadEndpoint(detail) => Self::BadEndpoint(detail),
            ConnectError::NotProven(detail) => Self::NotProven(detail),
        }
    }
}

impl AttemptEnd {
    /// Returns a stable name for programs: an error code of the protocol, or a code of this client.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Answered => "answered",
            Self::Unreachable(_) | Self::NoRoom(_) => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::BadEndpoint(_) => "bad_endpoint",
            Self::NotProven(_) => "not_proven",
            Self::HelloTimeout => "hello_timeout",
            Self::Closed(_) => "closed",
            Self::NotCoordinator { .. } => ErrorCode::NotCoordinator.as_str(),
            Self::WrongCluster { .. } => ErrorCode::WrongCluster.as_str(),
            Self::TooLarge { .. } => "too_large",
            Self::HelloRefused(frame) | Self::Refused(frame) => frame.code.as_str(),
            Self::Lost(_) => "lost",
            Self::Cancelled => "cancelled",
            Self::Overtaken => "overtaken",
        }
    }

    /// Returns the coordinator that the server named.
    pub fn coordinator(&self) -> Option<&CoordinatorHint> {
        match self {
            Self::NotCoordinator { coordinator, .. } => coordinator.as_ref(),
            Self::HelloRefused(frame) | Self::Refused(frame) => frame.coordinator.as_ref(),
            _ => None,
        }
    }

    /// Returns the next step of the client after this end.
    pub(crate) fn what_next(&self) -> WhatNext {
        match self {
            Self::Executed | Self::Answered | Self::Cancelled | Self::TooLarge { .. } => WhatNext::GiveUp,
            Self::Lost(Lost::Closed(closed)) if closed.is_final() => WhatNext::GiveUp,
            // The command was executed, and only its reply found no room. The stored reply is
            // available a moment later.
            end if end.is_overloaded() => WhatNext::TryNextServer,
            // The command was executed, but there is no reply to show. No other server has one.
            Self::Refused(frame) if frame.outcome == Outcome::Executed => WhatNext::GiveUp,
            Self::Refused(frame) => frame.code.what_next(),
            _ => WhatNext::TryNextServer,
        }
    }

    /// Returns `true` if the server worked on the command for all its time, and the command had no
    /// effect.
    pub(crate) fn needed_longer(&self) -> bool {
        matches!(
            self,
            Self::Refused(frame) if frame.code == ErrorCode::Deadline && frame.outcome == Outcome::NotExecuted
        )
    }

    /// Returns `true` if the server does not belong to the expected cluster.
    pub(crate) fn is_about_cluster(&self) -> bool {
        match self {
            Self::WrongCluster { .. } => true,
            Self::HelloRefused(frame) | Self::Refused(frame) => frame.code == ErrorCode::WrongCluster,
            Self::Closed(closed) => closed.known() == Some(CloseCode::WrongCluster),
            _ => false,
        }
    }

    /// Returns `true` if the server has no room for the command, or for its reply, at this moment.
    pub(crate) fn is_overloaded(&self) -> bool {
        matches!(self, Self::Refused(frame) if frame.code == ErrorCode::Overloaded)
    }

    /// Returns the time after which the server asked the client to come back.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(frame) => frame.retry_after_ms.map(Duration::from_millis),
            _ => None,
        }
    }

    /// Returns `true` if the same server would always give the same answer.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::BadEndpoint(_) | Self::NotProven(_) => true,
            end if end.is_about_cluster() => true,
            Self::HelloRefused(frame) => frame.code.what_next() == WhatNext::GiveUp,
            Self::Closed(closed) => {
                closed.blames_the_client()
                    || matches!(
                        closed.known(),
                        Some(CloseCode::OriginNotAllowed | CloseCode::UnsupportedProtocol)
                    )
            }
            _ => false,
        }
    }

    /// Returns `true` if the server had the command and closed the connection because of a fault of
    /// the client.
    pub(crate) fn blames_the_client(&self) -> bool {
        matches!(self, Self::Lost(Lost::Closed(closed)) if closed.blames_the_client())
    }

    /// Returns `true` if the server does not let pages of this origin connect. Its reason names the
    /// option that would let them connect.
    pub(crate) fn is_about_origin(&self) -> bool {
        matches!(self, Self::Closed(closed) if closed.known() == Some(CloseCode::OriginNotAllowed))
    }
}

impl AttemptEnd {
    /// Returns a description of what the server did, for people.
    pub fn text(&self) -> String {
        let (text, detail) = match self {
            Self::Executed => ("executed it", None),
            Self::Answered => ("answered with the outcome", None),
            Self::Unreachable(detail) | Self::NoRoom(detail) => ("not reachable: ", Some(detail.clone())),
            Self::ConnectTimeout => ("did not accept a connection in time", None),
            Self::BadEndpoint(detail) => ("not a Bellwether server: ", Some(detail.clone())),
            Self::NotProven(detail) => ("not trusted: ", Some(detail.clone())),
            Self::HelloTimeout => (
                "accepted the connection, then did not introduce itself in time",
                None,
            ),
            Self::Closed(closed) => ("closed before the command was sent: ", Some(closed.text())),
            Self::NotCoordinator { role, coordinator } => {
                ("is ", Some(not_coordinator(*role, coordinator.as_ref())))
            }
            Self::WrongCluster { found } => {
                ("belongs to another cluster, ", Some(["\"", found, "\""].concat()))
            }
            Self::TooLarge { bytes, limit } => {
                let bytes = decimal(*bytes as u64);
                let rest = [&*decimal(*limit), " bytes at most; the command takes ", &bytes].concat();
                ("accepts ", Some(rest))
            }
            Self::HelloRefused(frame) | Self::Refused(frame) => match &frame.mongo {
                Some(mongo) => ("MongoDB refused it: ", Some(mongo.text())),
                None => (frame.code.as_str(), Some([": ", &*frame.message].concat())),
            },
            Self::Lost(Lost::Silence) => ("received the command, then gave no sign of life", None),
            Self::Lost(Lost::StillWorking) => ("was still at work on it when the time was over", None),
            Self::Lost(Lost::Closed(closed)) => {
                ("received the command, but no answer came: ", Some(closed.text()))
            }
            Self::Lost(Lost::Unreadable(detail)) => (
                "received the command and answered something else: ",
                Some(detail.clone()),
            ),
            Self::Lost(Lost::Superseded { epoch }) => (
                "received the command and stayed silent, and another server became coordinator (epoch ",
                Some(decimal(*epoch) + ")"),
            ),
            Self::Cancelled => ("cancelled", None),
            Self::Overtaken => ("another server was faster", None),
        };
        [text, &detail.unwrap_or_default()].concat()
    }
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

fn not_coordinator(role: RoleName, coordinator: Option<&CoordinatorHint>) -> String {
    let role = match role {
        RoleName::Follower => "a follower",
        RoleName::Electing => "in an election",
        RoleName::Draining => "shutting down",
        _ => "not the coordinator",
    };
    match coordinator {
        Some(CoordinatorHint { server, url }) => {
            let (at, url) = url.as_deref().map_or(("", ""), |url| (" at ", url));
            [role, "; coordinator is ", server, at, url].concat()
        }
        None => [role, " and knows no coordinator"].concat(),
    }
}
