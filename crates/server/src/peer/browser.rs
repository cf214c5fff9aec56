//! Web pages at the peer port.
//!
//! A browser lets any page open a WebSocket to any address it reaches, this machine's own included.
//! It says so: every such handshake has the header `Origin`, and newer browsers add headers that
//! begin with `Sec-Fetch-`; no page can take them away. No server sends them. A page can send other
//! requests without an `Origin`, but none of those is a handshake, and they are answered with
//! nothing.

use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request};
use tokio_tungstenite::tungstenite::http::StatusCode;

use super::rejection_log::printable;

/// Prefix of the headers in which newer browsers describe a request, beside `Origin`.
const FETCH_METADATA: &str = "sec-fetch-";

/// Returns the page that a browser opens the connection for, fit for the log, or `None` if no
/// browser does.
pub(super) fn page(request: &Request) -> Option<String> {
    let headers = request.headers();
    if let Some(origin) = headers.get("origin") {
        return Some(printable(&String::from_utf8_lossy(origin.as_bytes())));
    }
    let from_browser = headers
        .keys()
        .any(|name| name.as_str().starts_with(FETCH_METADATA));
    from_browser.then(|| "unknown".to_owned())
}

/// Makes the answer to such a handshake. The page cannot read it; a person with the browser's tools
/// can.
pub(super) fn refusal() -> ErrorResponse {
    let text = "this port is for servers only, and a handshake from a web page is refused\n";
    let mut refusal = ErrorResponse::new(Some(text.to_owned()));
    *refusal.status_mut() = StatusCode::FORBIDDEN;
    refusal
}
