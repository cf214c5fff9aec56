//! An attacker on the path who alters messages.

use bellwether_election::{Body, Event, Link, Transport};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::raw::{accept, dial, greet, hear_close};
use super::{SECRET, id, link, listener, message, messages_so_far, peer_with, until};

/// A port without a listener, so that there is only one connection.
const NOBODY: u16 = 1;

/// Relays one connection. `alter` returns the frames that replace each signed message, in either
/// direction.
async fn pass_on(listener: TcpListener, to: u16, mut alter: impl FnMut(Vec<u8>) -> Vec<Vec<u8>>) {
    let mut dialler = accept(&listener).await;
    drop(listener);
    let mut acceptor = dial(to).await;
    loop {
        tokio::select! {
            frame = dialler.next() => match frame {
                Some(Ok(Frame::Binary(sealed))) => for altered in alter(sealed.to_vec()) {
                    let _ = acceptor.send(Frame::binary(altered)).await;
                },
                Some(Ok(Frame::Text(text))) => acceptor.send(Frame::Text(text)).await.unwrap(),
                Some(Ok(_)) => {}
                _ => return,
            },
            frame = acceptor.next() => match frame {
                Some(Ok(Frame::Binary(sealed))) => for altered in alter(sealed.to_vec()) {
                    let _ = dialler.send(Frame::binary(altered)).await;
                },
                Some(Ok(frame @ (Frame::Text(_) | Frame::Close(_)))) => {
                    let _ = dialler.send(frame).await;
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

/// Returns the messages that arrive of three messages, which are sent one after another on a path
/// that alters them. If `ends`, also waits until the link ends.
async fn arrives(alter: impl FnMut(Vec<u8>) -> Vec<Vec<u8>> + Send + 'static, ends: bool) -> Vec<Body> {
    let ((la, _), (lb, pb), (path, through)) = (listener().await, listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", through), Some(SECRET));
    let mut b = peer_with("c", "b", lb, ("a", NOBODY), Some(SECRET));
    let path = tokio::spawn(pass_on(path, pb, alter));
    until(&mut a, link(Link::Up)).await;
    for body in [Body::Query, Body::Decline, Body::Query] {
        a.transport.send(&id("b"), message("a", body));
    }
    if ends {
        until(&mut a, |event| !link(Link::Up)(event)).await;
        return messages_so_far(&mut b);
    }
    let mut bodies = Vec::new();
    while bodies.len() < 3 {
        bodies.extend(messages_so_far(&mut b));
        tokio::task::yield_now().await;
    }
    path.abort();
    bodies
}

#[tokio::test]
async fn what_is_passed_on_as_it_is_arrives() {
    let bodies = arrives(|sealed| vec![sealed], false).await;
    assert_eq!(bodies, [Body::Query, Body::Decline, Body::Query]);
}

#[tokio::test]
async fn what_is_altered_ends_the_link() {
    for place in [0, 31, 32, 60] {
        let altered = move |mut sealed: Vec<u8>| {
            sealed[place] ^= 1;
            vec![sealed]
        };
        assert_eq!(arrives(altered, true).await, [], "byte {place}");
    }
    let cut = |mut sealed: Vec<u8>| {
        sealed.pop();
        vec![sealed]
    };
    assert_eq!(arrives(cut, true).await, []);
}

#[tokio::test]
async fn an_altered_answer_ends_the_link() {
    for (place, arrives) in [(None, true), (Some(0), false), (Some(40), false)] {
        let ((la, _), (lb, pb), (path, through)) = (listener().await, listener().await, listener().await);
        let mut a = peer_with("c", "a", la, ("b", through), Some(SECRET));
        let mut b = peer_with("c", "b", lb, ("a", NOBODY), Some(SECRET));
        let _path = tokio::spawn(pass_on(path, pb, move |mut sealed: Vec<u8>| {
            if let Some(place) = place {
                sealed[place] ^= 1;
            }
            vec![sealed]
        }));
        until(&mut a, link(Link::Up)).await;
        until(&mut b, link(Link::Up)).await;
        b.transport.send(&id("a"), message("b", Body::Query));
        let event = until(&mut a, |_| true).await;
        assert_eq!(matches!(event, Event::Message { .. }), arrives, "{event:?}");
    }
}

#[tokio::test]
async fn what_is_repeated_put_in_left_out_or_moved_ends_the_link() {
    let repeated = |sealed: Vec<u8>| vec![sealed.clone(), sealed];
    assert_eq!(arrives(repeated, true).await, [Body::Query]);

    let put_in = |sealed: Vec<u8>| vec![vec![0; 100], sealed];
    assert_eq!(arrives(put_in, true).await, []);

    let mut first = true;
    let left_out = move |sealed| {
        if core::mem::take(&mut first) {
            vec![]
        } else {
            vec![sealed]
        }
    };
    assert_eq!(arrives(left_out, true).await, []);

    let mut kept = None;
    let moved = move |sealed: Vec<u8>| match kept.take() {
        None => {
            kept = Some(sealed);
            vec![]
        }
        Some(earlier) => vec![sealed, earlier],
    };
    assert_eq!(arrives(moved, true).await, []);
}

#[tokio::test]
async fn a_message_without_a_signature_ends_the_link() {
    let (la, port) = listener().await;
    let mut a = peer_with("c", "a", la, ("b", 1), Some(SECRET));
    let (mut socket, _) = greet(port, "b", "a", SECRET).await;
    let bare = serde_json::to_string(&message("b", Body::Query)).unwrap();
    socket.send(Frame::text(bare)).await.unwrap();
    assert_eq!(hear_close(&mut socket).await.0, 4401);
    assert_eq!(messages_so_far(&mut a), []);
}
