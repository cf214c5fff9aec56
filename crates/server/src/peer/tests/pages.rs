//! Web pages that try to be peers.

use super::raw::{dial, hear_close, hear_text, hello, say};
use super::{listener, peer_with};

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
    // It is known to clients, and opens this server to no page.
    while a.directory.url(&super::id("b")).is_none() {
        tokio::task::yield_now().await;
    }
    assert!(a.directory.proven_urls().is_empty());
}
