//! A client's connection that is closed without losing what was said last.
//!
//! Closing a socket while unread bytes are in it resets the connection, and the reset may overtake
//! what was just written: a client that is still sending an oversized message would never see why
//! it was refused. So the socket is closed for writing first, and what still comes is read and
//! thrown away for a moment.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{Error, ErrorKind, IoSlice, Result};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::connection_limit::ConnectionPermit;

/// How long a client may take to notice that nobody listens any more.
const LINGER: Duration = Duration::from_secs(2);

/// A connection that keeps its permit until the lingering close has ended.
pub(super) struct LingeringClose(Option<(TcpStream, ConnectionPermit)>);

impl LingeringClose {
    pub(super) fn new(stream: TcpStream, permit: ConnectionPermit) -> Self {
        Self(Some((stream, permit)))
    }

    /// The stream is there until the drop takes it.
    fn stream(&mut self) -> Result<Pin<&mut TcpStream>> {
        match &mut self.0 {
            Some((stream, _)) => Ok(Pin::new(stream)),
            None => Err(Error::from(ErrorKind::NotConnected)),
        }
    }
}

impl Drop for LingeringClose {
    fn drop(&mut self) {
        if let Some((stream, permit)) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(async move {
                // Too slow is the client's loss.
                let _ = timeout(LINGER, until_closed(stream)).await;
                drop(permit);
            });
        }
    }
}

/// Closes it for writing, and reads until the client closes it too.
pub(super) async fn until_closed(mut stream: TcpStream) -> Result<()> {
    stream.shutdown().await?;
    let mut discarded = [0; 8 * 1024];
    while stream.read(&mut discarded).await? > 0 {}
    Ok(())
}

impl AsyncRead for LingeringClose {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for LingeringClose {
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
