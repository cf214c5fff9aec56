//! Who has the secret is a peer, and nobody else.

use bellwether_election::{Body, Event, Link, Transport};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::super::frame::{PeerProof, to_json};
use super::super::proof::{Hellos, Role};
use super::raw::{
    self, accept, dial, dial_speaking, exchange_hellos, greet, hear_close, hear_text, hello, say,
};
use super::{OTHER, Peer, SECRET, id, link, listener, message, messages_so_far, peer_with, until};

/// `a` with these secrets, and its port; its peer `b` is nowhere.
async fn lone_peer(secrets: Option<&str>) -> (Peer, u16) {
    let (listener, port) = listener().await;
    (peer_with("c", "a", listener, ("b", 1), secrets), port)
}

/// Whether each of two servers with these secrets gets through to the other.
async fn links_up(a: &str, b: &str) -> [bool; 2] {
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", pb), Some(a));
    let mut b = peer_with("c", "b", lb, ("a", pa), Some(b));
    let ends = [until(&mut a, dialled).await, until(&mut b, dialled).await];
    let up = ends.map(|event| link(Link::Up)(&event));
    assert_eq!(a.directory.url(&id("b")).is_some(), up != [false; 2]);
    up
}

fn dialled(event: &Event) -> bool {
    link(Link::Up)(event) || link(Link::Down)(event)
}

#[tokio::test]
async fn messages_pass_between_servers_with_the_same_secret() {
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", pb), Some(SECRET));
    let mut b = peer_with("c", "b", lb, ("a", pa), Some(SECRET));
    until(&mut a, link(Link::Up)).await;
    until(&mut b, link(Link::Up)).await;
    assert_eq!(a.directory.url(&id("b")).as_deref(), Some("ws://b.example/v1"));
    for body in [Body::Query, Body::Decline, Body::Query] {
        a.transport.send(&id("b"), message("a", body.clone()));
        b.transport.send(&id("a"), message("b", body.clone()));
        for peer in [&mut a, &mut b] {
            until(
                peer,
                |event| matches!(event, Event::Message { message, .. } if message.body == body),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_gap() {
    let (both, reversed) = (format!("{SECRET}\n{OTHER}"), format!("{OTHER}\n{SECRET}"));
    for (a, b) in [
        (SECRET, &*both),
        (&both, &both),
        (&both, &reversed),
        (&reversed, &reversed),
        (&reversed, OTHER),
        (OTHER, OTHER),
    ] {
        assert_eq!(links_up(a, b).await, [true; 2], "{a:?} and {b:?}");
    }
    assert_eq!(links_up(SECRET, OTHER).await, [false; 2]);
    // Who proves itself with the new one before all accept it is talked to on the connection it is called on.
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", pb), Some(SECRET));
    let mut b = peer_with("c", "b", lb, ("a", pa), Some(&reversed));
    until(&mut a, link(Link::Up)).await;
    until(&mut b, link(Link::Up)).await;
}

#[tokio::test]
async fn who_is_refused_hears_why() {
    let (_a, port) = lone_peer(Some(SECRET)).await;
    let (_bare, bare_port) = lone_peer(None).await;
    for (port, hello, code, reason) in [
        (port, hello("other", "b", "a", Some(1)), 4403, "cluster"),
        (port, hello("c", "b", "x", Some(1)), 4403, "wanted to reach x"),
        (port, hello("c", "x", "a", Some(1)), 4403, "x is not a peer of a"),
        (
            port,
            hello("c", "a", "a", Some(1)),
            4403,
            "two servers have the id a",
        ),
        (
            port,
            hello("c", "b", "a", None),
            4401,
            "b has no peer secret and a has one",
        ),
        (
            bare_port,
            hello("c", "b", "a", Some(1)),
            4401,
            "a has no peer secret and b has one",
        ),
    ] {
        let mut socket = dial(port).await;
        say(&mut socket, &hello).await;
        let (closed, said) = hear_close(&mut socket).await;
        assert!(
            closed == code && said.contains(reason),
            "{hello}: {closed} {said}"
        );
    }
    let (mut socket, [ours, theirs]) = exchange_hellos(port, "b", "a").await;
    let hellos = Hellos {
        dialler: &ours,
        acceptor: &theirs,
    };
    // And is told nothing that is made with the secret.
    say(&mut socket, raw::proof(hellos, OTHER, Role::Dialler)).await;
    let (code, reason) = hear_close(&mut socket).await;
    assert!(
        code == 4401 && reason.contains("the peer secrets differ"),
        "{code} {reason}"
    );
}

#[tokio::test]
async fn another_version_is_told_this_one() {
    let (_a, port) = lone_peer(Some(SECRET)).await;
    let Err(Error::Http(answer)) = dial_speaking(port, "bellwether-peer.v2").await else {
        panic!("not refused");
    };
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "bellwether-peer.v1");
    dial_speaking(port, "bellwether-peer.v2, bellwether-peer.v1")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_recorded_handshake_is_of_no_use_again() {
    let (mut a, port) = lone_peer(Some(SECRET)).await;
    let (mut socket, [ours, theirs]) = exchange_hellos(port, "b", "a").await;
    let hellos = Hellos {
        dialler: &ours,
        acceptor: &theirs,
    };
    let proof = raw::proof(hellos, SECRET, Role::Dialler);
    say(&mut socket, &proof).await;
    hear_text(&mut socket).await;
    let mut session = hellos.session(SECRET.as_bytes(), Role::Dialler);
    let sealed = session.seal(&to_json(&message("b", Body::Query)));
    socket.send(Frame::binary(sealed.clone())).await.unwrap();
    until(&mut a, |event| matches!(event, Event::Message { .. })).await;

    let mut socket = dial(port).await;
    say(&mut socket, &ours).await;
    assert_ne!(
        hear_text(&mut socket).await,
        theirs,
        "the acceptor's nonce is new"
    );
    say(&mut socket, &proof).await;
    assert_eq!(hear_close(&mut socket).await.0, 4401);

    // Nor are its messages on another connection of the same peer.
    let (mut socket, _) = greet(port, "b", "a", SECRET).await;
    socket.send(Frame::binary(sealed)).await.unwrap();
    assert_eq!(hear_close(&mut socket).await.0, 4401);
    assert_eq!(messages_so_far(&mut a), []);
}

#[tokio::test]
async fn a_proof_is_no_answer_to_itself() {
    let ((la, _), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", pb), Some(SECRET));
    for answer in ["its own", "none", "made with another secret"] {
        let mut socket = accept(&lb).await;
        let theirs = hear_text(&mut socket).await;
        let ours = hello("c", "b", "a", Some(2));
        say(&mut socket, &ours).await;
        let hellos = Hellos {
            dialler: &theirs,
            acceptor: &ours,
        };
        let proof = hear_text(&mut socket).await;
        let dialler: PeerProof = serde_json::from_str(&proof).unwrap();
        assert!(hellos.proven(SECRET.as_bytes(), Role::Dialler, &dialler.proof.0));
        let answered = match answer {
            "its own" => proof,
            "none" => "{}".to_owned(),
            _ => raw::proof(hellos, OTHER, Role::Acceptor),
        };
        say(&mut socket, answered).await;
        let (code, reason) = hear_close(&mut socket).await;
        assert!(
            code == 4401 && reason.contains("does not prove"),
            "{answer}: {code} {reason}"
        );
    }
    // And no secret at all is no way around it.
    let mut socket = accept(&lb).await;
    hear_text(&mut socket).await;
    say(&mut socket, hello("c", "b", "a", None)).await;
    assert_eq!(hear_close(&mut socket).await.0, 4401);
    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(a.transport.recv()) {
        assert!(!matches!(event, Event::Link { link: Link::Up, .. }), "{event:?}");
    }
}
