use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bellwether_testkit::free_ports;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::task::AbortOnDropHandle;

/// Servers for tests that run in a browser, which cannot start them.
pub(crate) struct TestServers {
    /// Acts as the path of a URL says: see [`serve`].
    scripted: Listening,
    /// Accepts connections and never answers. Has a port of its own, because a browser connects to
    /// a port only once at a time.
    deaf: Listening,
    nobody: u16,
}

/// A port, and the task that accepts its connections until this is dropped.
struct Listening {
    port: u16,
    _accepting: AbortOnDropHandle<()>,
}

type Socket = WebSocketStream<TcpStream>;

/// The observed state of connections to `/watched` and to the deaf server.
#[derive(Default)]
struct Seen {
    open: AtomicUsize,
    /// End of the last one: the code in the browser's close frame, if it sent one.
    closed_with: Mutex<Option<u16>>,
}

impl TestServers {
    pub(crate) async fn start() -> Result<Self> {
        let seen = Arc::new(Seen::default());
        let deaf = Arc::clone(&seen);
        Ok(Self {
            scripted: listen(move |connection| serve(connection, Arc::clone(&seen))).await?,
            deaf: listen(move |connection| be_deaf(connection, Arc::clone(&deaf))).await?,
            nobody: free_ports(1)?[0],
        })
    }

    /// Returns their ports, as the query of a URL; at the last one no process listens.
    pub(crate) fn query(&self) -> String {
        format!(
            "scripted={}&deaf={}&nobody={}",
            self.scripted.port, self.deaf.port, self.nobody
        )
    }
}

async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Result<Listening>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("listening for the tests")?;
    let port = listener.local_addr()?.port();
    let accepting = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // A connection that fails is gone, and its test reports the effect.
            tokio::spawn(serve(connection));
        }
    });
    Ok(Listening {
        port,
        _accepting: AbortOnDropHandle::new(accepting),
    })
}

async fn serve(connection: TcpStream, seen: Arc<Seen>) -> Result<()> {
    let mut path = String::new();
    let mut socket = accept_hdr_async(connection, |request: &Request, response| {
        path = request.uri().path().to_owned();
        shake_hands(request, response)
    })
    .await?;
    match path.as_str() {
        "/burst" => burst(socket).await,
        "/closing" => close(socket, 1013, "no room").await,
        "/goodbye" => {
            socket.next().await;
            close(socket, 1012, "restarting").await
        }
        "/broken" => {
            socket.next().await;
            // Without a word: the operating system closes the connection.
            Ok(())
        }
        "/bytes" => bytes(socket).await,
        "/watched" => watched(socket, &seen).await,
        "/watch" => watch(socket, &seen).await,
        "/coordinator" => play(socket, "coordinator", true).await,
        "/follower" => play(socket, "follower", false).await,
        "/mute" => play(socket, "coordinator", false).await,
        _ => echo(socket).await,
    }
}

/// Selects the subprotocol the browser offers.
fn shake_hands(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/forbidden" {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        return Err(refusal);
    }
    if request.uri().path() != "/selects-nothing" {
        let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL).cloned();
        let offered = offered.unwrap_or(HeaderValue::from_static(""));
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    Ok(response)
}

async fn be_deaf(mut connection: TcpStream, seen: Arc<Seen>) -> Result<()> {
    seen.open.fetch_add(1, Ordering::SeqCst);
    let mut rest = Vec::new();
    let ended = connection.read_to_end(&mut rest).await;
    seen.open.fetch_sub(1, Ordering::SeqCst);
    ended.map(drop).map_err(Into::into)
}

async fn echo(mut socket: Socket) -> Result<()> {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Sends many messages at once, and the end right behind them.
async fn burst(mut socket: Socket) -> Result<()> {
    for number in 0..100 {
        socket.feed(Message::text(number.to_string())).await?;
    }
    close(socket, 1000, "that was all").await
}

/// Bytes, which are none of the protocol's, before each text.
async fn bytes(mut socket: Socket) -> Result<()> {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            socket.feed(Message::binary(vec![1, 2, 3])).await?;
            socket.send(message).await?;
        }
    }
    Ok(())
}

async fn close(mut socket: Socket, code: u16, reason: &'static str) -> Result<()> {
    let frame = CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    socket.close(Some(frame)).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

async fn watched(mut socket: Socket, seen: &Seen) -> Result<()> {
    seen.open.fetch_add(1, Ordering::SeqCst);
    let mut closed_with = None;
    while let Some(message) = socket.next().await {
        match message {
            Ok(Message::Close(frame)) => closed_with = frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(Error::ConnectionClosed | Error::Protocol(_) | Error::Io(_)) => break,
            Err(error) => return Err(error.into()),
        }
    }
    *seen.closed_with.lock().unwrap_or_else(PoisonError::into_inner) = closed_with;
    seen.open.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

/// Answers each question about the watched connections.
async fn watch(mut socket: Socket, seen: &Seen) -> Result<()> {
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() {
            let open = seen.open.load(Ordering::SeqCst);
            let closed_with = *seen.closed_with.lock().unwrap_or_else(PoisonError::into_inner);
            let closed_with = closed_with.map_or("nothing".to_owned(), |code| code.to_string());
            socket
                .send(Message::text(format!("{open} open, closed with {closed_with}")))
                .await?;
        }
    }
    Ok(())
}

/// Plays a server of a cluster, as far as a client sees one.
async fn play(mut socket: Socket, role: &str, executes: bool) -> Result<()> {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        let answer = match frame["type"].as_str() {
            Some("hello") => json!({
                "type": "hello_ok", "cluster": "test", "server": "s1", "role": role, "epoch": 7, "coordinator": null,
                "server_time_ms": 1_795_345_271_075_u64,
                "limits": {
                    "max_message_bytes": 1_048_576, "max_depth": 100, "max_result_bytes": 4_194_304,
                    "max_deadline_ms": 60_000, "retention_ms": 86_400_000,
                },
            }),
            Some("command") if executes => json!({
                "type": "result", "id": frame["id"], "epoch": 7, "replayed": false, "result": frame["command"],
            }),
            _ => continue,
        };
        socket.send(Message::text(answer.to_string())).await?;
    }
    Ok(())
}
