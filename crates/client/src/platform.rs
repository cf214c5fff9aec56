use core::convert::Infallible;
use core::fmt;
use core::time::Duration;

use bellwether_protocol::CloseCode;
use bellwether_protocol::json::decimal;
use thiserror::Error;

use crate::ServerUrl;

/// The functions that the client needs from its environment.
///
/// The futures carry no `Send` bound, because the futures of a browser are not `Send`. If the
/// platform's own futures are `Send`, the future of [`OneShot::execute`](crate::OneShot::execute)
/// on that platform is `Send`, too.
#[allow(async_fn_in_trait, reason = "see above: the bound is left to the platform")]
pub trait Platform {
    /// An open connection.
    type Connection: Connection;

    /// Opens a WebSocket with the subprotocol `bellwether.v1`. The platform need not limit the
    /// time: the client drops the future at its own time limit. Dropping the future must also close
    /// the connection that is being opened.
    async fn connect(&self, server: &ServerUrl) -> Result<Self::Connection, ConnectError>;

    /// Waits.
    async fn sleep(&self, duration: Duration);

    /// Returns the time since some fixed moment, from a clock that never goes back.
    fn now(&self) -> Duration;

    /// Returns random bytes for ids. No other client may draw the same bytes.
    fn random(&self) -> [u8; 10];
}

/// An open WebSocket. Dropping it must free the socket, without waiting for the other side.
#[allow(async_fn_in_trait, reason = "as for Platform")]
pub trait Connection {
    /// The keepalive of a connection. A platform that cannot send pings uses [`Infallible`].
    type Keepalive: Keepalive;

    /// Sends one text message. `Ok` does not mean that it has arrived: only an answer does.
    async fn send(&mut self, text: String) -> Result<(), Closed>;

    /// Waits for the next text message. Dropping the future must lose no message.
    ///
    /// A platform with a [`keepalive`](Self::keepalive) sends a ping in here when one is due.
    async fn recv(&mut self) -> Result<String, Closed>;

    /// Returns the keepalive of this connection, or `None` if the platform cannot send pings.
    /// Browsers cannot. Without pings, the client recognizes a dead server, but not a dead
    /// connection to a live server.
    fn keepalive(&self) -> Option<Self::Keepalive>;

    /// Closes the connection with close code 1000, without waiting for the other side.
    async fn close(self);
}

/// The pings of one connection, with which the client checks it while [`Connection::recv`] waits.
///
/// A server that was paused or a cut network does not end a connection. Only a ping without an
/// answer shows that the connection is dead.
pub trait Keepalive {
    /// Asks for a ping (RFC 6455, section 5.5.2). The connection sends it when
    /// [`Connection::recv`] is polled next.
    fn ask_for_ping(&self);

    /// Returns the time at which the last byte arrived, in a frame or in a pong, by
    /// [`Platform::now`]. Returns zero if none has arrived.
    fn heard(&self) -> Duration;
}

impl Keepalive for Infallible {
    fn ask_for_ping(&self) {
        match *self {}
    }

    fn heard(&self) -> Duration {
        match *self {}
    }
}

/// The reason why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// No server answers at this address, but one may answer a moment later.
    #[error("{0}")]
    Unreachable(String),
    /// The server has no room for another connection at this moment: it answers HTTP 503. A
    /// platform that cannot recognize this case uses `Unreachable`.
    #[error("{0}")]
    NoRoom(String),
    /// The program at the address is no WebSocket server or does not speak `bellwether.v1`, it
    /// refuses this client, or this platform cannot speak to it. Another attempt would not help.
    #[error("{0}")]
    BadEndpoint(String),
    /// The server did not prove over TLS that it is the server of the URL: this client does not
    /// accept its certificate. Another attempt would not help. A platform that cannot recognize
    /// this case uses `Unreachable`.
    #[error("{0}")]
    NotProven(String),
}

/// The error of a closed connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// The close code, if the other side sent one.
    pub code: Option<u16>,
    /// The reason that the other side, or the operating system, gave. The text may be empty.
    pub reason: String,
}

impl Closed {
    /// Returns the error of a connection that broke without a close frame.
    pub fn broken(reason: impl Into<String>) -> Self {
        Self {
            code: None,
            reason: reason.into(),
        }
    }

    /// Returns `true` if the server closed the connection because of a fault of the client. Only
    /// this protocol uses these codes, so no proxy sends them.
    pub(crate) fn blames_the_client(&self) -> bool {
        matches!(
            self.known(),
            Some(CloseCode::BadFrame | CloseCode::HelloRequired | CloseCode::TooMany)
        )
    }

    /// Returns `true` if this end of a connection means that the command on it was not executed.
    /// Codes below 4000 never mean that: a proxy may send them while the server executes the
    /// command.
    pub(crate) fn rules_out_execution(&self) -> bool {
        matches!(
            self.known(),
            Some(
                CloseCode::BadFrame
                    | CloseCode::HelloRequired
                    | CloseCode::Timeout
                    | CloseCode::Unauthenticated
            )
        )
    }

    /// Returns `true` if the same command would end the connection in the same way again. The
    /// message, or its reply, was too long for some part of the connection, or the client is at
    /// fault.
    pub(crate) fn is_final(&self) -> bool {
        self.blames_the_client() || self.known() == Some(CloseCode::TooBig)
    }

    pub(crate) fn known(&self) -> Option<CloseCode> {
        self.code.and_then(CloseCode::from_code)
    }
}

impl Closed {
    /// Returns the reason, for people.
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
