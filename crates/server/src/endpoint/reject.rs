//! The answer to a connection beyond the connection limit: HTTP 503. The client then tries the next
//! server at once.
//!
//! The server still answers requests for health and status. Otherwise an orchestrator would take a
//! full server for a dead one and restart it. An attacker who floods the server with connections
//! may want exactly that.

use core::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection_limit::LimitReached;
use super::lingering_close::{ClientStream, until_closed};
use super::tls_handshake::tls_handshake;
use crate::pending_connections::{Authenticated, PendingConnections};
use crate::tls::Tls;

/// Number of connections answered at a time. A newer one replaces the oldest, which gets no answer.
const MAX: usize = 256;
/// Time limit for a TLS handshake, a request of a few hundred bytes, and the answer.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Limit in bytes for the head of the request, and for the part of the answer that waits to be
/// sent.
const BUFFER: usize = 8 * 1024;

pub(super) struct Rejector {
    http: http1::Builder,
    tls: Option<Tls>,
    of_server: Router,
    of_address: Router,
    answered: PendingConnections,
}

impl Rejector {
    /// Creates a rejector for all requests except those of the router `health`.
    pub(super) fn new(health: &Router, tls: Option<Tls>) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(TIME_LIMIT)
            .max_buf_size(BUFFER)
            .keep_alive(false);
        let with = |limit_reached: LimitReached| {
            health
                .clone()
                .fallback(move || async move { refusal(limit_reached) })
        };
        Self {
            http,
            tls,
            of_server: with(LimitReached::Server),
            of_address: with(LimitReached::Address),
            answered: PendingConnections::new(MAX),
        }
    }

    pub(super) fn answer(&mut self, stream: TcpStream, limit_reached: LimitReached) {
        let router = match limit_reached {
            LimitReached::Server => &self.of_server,
            LimitReached::Address => &self.of_address,
        };
        let (router, http, tls) = (router.clone(), self.http.clone(), self.tls.clone());
        let answered = async move {
            match tls {
                None => answer(&http, router, stream).await,
                Some(tls) => match tls_handshake(&tls, stream).await {
                    Ok(stream) => answer(&http, router, stream).await,
                    Err(reason) => reason.explain().await,
                },
            }
        };
        let task = tokio::spawn(async move { drop(timeout(TIME_LIMIT, answered).await) });
        self.answered.add(task.abort_handle(), Authenticated::default());
    }
}

async fn answer(http: &http1::Builder, router: Router, stream: impl ClientStream) {
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Ok(parts) = connection.without_shutdown().await {
        let _ = until_closed(parts.io.into_inner()).await;
    }
}

/// Returns 503 and not 429, even if the client's address has too many connections. A client that
/// shares a proxy with others has done nothing wrong. Clients go on to the next server only after a
/// 5xx.
fn refusal(limit_reached: LimitReached) -> Response {
    let text = match limit_reached {
        LimitReached::Server => "this server is at its connection limit; try another server\n",
        LimitReached::Address => {
            "this address is at its connection limit on this server; close a connection, or try another server\n"
        }
    };
    let again = [(header::RETRY_AFTER, "1"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, again, text).into_response()
}
