//! The connections that other servers dial to this server.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_election::{Event, ServerId};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tracing::{debug, warn};

use super::connection::{BadMac, Connection, Sessions};
use super::frame::{Bytes, PeerChallenge, PeerHello, PeerProof, SUBPROTOCOL, SUBPROTOCOLS, to_json};
use super::proof::{Role, Transcript};
use super::refusal::Refusal;
use super::rejection_log::RejectionLog;
use super::{
    CONNECT_TIMEOUT, Directory, IDLE_TIMEOUT, InboundLink, PeerSecrets, PeerSettings, QUEUE, Socket, browser,
};
use crate::log_throttle::LogThrottle;
use crate::pending_connections::{Authenticated, PendingConnections};

/// Limit for the connections of all peers together. No peer can then take every file descriptor.
const MAX_CONNECTIONS: usize = 1024;
/// Limit for pending connections among these. The newest replaces the oldest, so a stranger cannot
/// keep peers out by holding all of them: a peer has proven itself after three messages.
pub(super) const MAX_STRANGERS: usize = 256;

pub(super) struct Acceptor {
    pub(super) settings: Arc<PeerSettings>,
    pub(super) directory: Directory,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) inbound: BTreeMap<ServerId, InboundLink>,
    pub(super) rejections: RejectionLog,
    /// Limits the lines of the log about web pages.
    pub(super) pages: LogThrottle,
}

/// A dialler that has proven nothing yet.
struct Caller<'a> {
    /// The dialler's hello, exactly as sent.
    first: &'a str,
    /// The id in the hello.
    id: &'a ServerId,
    from: SocketAddr,
    /// The result of checking the hello. The dialler learns it only after it has proven itself.
    identified: Result<(), Refusal>,
}

impl Acceptor {
    pub(super) async fn run(self, listener: TcpListener) {
        let acceptor = Arc::new(self);
        // Dropping the set ends every connection in it.
        let mut connections = JoinSet::new();
        let mut strangers = PendingConnections::new(MAX_STRANGERS);
        let not_accepted = LogThrottle::default();
        loop {
            match listener.accept().await {
                Ok((stream, from)) => {
                    while connections.try_join_next().is_some() {}
                    if connections.len() >= MAX_CONNECTIONS {
                        let reason = "too many connections to the peer port, refusing another";
                        acceptor.rejections.warn(None, from, reason);
                        continue;
                    }
                    let known = Authenticated::default();
                    let task = connections.spawn(Arc::clone(&acceptor).serve(stream, from, known.clone()));
                    strangers.add(task, known);
                }
                Err(error) => {
                    // The most likely cause is that the process has no free file descriptor. Only
                    // time helps.
                    if let Some(suppressed) = not_accepted.admit() {
                        warn!(%error, suppressed, "cannot accept a peer's connection");
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, from: SocketAddr, known: Authenticated) {
        let accepted = timeout(CONNECT_TIMEOUT, self.greet(stream, from)).await;
        let Ok(Some(mut connection)) = accepted else {
            return;
        };
        known.set();
        self.directory.accepted();
        let peer = connection.peer.clone();
        // The messages to this peer while this server cannot dial it.
        let (outbox, mut messages) = mpsc::channel(QUEUE);
        if let Some(inbound) = self.inbound.get(&peer) {
            inbound.attach(outbox);
        }
        let mut heard = Instant::now();
        loop {
            let frame = tokio::select! {
                Some(message) = messages.recv() => match connection.send(&message).await {
                    Ok(()) => continue,
                    Err(error) => return debug!(%peer, %error, "the peer's connection ended"),
                },
                frame = timeout_at(heard + IDLE_TIMEOUT, connection.socket.next()) => frame,
            };
            let frame = match frame {
                Err(_) => return debug!(%peer, "nothing heard on the peer's connection, closing it"),
                Ok(None) => return,
                Ok(Some(Err(error))) => return debug!(%peer, %error, "the peer's connection ended"),
                Ok(Some(Ok(Frame::Close(close)))) => {
                    return self.hear_out(Some(&peer), from, close.as_ref());
                }
                Ok(Some(Ok(frame))) => frame,
            };
            heard = Instant::now();
            let message = match connection.read(&frame) {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(BadMac) => {
                    let refusal = Refusal::forged(&peer);
                    let socket = &mut connection.socket;
                    return self.refuse(Some(&peer), from, socket, &refusal).await;
                }
            };
            let from = peer.clone();
            if self.events.send(Event::Message { from, message }).await.is_err() {
                return;
            }
        }
    }

    /// Performs the handshake. Returns `None` if the connection does not come from a peer; the log
    /// gives the reason.
    async fn greet(&self, stream: TcpStream, from: SocketAddr) -> Option<Connection> {
        let mut socket = self.upgrade(stream, from).await?;
        let first = socket.next().await?.ok()?;
        let first = first.to_text().unwrap_or_default();
        let Ok(theirs) = serde_json::from_str::<PeerHello>(first) else {
            let reason = "a connection to the peer port that does not begin with a peer's hello";
            self.rejections.warn(None, from, reason);
            return None;
        };
        let ours = super::hello(&self.settings, &theirs.from);
        let identified = self.identify(&ours, &theirs);
        let agreed = match (ours.check_secrecy(&theirs), &self.settings.secrets) {
            (Err(refusal), _) => Err(refusal.explained_by(&identified)),
            (Ok(()), Some(secrets)) => {
                let caller = Caller {
                    first,
                    id: &theirs.from,
                    from,
                    identified,
                };
                self.prove(&mut socket, caller, &ours, secrets).await?.map(Some)
            }
            (Ok(()), None) => match identified {
                Ok(()) => {
                    socket.send(Frame::text(to_json(&ours))).await.ok()?;
                    Ok(None)
                }
                Err(refusal) => Err(refusal),
            },
        };
        match agreed {
            Ok(sessions) => {
                self.directory
                    .set(&theirs.from, theirs.client_url.as_deref(), sessions.is_some());
                Some(Connection {
                    peer: theirs.from,
                    socket,
                    sessions,
                })
            }
            Err(refusal) => {
                let known = self.settings.peers.contains_key(&theirs.from);
                let known = known.then_some(&theirs.from);
                self.refuse(known, from, &mut socket, &refusal).await;
                None
            }
        }
    }

    /// Checks the names in the dialler's hello.
    fn identify(&self, ours: &PeerHello, theirs: &PeerHello) -> Result<(), Refusal> {
        ours.check(theirs)?;
        if self.settings.peers.contains_key(&theirs.from) {
            return Ok(());
        }
        Err(Refusal::stranger(
            format!("{} is not a peer of {}", theirs.from, ours.from),
            "the caller is not a peer of the server it has called: check --peer",
        ))
    }

    async fn upgrade(&self, stream: TcpStream, from: SocketAddr) -> Option<Socket> {
        stream.set_nodelay(true).ok()?;
        let mut page = None;
        let mut another_version = None;
        let choose = |request: &Request, response: Response| {
            page = browser::page(request);
            if page.is_some() {
                return Err(browser::refusal());
            }
            choose_subprotocol(request, response).inspect_err(|_| another_version = peer_subprotocol(request))
        };
        let config = Some(super::websocket_config());
        let accepted = tokio_tungstenite::accept_hdr_async_with_config(stream, choose, config).await;
        if let Some(page) = page
            && let Some(suppressed) = self.pages.admit()
        {
            warn!(%from, page, suppressed, "refusing a web page: it has tried to connect to the peer port");
        }
        if let Some(spoken) = another_version {
            let reason = format!(
                "refusing a peer: it speaks {spoken} and this server {SUBPROTOCOL}: run the same version on all servers"
            );
            self.rejections.warn(None, from, &reason);
        }
        accepted
            .inspect_err(|error| debug!(%from, %error, "not a peer's handshake"))
            .ok()
    }

    /// Lets the dialler prove that it has one of the secrets. Only then this server sends its own
    /// names, or its reason for a refusal, and proves that it has the same secret. Returns `None`
    /// if the connection ends.
    async fn prove(
        &self,
        socket: &mut Socket,
        caller: Caller<'_>,
        ours: &PeerHello,
        secrets: &PeerSecrets,
    ) -> Option<Result<Sessions, Refusal>> {
        let nonce = ours.nonce.clone();
        let challenge = to_json(&PeerChallenge { nonce });
        socket.send(Frame::text(challenge.as_str())).await.ok()?;
        let frame = socket.next().await?.ok()?;
        if let Frame::Close(close) = &frame {
            let known = self.settings.peers.contains_key(caller.id);
            self.hear_out(known.then_some(caller.id), caller.from, close.as_ref());
            return None;
        }
        let challenged = Transcript {
            dialler: caller.first,
            acceptor: &challenge,
        };
        let theirs = frame
            .to_text()
            .ok()
            .and_then(|text| serde_json::from_str::<PeerProof>(text).ok());
        let shared = theirs.and_then(|theirs| {
            let mut accepted = secrets.accepted();
            accepted.find(|secret| challenged.proven(secret, Role::Dialler, &theirs.proof.0))
        });
        let Some(secret) = shared else {
            let differ = Refusal::unproven(
                format!(
                    "the peer secrets differ: give {} and {} the same --peer-secret-file",
                    caller.id, ours.from
                ),
                "the peer secrets differ, or the address leads to another cluster: check --peer-secret-file and --peer",
            );
            return Some(Err(differ.explained_by(&caller.identified)));
        };
        if let Err(refusal) = caller.identified {
            return Some(Err(refusal.after_proof()));
        }
        let our_hello = to_json(ours);
        let transcript = Transcript {
            dialler: caller.first,
            acceptor: &our_hello,
        };
        let proof = Bytes(transcript.prove(secret, Role::Acceptor));
        socket.feed(Frame::text(our_hello.as_str())).await.ok()?;
        let proof = to_json(&PeerProof { proof });
        socket.send(Frame::text(proof)).await.ok()?;
        Some(Ok(Sessions::new(transcript, secret, Role::Acceptor)))
    }

    async fn refuse(
        &self,
        peer: Option<&ServerId>,
        from: SocketAddr,
        socket: &mut Socket,
        refusal: &Refusal,
    ) {
        let reason = format!("refusing a peer: {}", refusal.reason);
        self.rejections.warn(peer, from, &reason);
        super::refuse(socket, refusal).await;
    }

    /// Logs the reason of the close frame if the peer refuses this server.
    fn hear_out(&self, peer: Option<&ServerId>, from: SocketAddr, close: Option<&CloseFrame>) {
        if let Some(close) = close
            && [Refusal::STRANGER, Refusal::UNPROVEN].contains(&close.code.into())
        {
            let reason = format!("refused by a peer: {}", close.reason);
            self.rejections.warn(peer, from, &reason);
        }
    }
}

fn choose_subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let spoken = HeaderValue::from_static(SUBPROTOCOL);
    if !offered(request).any(|name| name == SUBPROTOCOL) {
        let mut refusal = ErrorResponse::new(Some(format!(
            "this port speaks {SUBPROTOCOL}, for servers only\n"
        )));
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        // A server of another version logs the version that this server speaks.
        refusal.headers_mut().insert("sec-websocket-protocol", spoken);
        return Err(refusal);
    }
    response.headers_mut().insert("sec-websocket-protocol", spoken);
    Ok(response)
}

/// Returns the version of a server that does not speak this server's version.
fn peer_subprotocol(request: &Request) -> Option<String> {
    offered(request)
        .find(|name| name.starts_with(SUBPROTOCOLS))
        .map(|name| name.chars().take(40).collect())
}

fn offered(request: &Request) -> impl Iterator<Item = &str> {
    let values = request.headers().get_all("sec-websocket-protocol").iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
