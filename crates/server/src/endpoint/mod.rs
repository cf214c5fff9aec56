//! What clients connect to: WebSocket at `/v1`, health and status, and the page.

mod accept;
mod budget;
mod ending;
mod error_text;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handshake;
mod lingering;
mod origin;
mod overflow;
mod page;
mod places;
mod refusal;
mod replies;
mod session;
mod site;
mod socket;
mod status;
mod understand;
mod workers;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::routing::{any, get};
use bellwether_election::Election;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::Config;
use crate::database::Database;
use crate::peer::Directory;
use crate::pipeline::Pipeline;
use budget::Budget;
use origin::RefusalLog;
pub(crate) use page::Page;
use places::Places;
use workers::Workers;

/// What every part of the endpoint can ask.
pub(crate) struct Cluster {
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) directory: Directory,
    pub(crate) election: Election,
    pub(crate) pipeline: Pipeline,
    pub(crate) page: Option<Page>,
    pub(crate) since: Since,
}

/// When the role last changed, in milliseconds since the Unix epoch.
pub(crate) struct Since(AtomicU64);

impl From<SystemTime> for Since {
    fn from(time: SystemTime) -> Self {
        Self(AtomicU64::new(unix_ms(time)))
    }
}

impl Since {
    pub(crate) fn set(&self, time: SystemTime) {
        self.0.store(unix_ms(time), Ordering::Relaxed);
    }

    fn ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// What a handler can ask: the cluster, whether the server is leaving, room for replies, who is connected, threads for
/// what takes long, and the log lines about pages that are turned away.
#[derive(Clone)]
struct Context {
    cluster: Arc<Cluster>,
    stopped: watch::Receiver<bool>,
    replies: Arc<Budget>,
    places: Arc<Places>,
    workers: Arc<Workers>,
    refusal_log: Arc<RefusalLog>,
}

/// Serves until `stopped` says so, then until every session has ended.
pub(crate) async fn serve(cluster: Arc<Cluster>, listener: TcpListener, stopped: watch::Receiver<bool>) {
    let limits = &cluster.config.limits;
    let workers = Workers::new();
    let context = Context {
        cluster: Arc::clone(&cluster),
        stopped: stopped.clone(),
        replies: Budget::new(limits.reply_bytes),
        places: Places::new(limits, workers.share()),
        workers,
        refusal_log: Arc::default(),
    };
    let routers = Routers {
        all: all(&context),
        health: with_headers(health(), &context),
    };
    accept::serve(listener, routers, &context.places, limits, stopped).await;
}

/// What is answered: on connections that have a place, and on those that have none.
struct Routers {
    all: Router,
    health: Router,
}

fn all(context: &Context) -> Router {
    let mut router = health().route("/v1", get(handshake::upgrade));
    if let Some(page) = &context.cluster.page {
        router = router.fallback_service(any(page::serve).with_state(page.clone()));
    }
    with_headers(router, context)
}

fn health() -> Router<Context> {
    Router::new()
        .route("/livez", get(status::livez))
        .route("/readyz", get(status::readyz))
        .route("/status", get(status::status))
}

fn with_headers(mut router: Router<Context>, context: &Context) -> Router {
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A new version of the page must not meet an old version of its module.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in headers {
        router = router.layer(SetResponseHeaderLayer::overriding(
            name,
            HeaderValue::from_static(value),
        ));
    }
    router
        .layer(middleware::from_fn_with_state(context.clone(), origin::check))
        .with_state(context.clone())
}

/// The page loads its own files only, and text never becomes script or markup in it, whatever its code does. It may
/// connect anywhere, since its user lists the servers: `ws:` and `wss:` for commands, `http:` and `https:` for `/status`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self'; connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
