//! The connection that this server dials to one peer, as long as the server lives.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use bellwether_election::{Event, Link, Message, ServerId};
use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message as Frame, Utf8Bytes};
use tracing::{debug, info, warn};

use super::connection::{BadMac, Connection, Sessions};
use super::frame::{
    Bytes, PeerChallenge, PeerHello, PeerProof, SUBPROTOCOL, SUBPROTOCOLS, to_json, without_secret,
};
use super::proof::{Role, Transcript};
use super::refusal::Refusal;
use super::rejection_log::printable;
use super::{
    CONNECT_TIMEOUT, Directory, IDLE_TIMEOUT, InboundLink, PING_EVERY, PeerSecrets, PeerSettings, Socket,
};
use crate::backoff::Backoff;

const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Pauses before this server dials again. The first is short, because a process that is being
/// stopped resets a connection or two before its port refuses them.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(2), LONGEST_PAUSE);
/// Time for dialling a peer before this server uses the connection that the peer has dialled.
const DIALLED_FIRST: Duration = Duration::from_millis(200);

pub(super) struct Dialler {
    pub(super) peer: ServerId,
    pub(super) address: String,
    pub(super) settings: Arc<PeerSettings>,
    pub(super) directory: Directory,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) inbound: InboundLink,
}

#[derive(Debug, Error)]
enum DialError {
    #[error("connection refused")]
    Refused,
    #[error("no connection within {CONNECT_TIMEOUT:?}")]
    Timeout,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    WebSocket(#[from] tungstenite::Error),
    /// Dialling again soon would not help, so the log has a warning.
    #[error("{0}")]
    Misconfigured(String),
}

impl Dialler {
    /// Runs until the transport is dropped and all messages handed to it before are sent.
    pub(super) async fn run(self, mut messages: mpsc::Receiver<Message>) {
        let mut backoff = BACKOFF;
        let mut reported: Option<Link> = None;
        let mut complaint = String::new();
        let mut brief_in_a_row = 0_u32;
        loop {
            match self.connect_in_time(&mut messages, &mut reported).await {
                Ok(connection) => {
                    complaint.clear();
                    self.directory.linked(&self.peer);
                    info!(peer = %self.peer, address = %self.address, "link up");
                    self.report(&mut reported, Link::Up).await;
                    let began = Instant::now();
                    let end = self.converse(connection, &mut messages).await;
                    if messages.is_closed() {
                        return;
                    }
                    info!(peer = %self.peer, reason = %end, "link lost");
                    self.report_undialled(&mut reported, Link::Down).await;
                    let brief = began.elapsed() < LONGEST_PAUSE;
                    brief_in_a_row = if brief { brief_in_a_row + 1 } else { 0 };
                    backoff.restart_after(brief_in_a_row);
                }
                Err(error) => {
                    self.complain(&error, &mut complaint);
                    let link = match &error {
                        DialError::Refused => {
                            // The peer's process has ended. A brief connection before was not the
                            // other side's fault.
                            brief_in_a_row = 0;
                            self.directory.gone(&self.peer);
                            Link::Refused
                        }
                        DialError::Misconfigured(_) => {
                            self.directory.refused(&self.peer, &complaint);
                            Link::Down
                        }
                        _ => Link::Down,
                    };
                    self.report_undialled(&mut reported, link).await;
                }
            }
            // Dials again almost at once after a loss. If the peer's host still answers, the
            // connection was broken, and otherwise the peer has crashed. A program that accepts and
            // closes connections again and again is dialled less and less often.
            if self
                .rest(backoff.next(), &mut messages, &mut reported)
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Reports the state of a peer that is not dialled: up if the peer has dialled this server, and
    /// otherwise `link`.
    async fn report_undialled(&self, reported: &mut Option<Link>, link: Link) {
        let link = if self.inbound.is_there() { Link::Up } else { link };
        self.report(reported, link).await;
    }

    async fn report(&self, reported: &mut Option<Link>, link: Link) {
        if reported.replace(link) != Some(link) {
            // An error means that the election has ended.
            let _ = self
                .events
                .send(Event::Link {
                    peer: self.peer.clone(),
                    link,
                })
                .await;
        }
    }

    /// Logs each new reason once, not at every attempt.
    fn complain(&self, error: &DialError, complaint: &mut String) {
        let text = printable(&error.to_string());
        if *complaint != text {
            match error {
                DialError::Misconfigured(_) => warn!(peer = %self.peer, address = %self.address, "{text}"),
                _ => debug!(peer = %self.peer, address = %self.address, error = text, "no link"),
            }
            *complaint = text;
        }
    }

    /// Connects. If that takes long, this server uses the connection that the peer has dialled, if
    /// there is one.
    async fn connect_in_time(
        &self,
        messages: &mut mpsc::Receiver<Message>,
        reported: &mut Option<Link>,
    ) -> Result<Connection, DialError> {
        let connected = timeout(CONNECT_TIMEOUT, self.connect());
        let takes_long = sleep(DIALLED_FIRST);
        tokio::pin!(connected, takes_long);
        // This server may already use that connection, because dialling has failed before.
        let mut otherwise = *reported == Some(Link::Up);
        loop {
            tokio::select! {
                connected = &mut connected => return connected.unwrap_or(Err(DialError::Timeout)),
                () = &mut takes_long, if !otherwise => {
                    otherwise = true;
                    self.report_undialled(reported, Link::Down).await;
                }
                () = self.inbound.begins_or_ends(), if otherwise => {
                    self.report_undialled(reported, Link::Down).await;
                }
                Some(message) = messages.recv(), if otherwise && self.inbound.is_there() => {
                    self.inbound.send(message);
                }
            }
        }
    }

    /// Waits for the pause, or until the peer dials or a connection that it has dialled ends.
    /// Meanwhile it sends messages on that connection, and drops them if there is none. An error
    /// means that the transport was dropped.
    async fn rest(
        &self,
        pause: Duration,
        messages: &mut mpsc::Receiver<Message>,
        reported: &mut Option<Link>,
    ) -> Result<(), ()> {
        let pause = sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                () = self.inbound.dialled_in() => return Ok(()),
                () = self.inbound.begins_or_ends() => {
                    if !self.inbound.is_there() {
                        self.report(reported, Link::Down).await;
                    }
                    return Ok(());
                }
                message = messages.recv() => self.inbound.send(message.ok_or(())?),
            }
        }
    }

    async fn connect(&self) -> Result<Connection, DialError> {
        let stream = TcpStream::connect(&self.address)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => DialError::Refused,
                _ => DialError::Io(error),
            })?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{}/", self.address).into_client_request()?;
        request
            .headers_mut()
            .insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
        let config = Some(super::websocket_config());
        let (mut socket, _) = tokio_tungstenite::client_async_with_config(request, stream, config)
            .await
            .map_err(|error| self.not_upgraded(error))?;

        let ours = super::hello(&self.settings, &self.peer);
        let our_hello = to_json(&ours);
        socket.send(Frame::text(our_hello.as_str())).await?;
        let agreed = match self.settings.secrets.as_ref().map(PeerSecrets::own) {
            Some(secret) => self.prove(&mut socket, &ours, &our_hello, secret).await?,
            None => {
                let theirs = self.parse::<PeerHello>(&self.next_text(&mut socket).await?)?;
                self.identify(&ours, &theirs)
                    .and_then(|()| ours.check_secrecy(&theirs))
                    .map(|()| (theirs, None))
            }
        };
        match agreed {
            Ok((theirs, sessions)) => {
                let url = theirs.client_url.as_deref();
                self.directory.set(&self.peer, url, sessions.is_some());
                Ok(Connection {
                    peer: self.peer.clone(),
                    socket,
                    sessions,
                })
            }
            Err(refusal) => {
                super::refuse(&mut socket, &refusal).await;
                Err(DialError::Misconfigured(refusal.reason))
            }
        }
    }

    /// Proves that this server has the secret, and lets the peer prove it and send its names.
    async fn prove(
        &self,
        socket: &mut Socket,
        ours: &PeerHello,
        our_hello: &str,
        secret: &[u8],
    ) -> Result<Result<(PeerHello, Option<Sessions>), Refusal>, DialError> {
        let challenge = self.next_text(socket).await?;
        if self.parse::<PeerChallenge>(&challenge)?.nonce.is_none() {
            return Ok(Err(without_secret(&self.peer, &ours.from)));
        }
        let challenged = Transcript {
            dialler: our_hello,
            acceptor: &challenge,
        };
        let proof = Bytes(challenged.prove(secret, Role::Dialler));
        socket.send(Frame::text(to_json(&PeerProof { proof }))).await?;
        let their_hello = self.next_text(socket).await?;
        let their_proof = self.next_text(socket).await?;
        let transcript = Transcript {
            dialler: our_hello,
            acceptor: &their_hello,
        };
        let proven = serde_json::from_str::<PeerProof>(&their_proof)
            .is_ok_and(|theirs| transcript.proven(secret, Role::Acceptor, &theirs.proof.0));
        if !proven {
            return Ok(Err(Refusal::unproven(
                format!(
                    "the server that answers as {} does not prove that it has the peer secret",
                    self.peer
                ),
                "the answer does not prove that the server has the peer secret",
            )));
        }
        let theirs = self.parse::<PeerHello>(&their_hello)?;
        if let Err(refusal) = self.identify(ours, &theirs) {
            return Ok(Err(refusal.after_proof()));
        }
        Ok(Ok((
            theirs,
            Some(Sessions::new(transcript, secret, Role::Dialler)),
        )))
    }

    /// Checks that the dialled peer has answered.
    fn identify(&self, ours: &PeerHello, theirs: &PeerHello) -> Result<(), Refusal> {
        if theirs.from == self.peer {
            return ours.check(theirs);
        }
        Err(Refusal::stranger(
            format!(
                "{} answers at the address of {}: check --peer",
                theirs.from, self.peer
            ),
            "the address leads to another server than the one wanted: check the --peer addresses",
        ))
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, DialError> {
        serde_json::from_str(text).map_err(|error| {
            DialError::Misconfigured(format!("{} is no Bellwether peer: {error}", self.address))
        })
    }

    /// Receives the next step of the handshake, or the other side's reason for a refusal. The other
    /// side sends no names to a dialler that has proven nothing, so this server adds the names that
    /// it has used.
    async fn next_text(&self, socket: &mut Socket) -> Result<Utf8Bytes, DialError> {
        match socket.next().await {
            Some(Ok(Frame::Text(text))) => Ok(text),
            Some(Ok(Frame::Close(Some(close)))) => Err(DialError::Misconfigured(format!(
                "{} (this server is {} of cluster {:?}, and wanted to reach {})",
                close.reason, self.settings.id, self.settings.cluster, self.peer
            ))),
            Some(Ok(_)) | None => Err(tungstenite::Error::ConnectionClosed.into()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Returns the error of a failed upgrade. A server that does not speak this version may name
    /// the versions that it speaks.
    fn not_upgraded(&self, error: tungstenite::Error) -> DialError {
        if let tungstenite::Error::Http(answer) = &error
            && let Some(spoken) = answer.headers().get("sec-websocket-protocol")
            && let Ok(spoken) = spoken.to_str()
            && spoken.starts_with(SUBPROTOCOLS)
        {
            return DialError::Misconfigured(format!(
                "{} speaks {spoken} and this server {SUBPROTOCOL}: run the same version on all servers",
                self.peer
            ));
        }
        error.into()
    }

    /// Sends and receives until the connection ends, and returns the reason.
    async fn converse(&self, mut connection: Connection, messages: &mut mpsc::Receiver<Message>) -> String {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let frame = tokio::select! {
                message = messages.recv() => {
                    let Some(message) = message else {
                        let _ = timeout(CONNECT_TIMEOUT, connection.socket.close(None)).await;
                        return "this server is leaving".to_owned();
                    };
                    if let Err(error) = connection.send(&message).await {
                        return error.to_string();
                    }
                    continue;
                }
                _ = ping.tick() => {
                    if heard.elapsed() > IDLE_TIMEOUT {
                        return format!("nothing heard for {IDLE_TIMEOUT:?}");
                    }
                    if let Err(error) = connection.socket.send(Frame::Ping(Vec::new().into())).await {
                        return error.to_string();
                    }
                    continue;
                }
                frame = connection.socket.next() => frame,
            };
            let frame = match frame {
                Some(Ok(Frame::Close(Some(close)))) if !close.reason.is_empty() => {
                    return format!("closed by the peer: {}", printable(&close.reason));
                }
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return error.to_string(),
                None => return "closed by the peer".to_owned(),
            };
            heard = Instant::now();
            // The peer sends on the connection that it has dialled itself. The peer sends on this
            // connection only while it has no other.
            match connection.read(&frame) {
                Ok(None) => {}
                Ok(Some(message)) => {
                    let from = self.peer.clone();
                    // An error means that the election has ended. The last messages of the election
                    // must still be sent.
                    let _ = self.events.send(Event::Message { from, message }).await;
                }
                Err(BadMac) => {
                    let refusal = Refusal::forged(&self.peer);
                    super::refuse(&mut connection.socket, &refusal).await;
                    return refusal.reason;
                }
            }
        }
    }
}
