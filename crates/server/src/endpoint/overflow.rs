//! What becomes of a connection for which there is no place: it is told so and closed, so that its client goes to
//! the next server at once.
//!
//! Health and status are answered nevertheless. Whoever watches over servers would otherwise take a full one for a
//! dead one and restart it, which is what a flood of connections may be after.

use core::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::lingering::until_closed;
use super::places::NoPlace;
use crate::newcomers::{Newcomers, Settled};

/// How many are answered at a time. With more, the oldest is dropped without an answer.
const MAX: usize = 256;
/// How long the whole may take: a request of a few hundred bytes, and the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The request's head, and what of the answer waits to be taken.
const BUFFER: usize = 8 * 1024;

pub(super) struct Overflow {
    http: http1::Builder,
    at_all: Router,
    for_address: Router,
    answered: Newcomers,
}

impl Overflow {
    /// `health` is what is answered as ever.
    pub(super) fn new(health: &Router) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(BUFFER)
            .keep_alive(false);
        let with = |no_place: NoPlace| health.clone().fallback(move || async move { refusal(no_place) });
        Self {
            http,
            at_all: with(NoPlace::AtAll),
            for_address: with(NoPlace::ForAddress),
            answered: Newcomers::new(MAX),
        }
    }

    pub(super) fn answer(&mut self, stream: TcpStream, no_place: NoPlace) {
        let router = match no_place {
            NoPlace::AtAll => &self.at_all,
            NoPlace::ForAddress => &self.for_address,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let answered = async move {
            if let Ok(parts) = connection.without_shutdown().await {
                let _ = until_closed(parts.io.into_inner()).await;
            }
        };
        let task = tokio::spawn(async move { drop(timeout(PATIENCE, answered).await) });
        self.answered.add(task.abort_handle(), Settled::default());
    }
}

/// 503 and not 429, also where it is the client's address that has too many: one behind the same proxy as others
/// has done nothing wrong, and clients go on to the next server after a 5xx only.
fn refusal(no_place: NoPlace) -> Response {
    let text = match no_place {
        NoPlace::AtAll => "no place: as many are connected to this server as may be; try another\n",
        NoPlace::ForAddress => {
            "no place: as many are connected from this address as may be; try another server, or close some\n"
        }
    };
    let again = [(header::RETRY_AFTER, "1"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, again, text).into_response()
}
