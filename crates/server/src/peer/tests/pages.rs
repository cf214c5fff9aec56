//! Web pages that try to be peers.

use bellwether_election::Link;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::super::Socket;
use super::super::frame::SUBPROTOCOL;
use super::raw::{dial, hear_close, hear_text, hello, say};
use super::{SECRET, link, listener, peer_with, until};

/// Sends a handshake with these headers. Only the headers distinguish a browser from a server.
async fn dial_with(port: u16, headers: &[(&'static str, &'static str)]) -> Result<Socket, Error> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut request = format!("ws://127.0.0.1:{port}/").into_client_request().unwrap();
    let subprotocol = ("sec-websocket-protocol", SUBPROTOCOL);
    for (name, value) in [&[subprotocol], headers].concat() {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

#[tokio::test]
async fn no_page_gets_to_say_hello() {
    for secret in [None, Some(SECRET)] {
        let ((la, pa), (lb, pb)) = (listener().await, listener().await);
        let mut a = peer_with("c", "a", la, ("b", pb), secret);
        for headers in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "")],
            // Not even a page from an address that the server itself may have.
            &[("origin", "http://127.0.0.1:7001")],
            &[("sec-fetch-mode", "websocket")],
            &[("sec-fetch-site", "none"), ("sec-fetch-dest", "websocket")],
        ] {
            let Err(Error::Http(answer)) = dial_with(pa, headers).await else {
                panic!("not refused: {headers:?}");
            };
            assert_eq!(answer.status(), 403, "{headers:?}");
            let body = String::from_utf8(answer.into_body().unwrap_or_default()).unwrap();
            assert!(body.contains("for servers only"), "{body}");
        }
        dial_with(pa, &[("user-agent", "a server of another make")])
            .await
            .unwrap();
        let mut b = peer_with("c", "b", lb, ("a", pa), secret);
        until(&mut b, link(Link::Up)).await;
        until(&mut a, link(Link::Up)).await;
    }
}

#[tokio::test]
async fn a_client_url_that_no_option_could_give_is_refused() {
    let (la, pa) = listener().await;
    let a = peer_with("c", "a", la, ("b", 1), None);
    let long = format!("ws://evil.example/{}", "x".repeat(2_000));
    for url in ["http://evil.example", "ws://evil.example/\\u001b[2J", "", &long] {
        let mut socket = dial(pa).await;
        let plain = hello("c", "b", "a", None);
        let with_url = format!(r#"{},"client_url":"{url}"}}"#, plain.trim_end_matches('}'));
        say(&mut socket, with_url).await;
        let (code, reason) = hear_close(&mut socket).await;
        assert!(
            code == 4403 && reason == "the client URL cannot be used: check --client-url",
            "{url}: {code} {reason}"
        );
    }
    assert_eq!(a.directory.url(&super::id("b")), None);
    let mut socket = dial(pa).await;
    let plain = hello("c", "b", "a", None);
    let with_url = format!(
        r#"{},"client_url":"ws://b.example/v1"}}"#,
        plain.trim_end_matches('}')
    );
    say(&mut socket, with_url).await;
    hear_text(&mut socket).await;
    // The URL is known to clients, but lets no page connect to this server.
    while a.directory.url(&super::id("b")).is_none() {
        tokio::task::yield_now().await;
    }
    assert!(a.directory.proven_urls().is_empty());
}
