//! Transports against each other, and against other programs.

mod altered;
mod flood;
mod noise;
mod pages;
mod raw;
mod secrets;

use std::collections::BTreeMap;

use bellwether_election::{Body, Event, Link, Member, Message, Number, ServerId, Transport};
use core::time::Duration;
use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::{Directory, Flush, PeerSecrets, PeerSettings, PeerTransport};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "another secret of 32 characters.";

fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

struct Peer {
    transport: PeerTransport,
    directory: Directory,
    flush: Flush,
}

/// Starts a peer at this listener. Its only peer is at `other`.
fn peer(cluster: &str, name: &str, listener: TcpListener, other: (&str, u16)) -> Peer {
    peer_with(cluster, name, listener, other, None)
}

/// Starts the same peer with secrets.
fn peer_with(
    cluster: &str,
    name: &str,
    listener: TcpListener,
    other: (&str, u16),
    secrets: Option<&str>,
) -> Peer {
    let settings = PeerSettings {
        cluster: cluster.to_owned(),
        id: id(name),
        client_url: Some(format!("ws://{name}.example/v1")),
        peers: BTreeMap::from([(id(other.0), format!("127.0.0.1:{}", other.1))]),
        secrets: secrets.map(|text| text.parse::<PeerSecrets>().unwrap()),
    };
    let directory = Directory::default();
    let (transport, flush) = PeerTransport::start(settings, listener, &directory);
    Peer {
        transport,
        directory,
        flush,
    }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Waits for an event that fits. The time limit is generous, because no test here is about time.
async fn until(peer: &mut Peer, fits: impl Fn(&Event) -> bool) -> Event {
    let waiting = async {
        loop {
            let event = peer.transport.recv().await.expect("the transport goes on");
            if fits(&event) {
                return event;
            }
        }
    };
    timeout(Duration::from_secs(30), waiting)
        .await
        .expect("the event comes")
}

fn link(wanted: Link) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Link { link, .. } if *link == wanted)
}

/// Returns the messages that have arrived without being waited for.
fn messages_so_far(peer: &mut Peer) -> Vec<Body> {
    let mut bodies = Vec::new();
    while let Some(Some(event)) = peer.transport.recv().now_or_never() {
        if let Event::Message { message, .. } = event {
            bodies.push(message.body);
        }
    }
    bodies
}

fn message(from: &str, body: Body) -> Message {
    let sender = Member::new(id(from), Number(u64::MAX));
    Message { sender, body }
}

#[tokio::test]
async fn messages_arrive_and_addresses_become_known() {
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer("c", "a", la, ("b", pb));
    let mut b = peer("c", "b", lb, ("a", pa));
    until(&mut a, link(Link::Up)).await;
    until(&mut b, link(Link::Up)).await;
    assert_eq!(a.directory.url(&id("b")).as_deref(), Some("ws://b.example/v1"));
    assert!(a.directory.proven_urls().is_empty(), "nobody has proven anything");
    let sent = message("a", Body::Query);
    a.transport.send(&id("b"), sent.clone());
    let received = until(&mut b, |event| matches!(event, Event::Message { .. })).await;
    assert_eq!(
        received,
        Event::Message {
            from: id("a"),
            message: sent
        }
    );
}

#[tokio::test]
async fn a_peer_that_ends_is_refused_and_its_last_words_arrive() {
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer("c", "a", la, ("b", pb));
    let mut b = peer("c", "b", lb, ("a", pa));
    until(&mut a, link(Link::Up)).await;
    until(&mut b, link(Link::Up)).await;
    b.transport.send(&id("a"), message("b", Body::Decline));
    let Peer { transport, flush, .. } = b;
    drop(transport);
    flush.wait(Duration::from_secs(30)).await;
    until(
        &mut a,
        |event| matches!(event, Event::Message { message, .. } if message.body == Body::Decline),
    )
    .await;
    until(&mut a, link(Link::Refused)).await;
    // The peer is found again when it returns.
    let listener = TcpListener::bind(("127.0.0.1", pb)).await.unwrap();
    let _b = peer("c", "b", listener, ("a", pa));
    until(&mut a, link(Link::Up)).await;
}

#[tokio::test]
async fn another_cluster_and_another_server_are_no_peers() {
    for (cluster, name) in [("other", "b"), ("c", "x")] {
        let ((la, pa), (lb, pb)) = (listener().await, listener().await);
        let mut a = peer("c", "a", la, ("b", pb));
        let mut stranger = peer(cluster, name, lb, ("a", pa));
        until(&mut a, link(Link::Down)).await;
        until(&mut stranger, link(Link::Down)).await;
        assert_eq!(a.directory.url(&id("b")), None);
    }
}

#[tokio::test]
async fn bytes_that_are_no_handshake_do_no_harm() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer("c", "a", la, ("b", pb));
    for bytes in [
        &b"\x00\xff\x16\x03"[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[b'x'; 100_000],
    ] {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", pa)).await.unwrap();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(30), stream.read_to_end(&mut answer))
            .await
            .expect("hangs up");
    }
    let mut b = peer("c", "b", lb, ("a", pa));
    until(&mut b, link(Link::Up)).await;
    until(&mut a, link(Link::Up)).await;
}

#[tokio::test]
async fn who_cannot_be_dialled_is_answered_on_the_connection_it_has_dialled() {
    for secret in [None, Some(SECRET)] {
        // This listener accepts and stays silent. Dialling it therefore always takes until the time
        // limit.
        let (hole, address_of_hole) = listener().await;
        let ((la, pa), (lb, _)) = (listener().await, listener().await);
        let mut a = peer_with("c", "a", la, ("b", address_of_hole), secret);
        let mut b = peer_with("c", "b", lb, ("a", pa), secret);
        until(&mut b, link(Link::Up)).await;
        for body in [Body::Query, Body::Decline] {
            b.transport.send(&id("a"), message("b", body.clone()));
            let asked = until(&mut a, |event| matches!(event, Event::Message { .. })).await;
            assert!(matches!(asked, Event::Message { from, .. } if from == id("b")));
            a.transport.send(&id("b"), message("a", body.clone()));
            let answered = until(&mut b, |event| matches!(event, Event::Message { .. })).await;
            let answer = Event::Message {
                from: id("a"),
                message: message("a", body),
            };
            assert_eq!(answered, answer);
        }
        // The peer has dialled all the time, and has no link of its own.
        assert!(hole.accept().now_or_never().is_some());
        assert_eq!(messages_so_far(&mut a), []);
    }
}
