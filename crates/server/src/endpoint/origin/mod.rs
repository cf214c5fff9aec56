//! Decides which web pages may talk to this server.
//!
//! A browser lets any page open a WebSocket to any address, even to its own machine. The header
//! `Origin` names the page. Only this header protects a server on loopback from every page that its
//! user visits. Programs other than browsers send no `Origin`, and the server lets them through.
//!
//! A server recognizes its own page by `Host`, unless that is a name. The owner of a name can serve
//! a page under the name, and then point the name at this server. The browser takes both for the
//! same origin. A name counts only if it comes from an option of this server, or from a proven
//! peer. Such a peer has proven that it has the peer secret. Other peers may be any program on this
//! machine.
//!
//! Such a page could also read `/status` with a `GET`, for which a browser sends no `Origin`. Two
//! rules prevent that, for requests without an `Origin`:
//!
//! - The server refuses a name that it does not know if a browser asks, which `Sec-Fetch-…` shows.
//!   A server that listens on loopback refuses such a name in any case. Browsers send `Sec-Fetch-…`
//!   only over TLS and to their own machine. A server that listens beyond loopback without TLS
//!   therefore cannot tell such a page from a load balancer that checks its health.
//! - A page of another site may send its visitor here, but it must not load anything from here.

use core::fmt::{self, Write as _};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::warn;
use url::Host;

use super::Context;
use crate::config::AllowedOrigin;
use crate::config::origin::{PageOrigin, is_loopback, parse_host, split_port};
use crate::log_throttle::LogThrottle;

/// Prefix of the headers, in addition to `Origin`, in which browsers describe a request.
const FETCH_METADATA: &str = "sec-fetch-";
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Length limit for the reason of a close frame, in bytes (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;
/// Limit for a quoted header, in bytes: in the log, and in answers over HTTP.
const MAX_QUOTED: usize = 300;

pub(super) async fn check(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    let server = &context.server;
    let urls = server.directory.proven_urls();
    let servers = urls.iter().filter_map(|url| AllowedOrigin::of_server(url));
    let servers: Vec<AllowedOrigin> = servers.collect();
    let known = server.config.allowed_origins.iter().chain(&servers);
    let asked = Asked {
        scheme: if server.tls.is_some() { "https" } else { "http" },
        on_loopback: server.config.listen.ip().is_loopback(),
    };
    let refusal = match judge(request.headers(), known, asked) {
        Ok(None) => return next.run(request).await,
        Ok(Some(origin)) => {
            let mut response = next.run(request).await;
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(header::VARY, HeaderValue::from_static("origin"));
            return response;
        }
        Err(refusal) => refusal,
    };
    let path = request.uri().path();
    context.refusal_log.log(&refusal, request.headers(), path);
    // A browser hides the reason of a failed handshake from its page. The handshake therefore
    // succeeds, and the close frame gives the reason.
    if path == "/v1" && request.headers().contains_key(header::UPGRADE) && refusal.is_for_pages() {
        request.extensions_mut().insert(refusal);
        return next.run(request).await;
    }
    refusal.into_response()
}

/// A request that the server refuses, because it comes from a browser's page that is not allowed or
/// could come from such a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A page of this origin: the escaped value of the header.
    Page(String),
    /// A page with the origin `null`, which no operator can allow.
    Null,
    /// Several headers `Origin`, which no browser sends.
    SeveralOrigins,
    /// A page of another site, for which the browser sends no `Origin`.
    OtherSite,
    /// A name that this server does not know: the escaped host.
    Name(String),
}

impl Refusal {
    /// Returns `true` if the refusal concerns a browser's page that can read a close frame.
    fn is_for_pages(&self) -> bool {
        !matches!(self, Self::Name(_))
    }

    /// Returns the reason of the close frame: ASCII, within the length limit.
    pub(super) fn close_reason(&self) -> String {
        let mut reason = self.to_string();
        if reason.len() > MAX_REASON {
            reason.truncate(MAX_REASON - 3);
            reason.push_str("...");
        }
        reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(origin) => write!(
                f,
                "page not allowed: start the server with --allow-origin {origin}"
            ),
            Self::Null => f.write_str(
                "page not allowed: its Origin is null, which --allow-origin cannot allow; serve it over http or https",
            ),
            Self::SeveralOrigins => f.write_str("page not allowed: several headers Origin"),
            Self::OtherSite => f.write_str("page not allowed: what a page of another site loads needs the header Origin"),
            Self::Name(host) => write!(
                f,
                "this server is not known by the name {host} in the header Host: use its address or localhost, or start \
                 it with --client-url or --allow-origin and that name"
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Name(_) => StatusCode::MISDIRECTED_REQUEST,
            _ => StatusCode::FORBIDDEN,
        };
        // An open connection would keep its permit.
        let close = [(header::CONNECTION, "close")];
        (status, close, format!("{self}\n")).into_response()
    }
}

/// Log lines about refused pages. Any page that a user visits can cause them.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    pages: LogThrottle,
    names: LogThrottle,
}

impl RefusalLog {
    fn log(&self, refusal: &Refusal, headers: &HeaderMap, path: &str) {
        let (throttle, refused) = if refusal.is_for_pages() {
            (&self.pages, "a web page")
        } else {
            (&self.names, "a request")
        };
        let Some(suppressed) = throttle.admit() else {
            return;
        };
        let host = headers.get(header::HOST).map(quoted).unwrap_or_default();
        let path = escaped(path.as_bytes(), MAX_QUOTED);
        warn!(%host, %path, suppressed, "refusing {refused}: {refusal}");
    }
}

/// The server as a page reaches it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The scheme of the pages of this server: `https` if it speaks TLS.
    pub(super) scheme: &'static str,
    /// Set if the server listens on loopback only.
    pub(super) on_loopback: bool,
}

/// Decides on a request by its headers. Returns the `Origin` that may read the answer, if the
/// request has one.
///
/// `known` contains the origins that this server knows.
pub(super) fn judge<'a>(
    headers: &HeaderMap,
    known: impl Iterator<Item = &'a AllowedOrigin> + Clone,
    asked: Asked,
) -> Result<Option<HeaderValue>, Refusal> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if let Some(origin) = origins.next() {
        if origins.next().is_some() {
            return Err(Refusal::SeveralOrigins);
        }
        return if allows(origin, headers, known, asked.scheme) {
            Ok(Some(origin.clone()))
        } else if origin == "null" {
            Err(Refusal::Null)
        } else {
            Err(Refusal::Page(quoted(origin)))
        };
    }
    let by_browser = headers
        .keys()
        .any(|name| name.as_str().starts_with(FETCH_METADATA));
    if asked.on_loopback || by_browser {
        let mut hosts = headers.get_all(header::HOST).iter();
        if let Some(strange) = hosts.find(|host| is_strange_name(host, known.clone())) {
            return Err(Refusal::Name(quoted(strange)));
        }
    }
    if is_loaded_by_another_site(headers) {
        return Err(Refusal::OtherSite);
    }
    Ok(None)
}

/// Returns `true` if a page of this origin may talk to a server that the page reaches with these
/// headers.
fn allows<'a>(
    origin: &HeaderValue,
    headers: &HeaderMap,
    mut known: impl Iterator<Item = &'a AllowedOrigin>,
    scheme: &str,
) -> bool {
    let Some(page) = origin.to_str().ok().and_then(PageOrigin::parse) else {
        return false;
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none());
    let own = host
        .and_then(place)
        .filter(|(host, _)| leads_nowhere_else(host))
        .map(|(host, port)| AllowedOrigin::one(scheme, host, port));
    own.is_some_and(|own| own.matches(&page)) || known.any(|known| known.matches(&page))
}

/// Returns `true` if anyone may have pointed this name here, and it is not a `known` host. The
/// ports of `known` hosts do not count, because a proxy may use its own port.
fn is_strange_name<'a>(host: &HeaderValue, mut known: impl Iterator<Item = &'a AllowedOrigin>) -> bool {
    place(host)
        .is_none_or(|(host, _)| !leads_nowhere_else(&host) && !known.any(|known| known.has_web_host(&host)))
}

/// Reads a header `Host`.
fn place(host: &HeaderValue) -> Option<(Host, Option<u16>)> {
    let (host, port) = split_port(host.to_str().ok()?);
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().ok()?),
    };
    Some((parse_host(host).ok()?, port))
}

/// Returns `true` if no one can point this host at another machine.
fn leads_nowhere_else(host: &Host) -> bool {
    is_loopback(host) || !matches!(host, Host::Domain(_))
}

/// Returns `true` if a page of another site loads something, such as an image or a frame. A page
/// that only sends its visitor here does not count.
fn is_loaded_by_another_site(headers: &HeaderMap) -> bool {
    let own = |site: &HeaderValue| site == "same-origin" || site == "none";
    let is = |name: HeaderName, value: &str| headers.get(name).is_some_and(|given| given == value);
    let is_visit = is(MODE, "navigate") && is(DESTINATION, "document");
    !headers.get_all(SITE).iter().all(own) && !is_visit
}

fn quoted(value: &HeaderValue) -> String {
    escaped(value.as_bytes(), MAX_QUOTED)
}

/// Returns visible ASCII for any bytes, cut at `most` bytes.
fn escaped(bytes: &[u8], most: usize) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(most) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", byte.escape_ascii());
    }
    if bytes.len() > most || text.len() > most {
        text.truncate(most);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests;
