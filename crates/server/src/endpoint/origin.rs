//! Which web pages may talk to this server.
//!
//! A browser lets any page open a WebSocket to any address, this machine's own included, and says in the
//! header `Origin` which page it was. That header is the only thing between a server on loopback and
//! every page its user visits. Programs other than browsers send none, and are let through.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::debug;
use url::{Host, Url};

use super::Context;

pub(super) async fn check(State(context): State<Context>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    let own_host = request.headers().get(header::HOST).cloned();
    let allowed = origin
        .to_str()
        .ok()
        .and_then(|text| Url::parse(text).ok())
        .is_some_and(|url| {
            let cluster = &context.cluster;
            let servers = cluster.directory.urls();
            let own = own_host.and_then(|host| Url::parse(&format!("http://{}/", host.to_str().ok()?)).ok());
            let by_name = cluster.config.allowed_origins.iter().chain(&servers);
            own.is_some_and(|own| same_place(&own, &url))
                || by_name
                    .filter_map(|known| Url::parse(known).ok())
                    .any(|known| same_place(&known, &url))
        });
    if !allowed {
        debug!(?origin, "refusing a page");
        let text =
            "pages from this origin may not connect: start the server with --allow-origin to let them\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// The same host and port. The names of loopback count as one, because people type any of them.
fn same_place(a: &Url, b: &Url) -> bool {
    let host = |url: &Url| match url.host() {
        Some(Host::Domain("localhost")) => Some("loopback".to_owned()),
        Some(Host::Ipv4(ip)) if ip.is_loopback() => Some("loopback".to_owned()),
        Some(Host::Ipv6(ip)) if ip.is_loopback() => Some("loopback".to_owned()),
        other => other.map(|host| host.to_string()),
    };
    let secure = |url: &Url| matches!(url.scheme(), "https" | "wss");
    host(a).is_some()
        && host(a) == host(b)
        && a.port_or_known_default() == b.port_or_known_default()
        && secure(a) == secure(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_has_many_names() {
        let same = |a: &str, b: &str| same_place(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("ws://127.0.0.1:7001/v1", "http://localhost:7001"));
        assert!(same("http://[::1]:7001", "http://localhost:7001"));
        assert!(same("wss://db.example/v1", "https://db.example"));
        assert!(!same("ws://127.0.0.1:7001/v1", "http://localhost:7002"));
        assert!(!same("ws://db.example/v1", "https://db.example"));
        assert!(!same(
            "ws://127.0.0.1:7001/v1",
            "http://localhost.evil.example:7001"
        ));
        assert!(!same("ws://a:1/v1", "data:text/html,x"));
    }
}
