//! What two servers that know each other say on a connection, in either direction.

use bellwether_election::{Message, ServerId};
use futures_util::SinkExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tracing::debug;

use super::frame::to_json;
use super::proof::{Hellos, Role, Session};
use super::{CONNECT_TIMEOUT, Socket};

/// A connection on which both sides have shown who they are.
pub(super) struct Conversation {
    pub(super) peer: ServerId,
    pub(super) socket: Socket,
    /// If the servers have a secret.
    pub(super) sessions: Option<Sessions>,
}

/// What signs this side's messages, and what checks the other's.
pub(super) struct Sessions {
    own: Session,
    other: Session,
}

/// A frame that the peer has not sent, or not now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forged;

impl Sessions {
    /// `own` is this side's role.
    pub(super) fn new(hellos: Hellos<'_>, secret: &[u8], own: Role) -> Self {
        Self {
            own: hellos.session(secret, own),
            other: hellos.session(secret, own.other()),
        }
    }
}

impl Conversation {
    pub(super) async fn say(&mut self, message: &Message) -> Result<(), tungstenite::Error> {
        let message = to_json(message);
        let frame = match &mut self.sessions {
            Some(sessions) => Frame::binary(sessions.own.seal(&message)),
            None => Frame::text(message),
        };
        // A peer that takes nothing must not keep this side from hearing what it says.
        let sent = timeout(CONNECT_TIMEOUT, self.socket.send(frame)).await;
        sent.unwrap_or(Err(tungstenite::Error::ConnectionClosed))
    }

    /// The message in a frame, if it holds one that this server understands.
    pub(super) fn read(&mut self, frame: &Frame) -> Result<Option<Message>, Forged> {
        let message = match (frame, &mut self.sessions) {
            (Frame::Text(text), None) => text.as_bytes(),
            (Frame::Binary(sealed), Some(sessions)) => sessions.other.open(sealed).ok_or(Forged)?,
            (Frame::Text(_) | Frame::Binary(_), _) => return Err(Forged),
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
