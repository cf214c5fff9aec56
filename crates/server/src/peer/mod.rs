//! The servers' links to each other: a [`Transport`] for the election over WebSocket.
//!
//! Every server dials every other and sends on the connection it dialled; it receives on those it
//! accepted. So no two servers have to agree on which of two connections to keep, and the end of
//! the dialled connection is the hint that its peer may be gone. While a peer cannot be dialled,
//! and has dialled this server, it is answered on that connection: a server that has just moved is
//! known by an old address for a while, and must not take the others' silence for their absence.
//!
//! Where the servers have a secret, both sides of a connection prove it before anything else
//! happens, and each message is signed: see `proof`. Until the dialler has, the acceptor tells it
//! no name; and no web page gets that far: see `browser`.

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

/// A message to a peer that does not read is dropped once this many wait for it.
const QUEUE: usize = 64;
/// How long a connection may take to come about, handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the other side may take to hear that it is refused. Less than a handshake may take,
/// which it is part of.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a connection is pinged. The election's own heartbeats run between coordinator and
/// followers only.
const PING_EVERY: Duration = Duration::from_secs(2);
/// A connection on which nothing arrives for so long is given up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(7);

/// Who this server is to its peers, and where they are.
#[derive(Clone, Debug)]
pub(crate) struct PeerSettings {
    pub(crate) cluster: String,
    pub(crate) id: ServerId,
    pub(crate) client_url: Option<String>,
    /// Host and port of every other server. Names are resolved anew at every connection.
    pub(crate) peers: BTreeMap<ServerId, String>,
    pub(crate) secrets: Option<PeerSecrets>,
}

type Socket = WebSocketStream<TcpStream>;

/// The transport. Dropping it lets what was sent last still go out; see [`Flush`].
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
        // What could not be sent by then may be lost, as any message of the election may.
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
            // A full queue means that the peer does not read; it will hear of the newest state
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

/// Tells the other side why, as far as it may know, and waits a moment for it to take that: closing
/// a socket with something unread in it would throw away what was sent last.
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
