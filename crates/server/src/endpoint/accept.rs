//! Accepts connections, so many at a time and each with a limit on how long its request may take.

use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::config::ClientLimits;

pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &ClientLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout);
    loop {
        let accepted = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => match place {
                // The semaphore is never closed.
                Err(_) => return,
                Ok(place) => tokio::select! {
                    accepted = listener.accept() => accepted.map(|(stream, from)| (stream, from, place)),
                    () = told(&mut stopped) => break,
                },
            },
            () = told(&mut stopped) => break,
        };
        match accepted {
            Ok((stream, from, place)) => {
                // Answers are small and awaited one by one.
                let _ = stream.set_nodelay(true);
                let service = TowerToHyperService::new(router.clone());
                let connection = http.serve_connection(
                    TokioIo::new(Placed {
                        stream,
                        _place: place,
                    }),
                    service,
                );
                let connection = connection.with_upgrades();
                let mut stopped = stopped.clone();
                tokio::spawn(async move {
                    tokio::pin!(connection);
                    let result = tokio::select! {
                        result = &mut connection => result,
                        () = told(&mut stopped) => {
                            connection.as_mut().graceful_shutdown();
                            connection.await
                        }
                    };
                    if let Err(error) = result {
                        debug!(%from, %error, "an HTTP connection ended early");
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: time is what helps.
                warn!(%error, "cannot accept a client's connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    // Every connection, upgraded ones too, holds a place until it ends.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = places.acquire_many(all).await;
}

/// Returns when the server is to stop, or has.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// A connection with its place among those allowed. The place stays with the stream through an upgrade.
struct Placed {
    stream: tokio::net::TcpStream,
    _place: tokio::sync::OwnedSemaphorePermit,
}

mod io {
    use core::pin::Pin;
    use core::task::{Context, Poll};
    use std::io::{IoSlice, Result};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::Placed;

    impl AsyncRead for Placed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Placed {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
            Pin::new(&mut self.stream).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
            Pin::new(&mut self.stream).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(cx)
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<Result<usize>> {
            Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
        }

        fn is_write_vectored(&self) -> bool {
            self.stream.is_write_vectored()
        }
    }
}
