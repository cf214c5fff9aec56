//! The TLS handshake of a client, and the end of a connection without one.

use core::fmt;
use std::io::{self, ErrorKind};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tracing::{debug, info};

use super::lingering_close::until_closed;
use crate::log_throttle::LogThrottle;
use crate::tls::{Tls, TlsStream};

/// The first byte of every TLS connection: a record of the type `handshake` (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// The answer to a client that does not speak TLS. Most such clients speak HTTP.
const ANSWER: &str = "HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 46\r\n\
    connection: close\r\n\
    \r\n\
    this port speaks TLS: use https:// or wss://\r\n";

/// A connection without TLS.
pub(super) enum NoTls {
    /// The client has closed the connection, or the network has lost it.
    Gone,
    /// The client speaks something other than TLS.
    OtherProtocol(TcpStream),
    /// Client and server did not agree. The server has sent an alert.
    Failed(TcpStream, io::Error),
}

/// Waits for the TLS handshake. The caller limits the time. Dropping the future closes the
/// connection.
pub(super) async fn tls_handshake(tls: &Tls, stream: TcpStream) -> Result<TlsStream, NoTls> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first == [HANDSHAKE_RECORD] => {}
        Ok(1) => return Err(NoTls::OtherProtocol(stream)),
        _ => return Err(NoTls::Gone),
    }
    let accepted = tls.acceptor().accept(stream).into_fallible().await;
    accepted.map_err(|(error, stream)| match error.kind() {
        ErrorKind::InvalidData => NoTls::Failed(stream, error),
        _ => NoTls::Gone,
    })
}

impl NoTls {
    /// Tells the client the reason, as far as the protocol of the client has a form for it. Then
    /// waits until the client has closed the connection. The caller limits the time.
    pub(super) async fn explain(self) {
        // An error means that the client does not wait for the explanation.
        let _ = match self {
            Self::Gone => Ok(()),
            Self::OtherProtocol(mut stream) => match stream.write_all(ANSWER.as_bytes()).await {
                Ok(()) => until_closed(stream).await,
                Err(error) => Err(error),
            },
            Self::Failed(stream, _) => until_closed(stream).await,
        };
    }
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the client closed the connection during the handshake"),
            Self::OtherProtocol(_) => {
                f.write_str("the client does not speak TLS: it needs https:// or wss://")
            }
            Self::Failed(_, error) => write!(f, "{error}"),
        }
    }
}

/// Log lines about failed handshakes, which any client can cause.
#[derive(Default)]
pub(super) struct HandshakeLog(LogThrottle);

impl HandshakeLog {
    pub(super) fn failed(&self, from: impl fmt::Display, reason: &NoTls) {
        // A load balancer may open and close a connection to check if the port is open.
        if matches!(reason, NoTls::Gone) {
            debug!(%from, "{reason}");
        } else if let Some(suppressed) = self.0.admit_text((), &reason.to_string()) {
            info!(%from, suppressed, "a TLS handshake failed: {reason}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_states_its_own_length() {
        let (head, body) = ANSWER.split_once("\r\n\r\n").unwrap();
        let length = format!("content-length: {}", body.len());
        assert!(head.lines().any(|line| line == length), "{}", body.len());
    }
}
