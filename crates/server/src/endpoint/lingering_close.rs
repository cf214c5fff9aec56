//! A connection of a client that closes without losing the last answer.
//!
//! If a socket is closed while it holds unread bytes, the connection is reset. The reset may
//! overtake the last answer. A client that still sends an oversized message would then never see
//! the reason for the refusal. The server therefore closes the socket for writing first. For a
//! moment it reads the remaining bytes and discards them.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{Error, ErrorKind, IoSlice, Result};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::connection_limit::ConnectionPermit;

/// Time limit for a client to notice that the server does not read any more.
const LINGER: Duration = Duration::from_secs(2);

/// A connection that keeps its permit until the lingering close has ended.
///
/// The stream is a TCP connection, or TLS over one. TLS adds its own notice of the end, which the
/// client needs to tell an end from a cut connection (RFC 8446, 6.1).
pub(super) struct LingeringClose<S: ClientStream>(Option<(S, ConnectionPermit)>);

/// The stream of a client.
pub(super) trait ClientStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ClientStream for S {}

impl<S: ClientStream> LingeringClose<S> {
    pub(super) fn new(stream: S, permit: ConnectionPermit) -> Self {
        Self(Some((stream, permit)))
    }

    /// Returns the stream, which exists until the drop takes it.
    fn stream(&mut self) -> Result<Pin<&mut S>> {
        match &mut self.0 {
            Some((stream, _)) => Ok(Pin::new(stream)),
            None => Err(Error::from(ErrorKind::NotConnected)),
        }
    }
}

impl<S: ClientStream> Drop for LingeringClose<S> {
    fn drop(&mut self) {
        if let Some((stream, permit)) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                // A client that is too slow loses the answer.
                let _ = timeout(LINGER, until_closed(stream)).await;
                drop(permit);
            });
        }
    }
}

/// Closes the stream for writing, and reads until the client closes it, too.
pub(super) async fn until_closed(mut stream: impl ClientStream) -> Result<()> {
    stream.shutdown().await?;
    let mut discarded = [0; 8 * 1024];
    while stream.read(&mut discarded).await? > 0 {}
    Ok(())
}

impl<S: ClientStream> AsyncRead for LingeringClose<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl<S: ClientStream> AsyncWrite for LingeringClose<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|(stream, _)| stream.is_write_vectored())
    }
}
