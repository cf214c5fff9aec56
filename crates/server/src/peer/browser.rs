//! Web pages at the peer port.
//!
//! A browser lets any page open a WebSocket to any address that it reaches, even to its own
//! machine. Every such handshake has the header `Origin`, and newer browsers add headers that begin
//! with `Sec-Fetch-`. No page can remove these headers, and no server sends them. A page can send
//! other requests without an `Origin`. None of them is a handshake, so this server does not answer
//! them.

use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request};
use tokio_tungstenite::tungstenite::http::StatusCode;

use super::rejection_log::printable;

/// Prefix of the headers, in addition to `Origin`, in which newer browsers describe a request.
const FETCH_METADATA: &str = "sec-fetch-";

/// Returns the page for which a browser opens the connection, in a form that fits the log. Returns
/// `None` if the request does not come from a browser.
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

/// Makes the answer to such a handshake. The page cannot read it, but a person with the tools of
/// the browser can.
pub(super) fn refusal() -> ErrorResponse {
    let text = "this port is for servers only, and a handshake from a web page is refused\n";
    let mut refusal = ErrorResponse::new(Some(text.to_owned()));
    *refusal.status_mut() = StatusCode::FORBIDDEN;
    refusal
}
