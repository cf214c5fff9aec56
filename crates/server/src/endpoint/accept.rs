//! Accepts connections, up to the connection limit. Each has a time limit for its TLS handshake,
//! and then for its request.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::Routers;
use super::connection_limit::{ConnectionLimit, ConnectionPermit, LimitReached};
use super::lingering_close::{ClientStream, LingeringClose};
use super::reject::Rejector;
use super::tls_handshake::{HandshakeLog, tls_handshake};
use crate::config::ClientLimits;
use crate::log_throttle::LogThrottle;
use crate::tls::{Tls, TlsStream};

/// Limit in bytes for the head of a request, and for the part of an answer that waits to be sent.
const BUFFER: usize = 16 * 1024;

pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    routers: Routers,
    connection_limit: &Arc<ConnectionLimit>,
    limits: &ClientLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let mut rejector = Rejector::new(&routers.health, tls.clone());
    let http_connections = Arc::new(HttpConnections::new(routers.all, tls, limits, stopped.clone()));
    let rejections = RejectionLog::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopped) => break,
        };
        match accepted {
            Ok((stream, from)) => {
                // Answers are small, and clients wait for each of them.
                let _ = stream.set_nodelay(true);
                match connection_limit.take(from.ip()) {
                    Ok(permit) => http_connections.open(stream, from, permit),
                    Err(limit_reached) => {
                        rejections.refused(from, limit_reached);
                        rejector.answer(stream, limit_reached);
                    }
                }
            }
            Err(error) => {
                // The most likely cause is that the process has no free file descriptor. Only time
                // helps.
                rejections.not_accepted(&error);
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    // Every connection, including upgraded ones, holds a permit until it ends.
    connection_limit.all_free().await;
}

/// Serves connections that have a permit.
struct HttpConnections {
    http: http1::Builder,
    router: Router,
    tls: Option<Tls>,
    handshake_log: HandshakeLog,
    stopped: watch::Receiver<bool>,
    /// Time limit for a TLS handshake.
    handshake_time: Duration,
    /// Time limit for a connection that speaks HTTP. A request in progress may then still end.
    time: Duration,
    /// Time limit for that end.
    more_time: Duration,
}

impl HttpConnections {
    fn new(router: Router, tls: Option<Tls>, limits: &ClientLimits, stopped: watch::Receiver<bool>) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.handshake_timeout)
            .max_buf_size(BUFFER);
        Self {
            http,
            router,
            tls,
            handshake_log: HandshakeLog::default(),
            stopped,
            handshake_time: limits.handshake_timeout,
            time: limits.idle_timeout,
            more_time: limits.send_timeout,
        }
    }

    fn open(self: &Arc<Self>, stream: TcpStream, from: SocketAddr, permit: ConnectionPermit) {
        let connections = Arc::clone(self);
        match &self.tls {
            None => tokio::spawn(async move { connections.serve(stream, from, permit).await }),
            Some(tls) => {
                let tls = tls.clone();
                tokio::spawn(async move {
                    if let Some(stream) = connections.shake_hands(&tls, stream, from).await {
                        connections.serve(stream, from, permit).await;
                    }
                })
            }
        };
    }

    /// Returns the stream of a client that speaks TLS. The time limit includes the first byte, so
    /// that a silent client does not keep its permit.
    async fn shake_hands(&self, tls: &Tls, stream: TcpStream, from: SocketAddr) -> Option<TlsStream> {
        let mut stopped = self.stopped.clone();
        let handshake = async {
            match tls_handshake(tls, stream).await {
                Ok(stream) => Some(stream),
                Err(reason) => {
                    self.handshake_log.failed(from, &reason);
                    reason.explain().await;
                    None
                }
            }
        };
        tokio::select! {
            ended = timeout(self.handshake_time, handshake) => ended.unwrap_or_default(),
            () = told(&mut stopped) => None,
        }
    }

    async fn serve(&self, stream: impl ClientStream, from: SocketAddr, permit: ConnectionPermit) {
        let router = TowerToHyperService::new(self.router.clone());
        let site = permit.site();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&site));
            router.call(request)
        });
        let stream = TokioIo::new(LingeringClose::new(stream, permit));
        let connection = self.http.serve_connection(stream, service).with_upgrades();
        let mut stopped = self.stopped.clone();
        tokio::pin!(connection);
        let result = tokio::select! {
            result = &mut connection => Ok(result),
            () = told(&mut stopped) => Err(()),
            () = sleep(self.time) => Err(()),
        };
        let result = match result {
            Ok(result) => Ok(result),
            Err(()) => {
                connection.as_mut().graceful_shutdown();
                // A client that does not read its answer must not keep its permit.
                timeout(self.more_time, connection).await
            }
        };
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%from, %error, "an HTTP connection ended early"),
            Err(_) => debug!(%from, "dropping a client that does not take what it is sent over HTTP"),
        }
    }
}

/// Log lines about connections that the server does not serve.
#[derive(Default)]
struct RejectionLog {
    of_server: LogThrottle,
    of_address: LogThrottle,
    not_accepted: LogThrottle,
}

impl RejectionLog {
    fn refused(&self, from: SocketAddr, limit_reached: LimitReached) {
        let (throttle, reason) = match limit_reached {
            LimitReached::Server => (
                &self.of_server,
                "refusing a client's connection: as many are open as --connections allows",
            ),
            LimitReached::Address => (
                &self.of_address,
                "refusing a client's connection: as many are open from its address as --connections-per-address allows",
            ),
        };
        if let Some(suppressed) = throttle.admit() {
            warn!(%from, suppressed, "{reason}");
        }
    }

    fn not_accepted(&self, error: &io::Error) {
        if let Some(suppressed) = self.not_accepted.admit() {
            warn!(%error, suppressed, "cannot accept a client's connection");
        }
    }
}

/// Returns when the server must stop, or has stopped.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
