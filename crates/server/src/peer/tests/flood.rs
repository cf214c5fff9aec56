//! More connections than the connection limit allows.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use bellwether_election::Link;
use tokio::net::TcpStream;

use super::super::accept::MAX_STRANGERS;
use super::{SECRET, link, listener, peer_with, until};

/// Strangers take every connection, and again as soon as one is free. A peer still gets through.
#[tokio::test]
async fn strangers_cannot_keep_a_peer_out() {
    let ((la, pa), (lb, _)) = (listener().await, listener().await);
    // `a` cannot dial `b`, so that there is no other way.
    let (_, nowhere) = listener().await;
    let mut a = peer_with("c", "a", la, ("b", nowhere), Some(SECRET));
    let mut held = Vec::new();
    for _ in 0..MAX_STRANGERS {
        held.push(TcpStream::connect((Ipv4Addr::LOCALHOST, pa)).await.unwrap());
    }
    let flood = tokio::spawn(async move {
        loop {
            held.push(TcpStream::connect((Ipv4Addr::LOCALHOST, pa)).await.unwrap());
            if held.len() > MAX_STRANGERS + 50 {
                held.retain(is_open);
            }
        }
    });
    let mut b = peer_with("c", "b", lb, ("a", pa), Some(SECRET));
    until(&mut b, link(Link::Up)).await;
    until(&mut a, link(Link::Up)).await;
    assert!(!flood.is_finished());
    flood.abort();
}

fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
