use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

use crate::ports::free_ports;
use crate::reply_cutter::select_offered;

/// Speaks WebSocket as a server does, and sends answers that no real server would send.
#[derive(Debug)]
pub struct FalseServer {
    port: u16,
    _accepting: AbortOnDropHandle<()>,
}

type Answer = dyn Fn(&Value) -> Option<String> + Send + Sync;

impl FalseServer {
    /// Starts it. `answer` gets each received frame and returns the message that answers it, if
    /// any; `status` is the body that `GET /status` answers.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(
        status: impl Into<String>,
        answer: impl Fn(&Value) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self> {
        let port = free_ports(1)?[0];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let (status, answer): (Arc<str>, Arc<Answer>) = (status.into().into(), Arc::new(answer));
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (status, answer) = (Arc::clone(&status), Arc::clone(&answer));
                // A connection that fails is closed; there is no other way to report the error.
                tokio::spawn(async move { serve(connection, &status, &*answer).await });
            }
        });
        Ok(Self {
            port,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Returns its URL for clients.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/v1", self.port)
    }
}

async fn serve(mut connection: TcpStream, status: &str, answer: &Answer) -> Result<()> {
    const STATUS: &[u8] = b"GET /status ";
    let mut start = [0; STATUS.len()];
    // Requests come in one piece over loopback.
    connection.peek(&mut start).await?;
    if start == STATUS {
        connection.read_buf(&mut Vec::with_capacity(4096)).await?;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAccess-Control-Allow-Origin: *";
        let length = status.len();
        let answer = format!("{head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{status}");
        return Ok(connection.write_all(answer.as_bytes()).await?);
    }
    let mut socket = accept_hdr_async(connection, select_offered).await?;
    loop {
        let message = socket.next().await.context("the client is gone")??;
        if let Message::Text(text) = message
            && let Some(answer) = answer(&serde_json::from_str(&text)?)
        {
            socket.send(Message::text(answer)).await?;
        }
    }
}
