use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwether_protocol::{
    ClientFrame, Command, CommandId, Hello, HelloOk, OutcomeQuery, SUBPROTOCOL, ServerFrame, Token,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, header};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::wait::PATIENCE;

/// One WebSocket connection to one server, a frame at a time: for actions that the client library,
/// rightly, does not offer.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Connection {
    /// Opens a connection, without `hello`.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn open(url: &str) -> tungstenite::Result<Self> {
        Self::open_with(request(url)?).await
    }

    /// Opens a connection with a request of one's own.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn open_with(request: Request<()>) -> tungstenite::Result<Self> {
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket })
    }

    /// Opens a connection and sends `hello`.
    ///
    /// # Errors
    /// If the server cannot be reached or answers anything but `hello_ok`.
    pub async fn greeted(url: &str) -> Result<(Self, HelloOk)> {
        Self::greeted_as(url, Hello::new("bellwether-tests", None)).await
    }

    /// Opens a connection and sends `hello` with this token.
    ///
    /// # Errors
    /// If the server cannot be reached or answers anything but `hello_ok`, or if the token is too
    /// long.
    pub async fn greeted_with_token(url: &str, token: &str) -> Result<(Self, HelloOk)> {
        let token = Token::new(token).context("the token is too long")?;
        Self::greeted_as(url, Hello::new("bellwether-tests", None).with_token(token)).await
    }

    async fn greeted_as(url: &str, hello: Hello) -> Result<(Self, HelloOk)> {
        let mut connection = Self::open(url).await?;
        connection.send_text(ClientFrame::Hello(hello).to_json()).await?;
        match connection.receive().await? {
            ServerFrame::HelloOk(hello) => Ok((connection, hello)),
            other => bail!("expected hello_ok, not {other:?}"),
        }
    }

    /// Sends a command.
    ///
    /// # Errors
    /// If the text is not JSON or the connection is closed.
    pub async fn command(&mut self, id: CommandId, command: &str) -> Result<()> {
        // Also text that is no command.
        let command: Box<RawValue> = serde_json::from_str(command)?;
        let frame = ClientFrame::Command(Command {
            id,
            deadline_ms: None,
            command: command.into(),
        });
        self.send_text(frame.to_json()).await
    }

    /// Sends a token.
    ///
    /// # Errors
    /// If the token is too long or the connection is closed.
    pub async fn token(&mut self, token: &str) -> Result<()> {
        let token = Token::new(token).context("the token is too long")?;
        self.send_text(ClientFrame::Token(token).to_json()).await
    }

    /// Asks for the outcome of a command.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn ask(&mut self, id: CommandId) -> Result<()> {
        let frame = ClientFrame::Outcome(OutcomeQuery {
            id,
            deadline_ms: None,
        });
        self.send_text(frame.to_json()).await
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn send_text(&mut self, text: impl Into<String>) -> Result<()> {
        self.send(Message::text(text.into())).await
    }

    /// Sends a message of any kind.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn send(&mut self, message: Message) -> Result<()> {
        Ok(self.socket.send(message).await?)
    }

    /// Receives the next frame.
    ///
    /// # Errors
    /// If the connection is closed, if something other than a frame comes, or if nothing comes.
    pub async fn receive(&mut self) -> Result<ServerFrame> {
        match self.next_message().await? {
            Message::Text(text) => Ok(ServerFrame::parse(&text)?),
            other => bail!("expected a frame, not {other:?}"),
        }
    }

    /// Reads until the server closes the connection, and returns the close code and the frames that
    /// came before it.
    ///
    /// # Errors
    /// If the connection ends without a close code, or does not end.
    pub async fn closed(&mut self) -> Result<(u16, Vec<ServerFrame>)> {
        let mut frames = Vec::new();
        loop {
            match self.next_message().await? {
                Message::Text(text) => frames.push(ServerFrame::parse(&text)?),
                Message::Close(Some(close)) => return Ok((close.code.into(), frames)),
                other => bail!("expected a frame or a close code, not {other:?}"),
            }
        }
    }

    async fn next_message(&mut self) -> Result<Message> {
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .context("the server says nothing")?;
            match message.context("the connection was closed without a close code")?? {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Ok(message),
            }
        }
    }
}

/// Returns the request that opens a connection for the protocol's WebSocket subprotocol.
///
/// # Errors
/// If the text is not a WebSocket URL.
pub fn request(url: &str) -> tungstenite::Result<Request<()>> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    Ok(request)
}

/// Returns a new command id, made from a server's time.
pub fn mint(server_time_ms: u64) -> CommandId {
    CommandId::mint(Duration::from_millis(server_time_ms), rand::random())
}
