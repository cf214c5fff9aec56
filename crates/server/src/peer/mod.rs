//! The servers' links to each other: a [`Transport`] for the election over WebSocket.
//!
//! Every server dials every other server and sends on the connection that it dialled. Every server
//! receives on the connections that it accepted. Two servers therefore need not agree on which of
//! two connections to keep. The end of the dialled connection is a hint that the peer may be gone.
//!
//! If a server cannot dial a peer that has dialled it, it answers on that connection. After a move,
//! a server is known by its old address for a while. That server must not take the silence of the
//! others for their absence.
//!
//! If the servers have a secret, both sides of a connection first prove that they have it. They
//! then sign each message: see `proof`. Until the dialler has proven itself, the acceptor sends it
//! no name. No web page gets that far: see `browser`.

mod accept;
mod admission;
mod browser;
mod connection;
mod dial;
mod directory;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod inbound_link;
mod proof;
mod refusal;
mod rejection_log;
mod secret;

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_election::{Event, Message, ServerId, Transport};
use bellwether_protocol::close_reason;
use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};

pub(crate) use directory::Directory;
use frame::{Bytes, PeerHello};
use inbound_link::InboundLink;
use refusal::Refusal;
pub use secret::{PeerSecrets, PeerSecretsError};

use crate::log_throttle::LogThrottle;

/// Number of messages that may wait for a peer. Further messages to a peer that does not read are
/// dropped.
const QUEUE: usize = 64;
/// Time limit for establishing a connection, including the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for the other side to receive a refusal. This limit is shorter than the limit of the
/// handshake, because a refusal is a part of the handshake.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);
/// Interval between two pings on a connection. The election's own heartbeats run only between
/// coordinator and followers.
const PING_EVERY: Duration = Duration::from_secs(2);
/// Time without any arrival after which a connection is given up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(7);

/// The names of this server for its peers, and the addresses of the peers.
#[derive(Clone, Debug)]
pub(crate) struct PeerSettings {
    pub(crate) cluster: String,
    pub(crate) id: ServerId,
    pub(crate) client_url: Option<String>,
    /// Host and port of every other server. Each connection resolves the name again.
    pub(crate) peers: BTreeMap<ServerId, String>,
    pub(crate) secrets: Option<PeerSecrets>,
}

type Socket = WebSocketStream<TcpStream>;

/// The transport. After a drop it still sends its last messages; see [`Flush`].
pub(crate) struct PeerTransport {
    outboxes: BTreeMap<ServerId, mpsc::Sender<Message>>,
    events: mpsc::Receiver<Event>,
    _accepting: JoinSet<()>,
}

/// Waits until the last messages of a dropped transport are sent.
pub(crate) struct Flush(JoinSet<()>);

impl Flush {
    /// Waits for at most `limit`.
    pub(crate) async fn wait(mut self, limit: Duration) {
        let all = async { while self.0.join_next().await.is_some() {} };
        // Messages that remain unsent may be lost, as any message of the election may be.
        let _ = timeout(limit, all).await;
    }
}

impl PeerTransport {
    pub(crate) fn start(
        settings: PeerSettings,
        listener: TcpListener,
        directory: &Directory,
    ) -> (PeerTransport, Flush) {
        let settings = Arc::new(settings);
        let (events_tx, events) = mpsc::channel(1024);
        let mut dialling = JoinSet::new();
        let mut outboxes = BTreeMap::new();
        let mut incoming_of = BTreeMap::new();
        for (peer, address) in &settings.peers {
            let (outbox, messages) = mpsc::channel(QUEUE);
            let inbound = InboundLink::default();
            let dialler = dial::Dialler {
                peer: peer.clone(),
                address: address.clone(),
                settings: Arc::clone(&settings),
                directory: directory.clone(),
                events: events_tx.clone(),
                inbound: inbound.clone(),
            };
            dialling.spawn(dialler.run(messages));
            outboxes.insert(peer.clone(), outbox);
            incoming_of.insert(peer.clone(), inbound);
        }
        let mut accepting = JoinSet::new();
        let acceptor = accept::Acceptor {
            settings,
            directory: directory.clone(),
            events: events_tx,
            inbound: incoming_of,
            rejections: rejection_log::RejectionLog::default(),
            pages: LogThrottle::default(),
        };
        accepting.spawn(acceptor.run(listener));
        (
            PeerTransport {
                outboxes,
                events,
                _accepting: accepting,
            },
            Flush(dialling),
        )
    }
}

impl Transport for PeerTransport {
    fn send(&mut self, to: &ServerId, message: Message) {
        if let Some(outbox) = self.outboxes.get(to) {
            // A full queue means that the peer does not read. The peer learns the newest state
            // later.
            let _ = outbox.try_send(message);
        }
    }

    async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * frame::MAX_MESSAGE_BYTES)
        .max_message_size(Some(frame::MAX_MESSAGE_BYTES))
        .max_frame_size(Some(frame::MAX_MESSAGE_BYTES))
}

fn hello(settings: &PeerSettings, to: &ServerId) -> PeerHello {
    PeerHello {
        cluster: settings.cluster.clone(),
        from: settings.id.clone(),
        to: to.clone(),
        client_url: settings.client_url.clone(),
        nonce: settings.secrets.as_ref().map(|_| Bytes(rand::random())),
    }
}

/// Tells the other side the reason, as far as it may know it, and waits a moment until it has
/// received the reason. Closing a socket with unread bytes would discard the last message.
async fn refuse(socket: &mut Socket, refusal: &Refusal) {
    let close = CloseFrame {
        code: refusal.code.into(),
        reason: close_reason(refusal.told().to_owned()).into(),
    };
    let told = async {
        if socket.close(Some(close)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    let _ = timeout(REFUSAL_TIMEOUT, told).await;
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
