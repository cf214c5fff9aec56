//! Which web pages may talk to this server.
//!
//! A browser lets any page open a WebSocket to any address, this machine's own included, and says in the
//! header `Origin` which page it was. That header is the only thing between a server on loopback and
//! every page its user visits. Programs other than browsers send none, and are let through.
//!
//! A server's own page is known by `Host`, unless that is a name: whoever owns a name can serve a page under it and
//! then let it lead to this server, and the browser takes the two for one place. Names count if an option of this server
//! gives them, or a peer that has proven that it has the peer secret. Other peers may be any program of this machine.
//!
//! Such a page could also read `/status` with a `GET`, for which a browser sends no `Origin`. So a server that listens on
//! loopback answers a request without an `Origin` only by its address, as `localhost`, or under a name that it was told.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::debug;
use url::{Host, Url};

use super::Context;

pub(super) async fn check(State(context): State<Context>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let origin = request.headers().get(header::ORIGIN).cloned();
    let cluster = &context.cluster;
    let servers = cluster.directory.proven_urls();
    let known = cluster.config.allowed_origins.iter().chain(&servers);
    let mut known = known.map(String::as_str);
    let Some(origin) = origin else {
        let loopback = cluster.config.listen.ip().is_loopback();
        if loopback && host.is_some_and(|host| is_strange_name(host, &mut known)) {
            debug!(?host, "refusing a request for a name that is not this server's");
            let text = "this server is not known by the name in the header Host: use its address or localhost, or start \
                        it with --client-url or --allow-origin and that name\n";
            return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
        }
        return next.run(request).await;
    };
    let allowed = allows(&origin, host, known);
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

/// Returns `true` if this is a name that anybody may have led here, and not one of the `known` places. Their ports do not
/// count, since a proxy may have one of its own.
fn is_strange_name<'a>(host: &HeaderValue, known: impl IntoIterator<Item = &'a str>) -> bool {
    let text = host.to_str().ok();
    let Some(place) = text.and_then(|host| Url::parse(&format!("http://{host}/")).ok()) else {
        return true;
    };
    let mut known = known.into_iter().filter_map(|known| Url::parse(known).ok());
    !leads_nowhere_else(&place) && !known.any(|known| known.host_str() == place.host_str())
}

/// Whether a page from there may talk to a server that it reaches as this host. `known` are the places it was told of.
pub(super) fn allows<'a>(
    origin: &HeaderValue,
    host: Option<&HeaderValue>,
    known: impl IntoIterator<Item = &'a str>,
) -> bool {
    let Some(page) = origin.to_str().ok().and_then(|text| Url::parse(text).ok()) else {
        return false;
    };
    // Other schemes have other rules for what a host is, so one that looks the same need not be.
    if !matches!(page.scheme(), "http" | "https") {
        return false;
    }
    let own = host
        .and_then(|host| Url::parse(&format!("http://{}/", host.to_str().ok()?)).ok())
        .filter(leads_nowhere_else);
    let known = known.into_iter().filter_map(|known| Url::parse(known).ok());
    own.into_iter()
        .chain(known)
        .any(|place| same_place(&place, &page))
}

/// Whether nobody can make this address lead elsewhere.
fn leads_nowhere_else(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        host => host.is_some(),
    }
}

/// The same host and port. The names of loopback count as one, because people type any of them.
fn same_place(a: &Url, b: &Url) -> bool {
    let loopback = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let secure = |url: &Url| matches!(url.scheme(), "https" | "wss");
    let same_host = a.host().is_some() && a.host() == b.host();
    (same_host || loopback(a) && loopback(b))
        && a.port_or_known_default() == b.port_or_known_default()
        && secure(a) == secure(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_led_elsewhere() {
        let led = |url| !leads_nowhere_else(&Url::parse(url).unwrap());
        for fixed in [
            "http://127.0.0.1:7001",
            "http://[::1]:7001",
            "http://10.0.0.1",
            "http://localhost:7001",
        ] {
            assert!(!led(fixed), "{fixed}");
        }
        for name in [
            "http://evil.example:7001",
            "http://localhost.evil.example",
            "http://db1",
            "data:text/html,x",
        ] {
            assert!(led(name), "{name}");
        }
    }

    #[test]
    fn a_server_on_loopback_has_few_names() {
        let strange = |host| {
            let known = ["http://app.example", "wss://db.example/v1"];
            is_strange_name(&HeaderValue::from_static(host), known)
        };
        for own in [
            "127.0.0.1:7001",
            "[::1]:7001",
            "localhost:7001",
            "LOCALHOST",
            "db.example",
            "db.example:7001",
            "app.example",
        ] {
            assert!(!strange(own), "{own}");
        }
        for strange_name in [
            "evil.example:7001",
            "localhost.evil.example",
            "db.example.evil.example",
            "127.0.0.1@evil.example",
            "",
            "a b",
        ] {
            assert!(strange(strange_name), "{strange_name}");
        }
    }

    #[test]
    fn only_web_pages_are_let_in() {
        let allowed = |origin| {
            let [origin, host] = [origin, "10.0.0.1:7001"].map(HeaderValue::from_static);
            allows(&origin, Some(&host), ["http://db.example"])
        };
        for page in ["http://10.0.0.1:7001", "http://db.example"] {
            assert!(allowed(page), "{page}");
        }
        for other in [
            "other://10.0.0.1:7001",
            "null",
            "http://10.0.0.1",
            "https://10.0.0.1:7001",
        ] {
            assert!(!allowed(other), "{other}");
        }
    }

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
        assert!(!same("other://10.0.0.1:7001", "http://10.0.0.1:7001"));
    }
}
