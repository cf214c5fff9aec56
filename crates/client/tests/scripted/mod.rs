//! The program `bellwether`, and a server on a real socket that follows a script.

#[path = "../hello/mod.rs"]
mod hello;

use std::process::{Command, Output, Stdio};

use bellwether_protocol::{ClientFrame, ServerFrame};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

pub(crate) use hello::hello_ok;

pub(crate) const INSERT: &str = r#"{"insert":"notes","documents":[{"text":"hi"}]}"#;

/// The program with these arguments. No list of servers comes from elsewhere.
pub(crate) fn bellwether(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command
        .args(arguments)
        .env_remove("BELLWETHER_SERVERS")
        .env_remove("BELLWETHER_TOKEN")
        .env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) async fn finish(command: Command) -> Output {
    let mut command = tokio::process::Command::from(command);
    command.output().await.expect("the program starts")
}

/// The exit code, and everything printed on standard output and on standard error.
pub(crate) fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Starts a server, and returns its address. It answers each frame so; where there is no answer, it
/// hangs up.
pub(crate) async fn serve(answer: impl Fn(ClientFrame) -> Option<Message> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let accept = |request: &Request, mut response: Response| {
                let offered = request.headers()["sec-websocket-protocol"].clone();
                response.headers_mut().insert("sec-websocket-protocol", offered);
                Ok(response)
            };
            let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, accept).await else {
                continue;
            };
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let Some(answer) = ClientFrame::parse(&text).ok().and_then(&answer) else {
                    break;
                };
                let _ = socket.send(answer).await;
            }
        }
    });
    address
}

pub(crate) fn message(frame: &ServerFrame) -> Message {
    Message::text(frame.to_json())
}
