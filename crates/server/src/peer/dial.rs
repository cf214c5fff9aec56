//! The connection this server dials to one peer, for as long as the server lives.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use bellwether_election::{Event, Link, Message, ServerId};
use futures_util::{SinkExt, StreamExt};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tracing::{debug, info, warn};

use super::frame::{PeerHello, SUBPROTOCOL, to_json};
use super::{CONNECT_TIMEOUT, Directory, IDLE_TIMEOUT, PING_EVERY, PeerSettings};

/// Short, because a process that is being torn down resets a connection or two before its port refuses them.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Dialler {
    pub(super) peer: ServerId,
    pub(super) address: String,
    pub(super) settings: Arc<PeerSettings>,
    pub(super) directory: Directory,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) doorbell: Arc<Notify>,
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
    /// Not to be cured by trying again soon, so it goes to the log as a warning.
    #[error("{0}")]
    Misconfigured(String),
}

impl Dialler {
    /// Ends when the transport is dropped and everything handed to it before is sent.
    pub(super) async fn run(self, mut messages: mpsc::Receiver<Message>) {
        let mut pause = FIRST_PAUSE;
        let mut reported: Option<Link> = None;
        let mut complaint = String::new();
        let mut brief_in_a_row = 0_u32;
        loop {
            match timeout(CONNECT_TIMEOUT, self.connect())
                .await
                .unwrap_or(Err(DialError::Timeout))
            {
                Ok(socket) => {
                    complaint.clear();
                    info!(peer = %self.peer, address = %self.address, "link up");
                    self.report(&mut reported, Link::Up).await;
                    let began = Instant::now();
                    let end = self.converse(socket, &mut messages).await;
                    if messages.is_closed() {
                        return;
                    }
                    info!(peer = %self.peer, reason = %end, "link lost");
                    self.report(&mut reported, Link::Down).await;
                    let brief = began.elapsed() < LONGEST_PAUSE;
                    brief_in_a_row = if brief { brief_in_a_row + 1 } else { 0 };
                    pause = (FIRST_PAUSE * 2_u32.pow(brief_in_a_row.min(9))).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    self.complain(&error, &mut complaint);
                    let link = if matches!(error, DialError::Refused) {
                        // So it has ended, and a brief connection before was no fault of the other side.
                        brief_in_a_row = 0;
                        Link::Refused
                    } else {
                        Link::Down
                    };
                    self.report(&mut reported, link).await;
                }
            }
            // Almost at once after a loss: whether the peer's host still answers is what tells a crash from a
            // broken connection. Something that accepts and hangs up again and again is dialled ever less often.
            if self.rest(pause, &mut messages).await.is_err() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
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

    /// Says each new reason once, not at every try.
    fn complain(&self, error: &DialError, complaint: &mut String) {
        let text = error.to_string();
        if *complaint != text {
            match error {
                DialError::Misconfigured(_) => warn!(peer = %self.peer, address = %self.address, "{text}"),
                _ => debug!(peer = %self.peer, address = %self.address, error = text, "no link"),
            }
            *complaint = text;
        }
    }

    /// Waits, dropping what is to be sent meanwhile. An error means that the transport was dropped.
    async fn rest(&self, pause: Duration, messages: &mut mpsc::Receiver<Message>) -> Result<(), ()> {
        let pause = sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                () = self.doorbell.notified() => return Ok(()),
                message = messages.recv() => if message.is_none() {
                    return Err(());
                },
            }
        }
    }

    async fn connect(&self) -> Result<WebSocketStream<TcpStream>, DialError> {
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
        let (mut socket, _) = tokio_tungstenite::client_async_with_config(request, stream, config).await?;

        let ours = super::hello(&self.settings, &self.peer);
        socket.send(Frame::text(to_json(&ours))).await?;
        let theirs = match socket.next().await {
            Some(Ok(Frame::Text(text))) => serde_json::from_str::<PeerHello>(&text).map_err(|error| {
                DialError::Misconfigured(format!("{} is no Bellwether peer: {error}", self.address))
            })?,
            Some(Ok(Frame::Close(Some(close)))) => {
                return Err(DialError::Misconfigured(close.reason.to_string()));
            }
            Some(Ok(_)) | None => return Err(tungstenite::Error::ConnectionClosed.into()),
            Some(Err(error)) => return Err(error.into()),
        };
        if theirs.from != self.peer {
            let text = format!(
                "{} answers at the address of {}: check --peer",
                theirs.from, self.peer
            );
            return Err(DialError::Misconfigured(text));
        }
        ours.check(&theirs).map_err(DialError::Misconfigured)?;
        self.directory.set(&self.peer, theirs.client_url.as_deref());
        Ok(socket)
    }

    /// Sends until the connection ends, and returns why it did.
    async fn converse(
        &self,
        mut socket: WebSocketStream<TcpStream>,
        messages: &mut mpsc::Receiver<Message>,
    ) -> String {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                message = messages.recv() => {
                    let Some(message) = message else {
                        let _ = timeout(CONNECT_TIMEOUT, socket.close(None)).await;
                        return "this server is leaving".to_owned();
                    };
                    if let Err(error) = socket.send(Frame::text(to_json(&message))).await {
                        return error.to_string();
                    }
                }
                frame = socket.next() => match frame {
                    // Only pongs and the closing handshake come this way.
                    Some(Ok(_)) => heard = Instant::now(),
                    Some(Err(error)) => return error.to_string(),
                    None => return "closed by the peer".to_owned(),
                },
                _ = ping.tick() => {
                    if heard.elapsed() > IDLE_TIMEOUT {
                        return format!("nothing heard for {IDLE_TIMEOUT:?}");
                    }
                    if let Err(error) = socket.send(Frame::Ping(Vec::new().into())).await {
                        return error.to_string();
                    }
                }
            }
        }
    }
}
