//! The address for clients: WebSocket at `/v1`, health and status, and the page.

mod accept;
mod answer;
mod authentication;
mod connection_limit;
mod ending;
mod error_text;
mod failed_attempts;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handshake;
mod lingering_close;
mod origin;
mod page;
mod reject;
mod replies;
mod reply_budget;
mod session;
mod site;
mod socket;
mod status;
mod tls_handshake;
mod understand;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::routing::{any, get};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::server_state::ServerState;
use authentication::CredentialChecks;
use connection_limit::ConnectionLimit;
use origin::RefusalLog;
pub(crate) use page::Page;
use reply_budget::ReplyBudget;
use workers::Workers;

/// The context of a request.
#[derive(Clone)]
struct Context {
    server: Arc<ServerState>,
    page: Option<Page>,
    /// Set when the server leaves.
    stopped: watch::Receiver<bool>,
    replies: Arc<ReplyBudget>,
    connection_limit: Arc<ConnectionLimit>,
    workers: Arc<Workers>,
    refusal_log: Arc<RefusalLog>,
    credential_checks: Arc<CredentialChecks>,
}

/// Serves until `stopped` is true, then until every session has ended.
pub(crate) async fn serve(
    server: Arc<ServerState>,
    page: Option<Page>,
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
) {
    let limits = &server.config.limits;
    let workers = Workers::new();
    let context = Context {
        server: Arc::clone(&server),
        page,
        stopped: stopped.clone(),
        replies: ReplyBudget::new(limits.reply_bytes),
        connection_limit: ConnectionLimit::new(limits, workers.share()),
        workers,
        refusal_log: Arc::default(),
        credential_checks: Arc::default(),
    };
    let routers = Routers {
        all: all(&context),
        health: with_headers(health(), &context),
    };
    let tls = server.tls.clone();
    accept::serve(listener, tls, routers, &context.connection_limit, limits, stopped).await;
}

/// The routes for connections with a permit, and those for connections without one.
struct Routers {
    all: Router,
    health: Router,
}

fn all(context: &Context) -> Router {
    let mut router = health().route("/v1", get(handshake::upgrade));
    if let Some(page) = &context.page {
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

/// The policy of the page. The page loads only its own files, and no text in it can become script
/// or markup. The page may connect anywhere, because its user lists the servers: with `ws:` and
/// `wss:` for commands, and with `http:` and `https:` for `/status`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self'; connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
