//! Frames of random bytes at every step.

use bellwether_election::Link;
use futures_util::SinkExt;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::super::Socket;
use super::raw::{accept, challenge, dial, greet, hear, hear_text, hello, say};
use super::{SECRET, link, listener, messages_so_far, peer_with, until};

const ROUNDS: u64 = 60;

async fn make_noise(socket: &mut Socket, random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        let mut bytes = vec![0; random.random_range(0..200)];
        random.fill_bytes(&mut bytes);
        let frame = match random.random_range(0..4) {
            0 => Frame::binary(bytes),
            1 => Frame::text(String::from_utf8_lossy(&bytes).into_owned()),
            2 => Frame::text(r#"{"proof":"00","cluster":"c","from":"b","to":"a"}"#),
            _ => Frame::Pong(bytes[..bytes.len().min(100)].to_vec().into()),
        };
        // The other side may have closed the connection already.
        let _ = socket.send(frame).await;
    }
    let _ = socket.close(None).await;
    while hear(socket).await.is_some() {}
}

#[tokio::test]
async fn noise_does_no_harm_to_who_accepts() {
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", pb), Some(SECRET));
    for round in 0..ROUNDS {
        let mut random = StdRng::seed_from_u64(round);
        let mut socket = match round % 3 {
            0 => dial(pa).await,
            1 => {
                let mut socket = dial(pa).await;
                say(&mut socket, hello("c", "b", "a", Some(1))).await;
                hear_text(&mut socket).await;
                socket
            }
            _ => greet(pa, "b", "a", SECRET).await.0,
        };
        make_noise(&mut socket, &mut random).await;
        assert_eq!(messages_so_far(&mut a), [], "round {round}");
    }
    let mut b = peer_with("c", "b", lb, ("a", pa), Some(SECRET));
    until(&mut b, link(Link::Up)).await;
    until(&mut a, link(Link::Up)).await;
}

#[tokio::test]
async fn noise_does_no_harm_to_who_dials() {
    let ((la, pa), (lb, pb)) = (listener().await, listener().await);
    let mut a = peer_with("c", "a", la, ("b", pb), Some(SECRET));
    // Only a few rounds, because after each the peer waits longer before it dials again.
    for round in 0..6 {
        let mut random = StdRng::seed_from_u64(round);
        let mut socket = accept(&lb).await;
        match round % 3 {
            0 => {}
            1 => say(&mut socket, hello("c", "b", "a", Some(2))).await,
            _ => say(&mut socket, challenge(Some(2))).await,
        }
        make_noise(&mut socket, &mut random).await;
    }
    let mut b = peer_with("c", "b", lb, ("a", pa), Some(SECRET));
    until(&mut b, link(Link::Up)).await;
    until(&mut a, link(Link::Up)).await;
}
