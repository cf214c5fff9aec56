//! Only a program that has the secret is a peer.

use bellwether_election::{Body, Event, Link, Transport};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::super::Socket;
use super::super::frame::{PeerProof, to_json};
use super::super::proof::{Role, Transcript};
use super::raw::{
    self, accept, be_challenged, dial, dial_speaking, greet, hear_close, hear_text, hello, say,
};
use super::{OTHER, Peer, SECRET, id, link, listener, message, messages_so_far, peer_with, until};

/// Starts `a` with these secrets, and returns its port. Its peer `b` does not run.
async fn lone_peer(secrets: Option<&str>) -> (Peer, u16) {
    let (listener, port) = listener().await;
    (peer_with("c", "a", listener, ("b", 1), secrets), port)
}

/// Returns for each of two servers with these secrets `true` if it reaches the other.
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
    assert_eq!(a.directory.proven_urls(), ["ws://b.example/v1"]);
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
    // A server may prove itself with the new secret before all servers accept it. The others then
    // use the connection that it has dialled.
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", pb), Some(SECRET));
    let mut b = peer_with("c", "b", lb, ("a", pa), Some(&reversed));
    until(&mut a, link(Link::Up)).await;
    until(&mut b, link(Link::Up)).await;
}

/// Hellos that are refused: cluster, sender and receiver, then the reason for a stranger and the
/// full reason.
const REFUSED: [(&str, &str, &str, &str, &str); 4] = [
    (
        "elsewhere",
        "b",
        "a",
        "different clusters",
        "b belongs to cluster",
    ),
    (
        "c",
        "b",
        "x",
        "another server than the one wanted",
        "b wanted to reach x and reached a",
    ),
    ("c", "x", "a", "not a peer", "x is not a peer of a"),
    ("c", "a", "a", "the same id", "two servers have the id a"),
];

/// Asserts that the connection closes with a reason without the names in these tests. The names
/// have one letter, or are `elsewhere`.
async fn closed_without_names(socket: &mut Socket) -> (u16, String) {
    let (code, reason) = hear_close(socket).await;
    let mut words = reason.split(|c: char| !c.is_alphanumeric());
    let named = words.find(|word| ["b", "c", "x", "elsewhere"].contains(word));
    assert_eq!(named, None, "{reason}");
    (code, reason)
}

#[tokio::test]
async fn who_proves_itself_and_is_refused_hears_why() {
    let (_a, port) = lone_peer(Some(SECRET)).await;
    for (cluster, from, to, _, reason) in REFUSED {
        let mut socket = dial(port).await;
        let ours = hello(cluster, from, to, Some(1));
        say(&mut socket, &ours).await;
        let challenge = hear_text(&mut socket).await;
        let challenged = Transcript {
            dialler: &ours,
            acceptor: &challenge,
        };
        say(&mut socket, raw::proof(challenged, SECRET, Role::Dialler)).await;
        let (closed, said) = hear_close(&mut socket).await;
        assert!(closed == 4403 && said.contains(reason), "{ours}: {closed} {said}");
    }
}

#[tokio::test]
async fn who_proves_nothing_learns_no_name() {
    let (_a, port) = lone_peer(Some(SECRET)).await;
    // The answers to right and wrong names are the same, so guessing is of no use.
    let mut answers = Vec::new();
    let right = ("c", "b", "a", "", "");
    for (cluster, from, to, ..) in REFUSED.into_iter().chain([right]) {
        let mut socket = dial(port).await;
        let ours = hello(cluster, from, to, Some(1));
        say(&mut socket, &ours).await;
        let challenge = hear_text(&mut socket).await;
        let read: serde_json::Value = serde_json::from_str(&challenge).unwrap();
        let keys: Vec<&String> = read.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["nonce"]);
        let challenged = Transcript {
            dialler: &ours,
            acceptor: &challenge,
        };
        // The dialler receives nothing that is made with the secret.
        say(&mut socket, raw::proof(challenged, OTHER, Role::Dialler)).await;
        answers.push(closed_without_names(&mut socket).await);

        let mut socket = dial(port).await;
        say(&mut socket, hello(cluster, from, to, None)).await;
        let (code, said) = closed_without_names(&mut socket).await;
        assert!(code == 4401 && said.contains("no peer secret"), "{code} {said}");
    }
    answers.dedup();
    let [(code, said)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(
        *code == 4401 && said.contains("the peer secrets differ"),
        "{code} {said}"
    );
}

#[tokio::test]
async fn without_a_secret_it_is_told_what_is_wrong_and_no_name() {
    let (_a, port) = lone_peer(None).await;
    for (cluster, from, to, told, _) in REFUSED {
        let mut socket = dial(port).await;
        say(&mut socket, hello(cluster, from, to, None)).await;
        let (code, said) = closed_without_names(&mut socket).await;
        assert!(code == 4403 && said.contains(told), "{code} {said}");
    }
    let mut socket = dial(port).await;
    say(&mut socket, hello("c", "b", "a", Some(1))).await;
    let (code, said) = closed_without_names(&mut socket).await;
    assert!(code == 4401 && said.contains("no peer secret"), "{code} {said}");
}

#[tokio::test]
async fn another_version_is_told_this_one() {
    let (_a, port) = lone_peer(Some(SECRET)).await;
    let Err(Error::Http(answer)) = dial_speaking(port, "bellwether-peer.v3").await else {
        panic!("not refused");
    };
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "bellwether-peer.v2");
    dial_speaking(port, "bellwether-peer.v3, bellwether-peer.v2")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_recorded_handshake_is_of_no_use_again() {
    let (mut a, port) = lone_peer(Some(SECRET)).await;
    let (mut socket, [ours, challenge]) = be_challenged(port, "b", "a").await;
    let challenged = Transcript {
        dialler: &ours,
        acceptor: &challenge,
    };
    let proof = raw::proof(challenged, SECRET, Role::Dialler);
    say(&mut socket, &proof).await;
    let theirs = hear_text(&mut socket).await;
    hear_text(&mut socket).await;
    let transcript = Transcript {
        dialler: &ours,
        acceptor: &theirs,
    };
    let mut session = transcript.session(SECRET.as_bytes(), Role::Dialler);
    let sealed = session.seal(&to_json(&message("b", Body::Query)));
    socket.send(Frame::binary(sealed.clone())).await.unwrap();
    until(&mut a, |event| matches!(event, Event::Message { .. })).await;

    let mut socket = dial(port).await;
    say(&mut socket, &ours).await;
    assert_ne!(
        hear_text(&mut socket).await,
        challenge,
        "the acceptor's nonce is new"
    );
    say(&mut socket, &proof).await;
    assert_eq!(hear_close(&mut socket).await.0, 4401);

    // The messages are also of no use on another connection of the same peer.
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
        let challenge = raw::challenge(Some(2));
        say(&mut socket, &challenge).await;
        let proof = hear_text(&mut socket).await;
        let dialler: PeerProof = serde_json::from_str(&proof).unwrap();
        let challenged = Transcript {
            dialler: &theirs,
            acceptor: &challenge,
        };
        assert!(challenged.proven(SECRET.as_bytes(), Role::Dialler, &dialler.proof.0));
        let ours = match answer {
            // The proof covers the challenge, so the challenge must take the place of the hello.
            "its own" => challenge.clone(),
            _ => hello("c", "b", "a", Some(2)),
        };
        say(&mut socket, &ours).await;
        let transcript = Transcript {
            dialler: &theirs,
            acceptor: &ours,
        };
        let answered = match answer {
            "its own" => proof,
            "none" => "{}".to_owned(),
            _ => raw::proof(transcript, OTHER, Role::Acceptor),
        };
        say(&mut socket, answered).await;
        let (code, reason) = closed_without_names(&mut socket).await;
        assert!(
            code == 4401 && reason.contains("does not prove"),
            "{answer}: {code} {reason}"
        );
    }
    // No secret at all does not help, either.
    let mut socket = accept(&lb).await;
    hear_text(&mut socket).await;
    say(&mut socket, hello("c", "b", "a", None)).await;
    assert_eq!(closed_without_names(&mut socket).await.0, 4401);
    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(a.transport.recv()) {
        assert!(!matches!(event, Event::Link { link: Link::Up, .. }), "{event:?}");
    }
}
