use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bellwether_protocol::{ClientFrame, CommandId, Hello, RoleName, ServerFrame};
use bellwether_testkit::{PATIENCE, mint, request};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The default is 128 KiB a connection, which is more than a gigabyte for ten thousand.
const READ_BUFFER: usize = 4 * 1024;

/// A connection to one server that stays open, with one outstanding command at a time. It uses
/// little processor time for a command: the client shares the machine with the measured programs.
pub(crate) struct KeptOpen {
    socket: WebSocketStream<TcpStream>,
    role: RoleName,
    server_time: Duration,
    greeted: Instant,
}

impl KeptOpen {
    /// Connects to this port of 127.0.0.1 and sends `hello`.
    pub(crate) async fn open(port: u16) -> Result<Self> {
        Self::open_from(Ipv4Addr::LOCALHOST, port).await
    }

    /// Connects from this address of the loopback network.
    pub(crate) async fn open_from(local: Ipv4Addr, port: u16) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((local, 0).into())?;
        let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let request = request(&format!("ws://127.0.0.1:{port}/v1"))?;
        let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        let hello = ClientFrame::Hello(Hello {
            client: "bellwether-bench".into(),
            ..Hello::default()
        });
        socket.send(Message::text(hello.to_json())).await?;
        let text = next_text(&mut socket).await?;
        match ServerFrame::parse(&text)? {
            ServerFrame::HelloOk(hello) => Ok(Self {
                socket,
                role: hello.role,
                server_time: Duration::from_millis(hello.server_time_ms),
                greeted: Instant::now(),
            }),
            _ => bail!("expected hello_ok, not {text}"),
        }
    }

    pub(crate) fn is_coordinators(&self) -> bool {
        self.role == RoleName::Coordinator
    }

    /// Returns an id for a new command.
    pub(crate) fn new_id(&self) -> Result<CommandId> {
        let now = self.server_time + self.greeted.elapsed();
        Ok(mint(u64::try_from(now.as_millis())?))
    }

    /// Sends a frame and returns the next one.
    pub(crate) async fn exchange(&mut self, frame: String) -> Result<Utf8Bytes> {
        self.socket.send(Message::text(frame)).await?;
        next_text(&mut self.socket).await
    }

    /// Answers pings until the server closes the connection, which it should not.
    pub(crate) async fn idle(mut self) -> Result<()> {
        while let Some(message) = self.socket.next().await {
            match message? {
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("an idle connection was sent {other:?}"),
            }
        }
        bail!("an idle connection was closed")
    }
}

async fn next_text(socket: &mut WebSocketStream<TcpStream>) -> Result<Utf8Bytes> {
    loop {
        let message = timeout(PATIENCE, socket.next())
            .await
            .context("the server says nothing")?;
        match message.context("the server closed the connection")?? {
            Message::Text(text) => return Ok(text),
            Message::Ping(_) | Message::Pong(_) => {}
            other => bail!("expected a frame, not {other:?}"),
        }
    }
}
