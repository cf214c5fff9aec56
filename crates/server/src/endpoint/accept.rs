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

use super::lingering::Lingering;
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
                let connection = http.serve_connection(TokioIo::new(Lingering::new(stream, place)), service);
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
