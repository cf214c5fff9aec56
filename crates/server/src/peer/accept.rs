//! The connections other servers dial to this one.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_election::{Event, Message, ServerId};
use bellwether_protocol::close_reason;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tracing::{debug, warn};

use super::frame::{PeerHello, SUBPROTOCOL, to_json};
use super::{CONNECT_TIMEOUT, Directory, IDLE_TIMEOUT, PeerSettings};

/// Connections of all peers together, so that a stranger cannot take every file descriptor.
const MAX_CONNECTIONS: usize = 1024;

pub(super) struct Acceptor {
    pub(super) settings: Arc<PeerSettings>,
    pub(super) directory: Directory,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) doorbells: BTreeMap<ServerId, Arc<Notify>>,
}

impl Acceptor {
    pub(super) async fn run(self, listener: TcpListener) {
        let acceptor = Arc::new(self);
        // Dropping the set ends every connection in it.
        let mut connections = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    while connections.try_join_next().is_some() {}
                    if connections.len() >= MAX_CONNECTIONS {
                        warn!(%from, "too many peer connections, refusing another");
                        continue;
                    }
                    connections.spawn(Arc::clone(&acceptor).serve(stream, from));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: time is what helps.
                    warn!(%error, "cannot accept a peer's connection");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let accepted = timeout(CONNECT_TIMEOUT, self.greet(stream, from)).await;
        let Ok(Some((peer, mut socket))) = accepted else {
            return;
        };
        if let Some(doorbell) = self.doorbells.get(&peer) {
            doorbell.notify_one();
        }
        loop {
            let frame = match timeout(IDLE_TIMEOUT, socket.next()).await {
                Err(_) => return debug!(%peer, "nothing heard on the peer's connection, closing it"),
                Ok(None) => return,
                Ok(Some(Err(error))) => return debug!(%peer, %error, "the peer's connection ended"),
                Ok(Some(Ok(frame))) => frame,
            };
            match frame {
                Frame::Text(text) => match serde_json::from_str::<Message>(&text) {
                    Ok(message) => {
                        let event = Event::Message {
                            from: peer.clone(),
                            message,
                        };
                        if self.events.send(event).await.is_err() {
                            return;
                        }
                    }
                    // A newer server may know more messages than this one.
                    Err(error) => debug!(%peer, %error, "a message this server does not understand"),
                },
                Frame::Ping(_) | Frame::Pong(_) => {}
                _ => return,
            }
        }
    }

    /// The handshake. `None` if the connection is not one of ours; the log says why.
    async fn greet(
        &self,
        stream: TcpStream,
        from: SocketAddr,
    ) -> Option<(ServerId, WebSocketStream<TcpStream>)> {
        stream.set_nodelay(true).ok()?;
        let config = Some(super::websocket_config());
        let accepted =
            tokio_tungstenite::accept_hdr_async_with_config(stream, choose_subprotocol, config).await;
        let mut socket = accepted
            .inspect_err(|error| debug!(%from, %error, "not a peer's handshake"))
            .ok()?;
        let first = socket.next().await?.ok()?;
        let Ok(theirs) = serde_json::from_str::<PeerHello>(first.to_text().ok()?) else {
            warn!(%from, "a connection to the peer port that does not begin with a peer's hello");
            return None;
        };
        let ours = super::hello(&self.settings, &theirs.from);
        let known = self.settings.peers.contains_key(&theirs.from);
        let checked = ours.check(&theirs).and_then(|()| {
            if known {
                Ok(())
            } else {
                Err(format!("{} is not a peer of {}", theirs.from, ours.from))
            }
        });
        if let Err(reason) = checked {
            warn!(%from, "refusing a peer: {reason}");
            refuse(&mut socket, reason).await;
            return None;
        }
        socket.send(Frame::text(to_json(&ours))).await.ok()?;
        self.directory.set(&theirs.from, theirs.client_url.as_deref());
        Some((theirs.from, socket))
    }
}

async fn refuse(socket: &mut WebSocketStream<TcpStream>, reason: String) {
    let close = CloseFrame {
        code: 4403.into(),
        reason: close_reason(reason).into(),
    };
    let _: Result<(), tungstenite::Error> = socket.close(Some(close)).await;
}

fn choose_subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all("sec-websocket-protocol").iter();
    let ours = offered
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|name| name.trim() == SUBPROTOCOL));
    if !ours {
        let mut refusal = ErrorResponse::new(Some(format!(
            "this port speaks {SUBPROTOCOL}, for servers only\n"
        )));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Err(refusal);
    }
    response
        .headers_mut()
        .insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}
