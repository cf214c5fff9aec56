//! A connection between two servers that have authenticated each other.

use bellwether_election::{Message, ServerId};
use futures_util::SinkExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tracing::debug;

use super::frame::to_json;
use super::proof::{Role, Session, Transcript};
use super::{CONNECT_TIMEOUT, Socket};

/// A connection on which both sides have proven their identity.
pub(super) struct Connection {
    pub(super) peer: ServerId,
    pub(super) socket: Socket,
    /// `None` if the servers have no secret.
    pub(super) sessions: Option<Sessions>,
}

/// The keys and counters that sign this side's messages and verify the other side's.
pub(super) struct Sessions {
    own: Session,
    other: Session,
}

/// A frame whose message authentication code does not fit its place on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadMac;

impl Sessions {
    /// Creates both sessions. `own` is this side's role.
    pub(super) fn new(transcript: Transcript<'_>, secret: &[u8], own: Role) -> Self {
        Self {
            own: transcript.session(secret, own),
            other: transcript.session(secret, own.other()),
        }
    }
}

impl Connection {
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), tungstenite::Error> {
        let message = to_json(message);
        let frame = match &mut self.sessions {
            Some(sessions) => Frame::binary(sessions.own.seal(&message)),
            None => Frame::text(message),
        };
        // A peer that does not read must not keep this side from reading.
        let sent = timeout(CONNECT_TIMEOUT, self.socket.send(frame)).await;
        sent.unwrap_or(Err(tungstenite::Error::ConnectionClosed))
    }

    /// Returns the message in a frame, or `None` if the frame has none that this server
    /// understands.
    pub(super) fn read(&mut self, frame: &Frame) -> Result<Option<Message>, BadMac> {
        let message = match (frame, &mut self.sessions) {
            (Frame::Text(text), None) => text.as_bytes(),
            (Frame::Binary(sealed), Some(sessions)) => sessions.other.open(sealed).ok_or(BadMac)?,
            (Frame::Text(_) | Frame::Binary(_), _) => return Err(BadMac),
            _ => return Ok(None),
        };
        // A newer server may know more messages than this one.
        let message = serde_json::from_slice(message);
        let message = message.inspect_err(
            |error| debug!(peer = %self.peer, %error, "a message this server does not understand"),
        );
        Ok(message.ok())
    }
}
