//! One side of a connection, written by hand.

use core::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::super::Socket;
use super::super::frame::{Bytes, PeerChallenge, PeerHello, PeerProof, SUBPROTOCOL, to_json};
use super::super::proof::{Role, Session, Transcript};
use super::id;

pub(super) async fn dial(port: u16) -> Socket {
    dial_speaking(port, SUBPROTOCOL).await.unwrap()
}

pub(super) async fn dial_speaking(port: u16, subprotocol: &'static str) -> Result<Socket, Error> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut request = format!("ws://127.0.0.1:{port}/").into_client_request().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

/// Accepts the next connection.
pub(super) async fn accept(listener: &TcpListener) -> Socket {
    let calls = timeout(Duration::from_secs(30), listener.accept()).await;
    let (stream, _) = calls.expect("somebody calls").unwrap();
    let choose = |_: &Request, mut response: Response| {
        response
            .headers_mut()
            .insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    };
    tokio_tungstenite::accept_hdr_async(stream, choose).await.unwrap()
}

pub(super) fn hello(cluster: &str, from: &str, to: &str, nonce: Option<u8>) -> String {
    to_json(&PeerHello {
        cluster: cluster.to_owned(),
        from: id(from),
        to: id(to),
        client_url: None,
        nonce: nonce.map(|byte| Bytes([byte; 32])),
    })
}

pub(super) fn proof(transcript: Transcript<'_>, secret: &str, role: Role) -> String {
    let proof = Bytes(transcript.prove(secret.as_bytes(), role));
    to_json(&PeerProof { proof })
}

pub(super) async fn say(socket: &mut Socket, text: impl Into<String>) {
    socket.send(Frame::text(text.into())).await.unwrap();
}

/// Returns the next frame that is not a ping.
pub(super) async fn hear(socket: &mut Socket) -> Option<Frame> {
    let next = async {
        loop {
            match socket.next().await {
                Some(Ok(Frame::Ping(_))) => {}
                Some(Ok(frame)) => return Some(frame),
                _ => return None,
            }
        }
    };
    let next = timeout(Duration::from_secs(10), next).await;
    next.expect("something comes, or the end")
}

pub(super) async fn hear_text(socket: &mut Socket) -> String {
    match hear(socket).await {
        Some(Frame::Text(text)) => text.to_string(),
        other => panic!("no text, but {other:?}"),
    }
}

/// Returns the code and the reason of the close frame, which must be the next frame of the other
/// side.
pub(super) async fn hear_close(socket: &mut Socket) -> (u16, String) {
    match hear(socket).await {
        Some(Frame::Close(Some(close))) => (close.code.into(), close.reason.to_string()),
        other => panic!("not closed with a reason, but {other:?}"),
    }
}

/// Returns the first frame of either side, between servers that have a secret: this side's hello,
/// then the server's challenge.
pub(super) async fn be_challenged(port: u16, from: &str, to: &str) -> (Socket, [String; 2]) {
    let mut socket = dial(port).await;
    let ours = hello("c", from, to, Some(1));
    say(&mut socket, &ours).await;
    let challenge = hear_text(&mut socket).await;
    (socket, [ours, challenge])
}

/// Returns the acceptor's first frame.
pub(super) fn challenge(nonce: Option<u8>) -> String {
    to_json(&PeerChallenge {
        nonce: nonce.map(|byte| Bytes([byte; 32])),
    })
}

/// Performs a dialler's whole handshake with a server that has the secret. The session signs its
/// messages.
pub(super) async fn greet(port: u16, from: &str, to: &str, secret: &str) -> (Socket, Session) {
    let (mut socket, [ours, challenge]) = be_challenged(port, from, to).await;
    let challenged = Transcript {
        dialler: &ours,
        acceptor: &challenge,
    };
    say(&mut socket, proof(challenged, secret, Role::Dialler)).await;
    let theirs = hear_text(&mut socket).await;
    let transcript = Transcript {
        dialler: &ours,
        acceptor: &theirs,
    };
    let proof: PeerProof = serde_json::from_str(&hear_text(&mut socket).await).unwrap();
    assert!(transcript.proven(secret.as_bytes(), Role::Acceptor, &proof.proof.0));
    (socket, transcript.session(secret.as_bytes(), Role::Dialler))
}
