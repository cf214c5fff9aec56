use core::fmt;
use core::time::Duration;

use bellwether_protocol::CloseCode;
use bellwether_protocol::json::decimal;
use thiserror::Error;

use crate::ServerUrl;

/// What the client needs from its surroundings.
///
/// The futures carry no `Send` bound, because those of a browser are not `Send`. Where a platform's
/// own futures are, so is the future of [`OneShot::execute`](crate::OneShot::execute) on that
/// platform.
#[allow(async_fn_in_trait, reason = "see above: the bound is left to the platform")]
pub trait Platform {
    /// An open connection.
    type Connection: Connection;

    /// Opens a WebSocket with the subprotocol `bellwether.v1`. There is no need to limit the time
    /// it takes: the client drops the future when its own limit has passed, and whatever was being
    /// opened must go with it.
    async fn connect(&self, server: &ServerUrl) -> Result<Self::Connection, ConnectError>;

    /// Waits.
    async fn sleep(&self, duration: Duration);

    /// The time since some fixed moment, by a clock that never goes back.
    fn now(&self) -> Duration;

    /// Random bytes, fit for ids that nobody else draws.
    fn random(&self) -> [u8; 10];
}

/// An open WebSocket. Dropping it must free the socket, without waiting for the other side.
#[allow(async_fn_in_trait, reason = "as for Platform")]
pub trait Connection {
    /// Sends one text message. `Ok` says nothing about its arrival: only an answer does.
    async fn send(&mut self, text: String) -> Result<(), Closed>;

    /// Waits for the next text message. Must lose nothing when the future is dropped.
    async fn recv(&mut self) -> Result<String, Closed>;

    /// Says goodbye with close code 1000, without waiting for the other side.
    async fn close(self);
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// Nothing answers at this address. A moment later something may.
    #[error("{0}")]
    Unreachable(String),
    /// The server is there and has no room for another connection at this moment: it answers HTTP 503. A platform that
    /// cannot tell this from `Unreachable` says `Unreachable`.
    #[error("{0}")]
    NoRoom(String),
    /// Something answers that is no WebSocket or does not speak `bellwether.v1`, it refuses this
    /// client, or this platform cannot speak to it. Asking again would not help.
    #[error("{0}")]
    BadEndpoint(String),
}

/// The connection is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// The close code, if the other side sent one.
    pub code: Option<u16>,
    /// What the other side, or the system, gave as the reason. May be empty.
    pub reason: String,
}

impl Closed {
    /// A connection that broke without a close frame.
    pub fn broken(reason: impl Into<String>) -> Self {
        Self {
            code: None,
            reason: reason.into(),
        }
    }

    /// Returns `true` if the server closed the connection for a fault of the client. These codes
    /// are the protocol's own, so no proxy sends them.
    pub(crate) fn blames_the_client(&self) -> bool {
        matches!(
            self.known(),
            Some(CloseCode::BadFrame | CloseCode::HelloRequired | CloseCode::TooMany)
        )
    }

    /// Returns `true` if this end of a connection says that the command sent on it was not
    /// executed. Codes below 4000 never do: something between client and server may send them while
    /// the server executes the command.
    pub(crate) fn rules_out_execution(&self) -> bool {
        matches!(
            self.known(),
            Some(CloseCode::BadFrame | CloseCode::HelloRequired | CloseCode::Timeout)
        )
    }

    /// Returns `true` if the connection would end like this again for the command that was sent on
    /// it. The message, or its reply, was too long for something on the way, or the client is at
    /// fault.
    pub(crate) fn is_final(&self) -> bool {
        self.blames_the_client() || self.known() == Some(CloseCode::TooBig)
    }

    pub(crate) fn known(&self) -> Option<CloseCode> {
        self.code.and_then(CloseCode::from_code)
    }
}

impl Closed {
    /// Why it is gone.
    pub fn text(&self) -> String {
        let meaning = match self.known() {
            Some(CloseCode::Normal) => "the server said goodbye",
            Some(CloseCode::TooBig) => "the message was too large for it",
            Some(CloseCode::Restart) => "the server is shutting down",
            Some(CloseCode::TryAgainLater) => "the server has no room for another connection",
            Some(CloseCode::BadFrame | CloseCode::HelloRequired | CloseCode::InvalidUtf8) => {
                "the server did not understand the client"
            }
            Some(CloseCode::WrongCluster) => "the server belongs to another cluster",
            Some(CloseCode::OriginNotAllowed) => "the server does not let this page connect",
            Some(CloseCode::UnsupportedProtocol) => "the server does not speak bellwether.v1",
            Some(CloseCode::Timeout) => "the server waited too long for the client",
            Some(CloseCode::TooMany) => "the client greeted twice",
            _ => "the connection broke",
        };
        let colon = if self.reason.is_empty() { "" } else { ": " };
        match self.code {
            None => [meaning, colon, &self.reason].concat(),
            Some(code) => {
                let code = decimal(code.into());
                [meaning, " (close code ", &code, colon, &self.reason, ")"].concat()
            }
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
