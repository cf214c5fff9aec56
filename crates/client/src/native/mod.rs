//! Connections of ordinary programs, with tokio, tokio-tungstenite and rustls.

mod authorities;
mod heard;
mod pings;
mod tls;

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;

use bellwether_protocol::{MAX_RESULT_BYTES, SUBPROTOCOL};
use futures_util::{Sink, SinkExt, Stream};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_util::either::Either;

use crate::{Closed, ConnectError, Connection, Platform, ServerUrl};
use heard::Heard;
use tls::Tls;

pub use authorities::{Authorities, BadAuthorities};
pub use pings::Pings;

/// Length limit of a message, sent or received. Canonical Extended JSON takes up to about 8 times
/// the bytes of BSON.
const MAX_MESSAGE_BYTES: usize = 8 * MAX_RESULT_BYTES;

/// The beginning of the answer of a server with TLS to a client without TLS.
const SPEAKS_TLS: &[u8] = b"this port speaks TLS";

/// The platform of programs that run on tokio. The platform sends no `Origin`, which is a header of
/// browsers.
///
/// It speaks TLS 1.2 and 1.3 to servers at `wss://` URLs. The certificate of the server must be
/// valid now, and have the host of the URL as a name. It must come from a trusted authority. These
/// are the authorities of this machine, unless the program [gives others](Self::trusting). Clones
/// share them.
#[derive(Clone, Debug)]
pub struct Native {
    started: Instant,
    tls: Tls,
}

impl Native {
    /// Creates the platform. Its clock starts now. It trusts the authorities of this machine, and
    /// reads them when it first connects to a `wss://` URL.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            tls: Tls::default(),
        }
    }

    /// Trusts these authorities, and no others, for `wss://` URLs.
    #[must_use]
    pub fn trusting(self, authorities: Authorities) -> Self {
        Self {
            tls: Tls::trusting(authorities),
            ..self
        }
    }
}

impl Default for Native {
    fn default() -> Self {
        Self::new()
    }
}

impl Platform for Native {
    type Connection = NativeConnection;

    async fn connect(&self, server: &ServerUrl) -> Result<NativeConnection, ConnectError> {
        let request = request(server)?;
        let unreachable = |error: io::Error| ConnectError::Unreachable(error.to_string());
        let stream = TcpStream::connect((server.host(), server.port()))
            .await
            .map_err(unreachable)?;
        // A command is one small message that waits for its answer. Nagle's algorithm could only
        // delay it.
        stream.set_nodelay(true).map_err(unreachable)?;
        let pings = Pings::default();
        let stream = Heard {
            stream,
            pings: pings.clone(),
            started: self.started,
        };
        let stream = if server.is_secure() {
            Either::Right(Box::new(self.tls.connect(server.host(), stream).await?))
        } else {
            Either::Left(stream)
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(16 * 1024)
            .max_write_buffer_size(2 * MAX_MESSAGE_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(NativeConnection {
                socket,
                pings,
                has_unsent_ping: false,
            }),
            Err(Error::Http(response)) => Err(refused(response.status(), response.body().as_deref())),
            Err(Error::Io(error)) => Err(unreachable(error)),
            // The server closed the connection during the handshake, as a stopping server does.
            Err(error @ Error::Protocol(ProtocolError::HandshakeIncomplete)) => {
                Err(ConnectError::Unreachable(error.to_string()))
            }
            Err(error) => Err(ConnectError::BadEndpoint(error.to_string())),
        }
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> [u8; 10] {
        rand::random()
    }
}

/// Returns the meaning of an HTTP answer without an upgrade. Only two answers are lasting refusals:
/// a server answers 403 to an unknown origin and 421 to an unknown name. All others change without
/// a change at the client. A proxy answers 404 or 502 while its servers start, 429 to too many
/// requests, and 301 until it knows the path.
///
/// A server that speaks TLS says so to a client that does not.
fn refused(status: StatusCode, body: Option<&[u8]>) -> ConnectError {
    if status == StatusCode::BAD_REQUEST && body.is_some_and(|body| body.starts_with(SPEAKS_TLS)) {
        return ConnectError::BadEndpoint("it speaks TLS: use wss://".into());
    }
    let detail = format!("it answered HTTP {status}");
    match status {
        StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => ConnectError::BadEndpoint(detail),
        StatusCode::SERVICE_UNAVAILABLE => ConnectError::NoRoom(detail),
        _ => ConnectError::Unreachable(detail),
    }
}

fn request(server: &ServerUrl) -> Result<Request, ConnectError> {
    let bad_url = |error: Error| ConnectError::BadEndpoint(error.to_string());
    let mut request = server.as_str().into_client_request().map_err(bad_url)?;
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(request)
}

/// A connection of [`Native`].
#[derive(Debug)]
pub struct NativeConnection {
    socket: WebSocketStream<Either<Heard, Box<TlsStream<Heard>>>>,
    pings: Pings,
    /// Set while the operating system has not taken all bytes of a ping.
    has_unsent_ping: bool,
}

impl NativeConnection {
    /// Sends the ping that is due, as far as the operating system takes it.
    fn poll_ping(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut socket = Pin::new(&mut self.socket);
        if self.pings.take_due() && !self.has_unsent_ping {
            // If there is no room for a ping now, the bytes before it are on their way. The missing
            // pong then tells the same.
            if let Poll::Ready(has_room) = socket.as_mut().poll_ready(context) {
                has_room?;
                socket.as_mut().start_send(Message::Ping(Bytes::new()))?;
                self.has_unsent_ping = true;
            }
        }
        if self.has_unsent_ping {
            ready!(socket.poll_flush(context))?;
            self.has_unsent_ping = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        // A failed ping means a broken connection, and the next read returns the reason.
        let _ = self.poll_ping(context);
        Pin::new(&mut self.socket).poll_next(context)
    }
}

impl Connection for NativeConnection {
    type Keepalive = Pings;

    async fn send(&mut self, text: String) -> Result<(), Closed> {
        self.socket
            .send(Message::text(text))
            .await
            .map_err(|error| Closed::broken(error.to_string()))
    }

    async fn recv(&mut self) -> Result<String, Closed> {
        loop {
            match poll_fn(|context| self.poll_message(context)).await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(Closed {
                        code: Some(frame.code.into()),
                        reason: frame.reason.as_str().to_owned(),
                    });
                }
                Some(Ok(Message::Close(None))) | None => return Err(Closed::default()),
                // tungstenite itself answers pings. This protocol has no binary frames.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Closed::broken(error.to_string())),
            }
        }
    }

    fn keepalive(&self) -> Option<Pings> {
        Some(self.pings.clone())
    }

    async fn close(mut self) {
        // The other side may be gone already and need no close frame.
        let _ = self.socket.close(None).await;
    }
}
