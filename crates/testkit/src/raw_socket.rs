use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwether_protocol::{CommandId, HelloOk, SUBPROTOCOL, ServerFrame};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::connection::mint;
use crate::wait::PATIENCE;

/// Opcodes of RFC 6455, section 5.2.
pub mod opcode {
    /// A further fragment.
    pub const CONTINUATION: u8 = 0;
    /// A text message, or its first fragment.
    pub const TEXT: u8 = 1;
    /// A binary message, or its first fragment.
    pub const BINARY: u8 = 2;
    /// The end of the connection.
    pub const CLOSE: u8 = 8;
    /// Wants a pong.
    pub const PING: u8 = 9;
    /// Answers a ping.
    pub const PONG: u8 = 10;
}

/// A frame as a client puts it on the wire, right or wrong.
#[derive(Clone, Debug)]
pub struct RawFrame {
    /// FIN, the three reserved bits, and the opcode.
    pub first_byte: u8,
    /// Form of the length.
    pub length: Length,
    /// The mask; a server wants one.
    pub mask: Option<[u8; 4]>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// The form of a frame's length.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// As RFC 6455 wants it: in as few bytes as possible.
    Shortest,
    /// In 16 bits, although fewer may do.
    In16Bits,
    /// In 64 bits, although fewer may do.
    In64Bits,
    /// This length, whatever the payload has.
    Claimed(u64),
}

impl RawFrame {
    /// Makes a whole message, or a control frame, as it should be.
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            first_byte: 0x80 | opcode,
            length: Length::Shortest,
            mask: Some([0x37, 0xfa, 0x21, 0x3d]),
            payload: payload.into(),
        }
    }

    /// Makes a fragment that others follow.
    pub fn fragment(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            first_byte: opcode,
            ..Self::new(opcode, payload)
        }
    }

    /// Makes a close frame with this code and reason.
    pub fn close(code: u16, reason: &[u8]) -> Self {
        Self::new(opcode::CLOSE, [&code.to_be_bytes(), reason].concat())
    }

    /// Returns the bytes for the wire.
    // Lengths that do not fit are written as if they did: these errors are intended.
    #[allow(clippy::cast_possible_truncation)]
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.payload.len();
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![self.first_byte];
        match self.length {
            Length::Shortest if length < 126 => bytes.push(masked | length as u8),
            Length::Shortest if length > 0xffff => return self.with(Length::In64Bits).bytes(),
            Length::Shortest | Length::In16Bits => {
                bytes.push(masked | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            Length::In64Bits => return self.with(Length::Claimed(length as u64)).bytes(),
            Length::Claimed(length) => {
                bytes.push(masked | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        let mask = self.mask.unwrap_or_default();
        bytes.extend(self.mask.into_iter().flatten());
        bytes.extend(
            self.payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }

    /// Returns the same frame with another form of its length.
    pub fn with(&self, length: Length) -> Self {
        Self {
            length,
            ..self.clone()
        }
    }
}

/// A TCP connection to a server's port for clients, without a layer that would correct the sent
/// bytes.
#[derive(Debug)]
pub struct RawSocket {
    stream: TcpStream,
    /// Read and not looked at yet.
    received: Vec<u8>,
}

/// A frame that a server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Kind of the frame.
    pub opcode: u8,
    /// Its payload. Long messages of servers come in several frames; here they are together.
    pub payload: Vec<u8>,
}

impl RawSocket {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// If no process listens there.
    pub async fn connect(port: u16) -> Result<Self> {
        Self::connect_from(Ipv4Addr::LOCALHOST, port).await
    }

    /// Connects from this address of the loopback network.
    ///
    /// # Errors
    /// If no process listens there, or there are no ports left to connect from.
    pub async fn connect_from(local: Ipv4Addr, port: u16) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((local, 0).into())?;
        let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Connects and does the handshake.
    ///
    /// # Errors
    /// If the server does not agree.
    pub async fn upgraded(port: u16) -> Result<Self> {
        let mut socket = Self::connect(port).await?;
        socket.send(handshake(port).as_bytes()).await?;
        match socket.http_status().await? {
            101 => Ok(socket),
            status => bail!("the handshake is answered with HTTP {status}"),
        }
    }

    /// Connects, does the handshake and sends `hello`.
    ///
    /// # Errors
    /// If the server does not greet.
    pub async fn greeted(port: u16) -> Result<(Self, HelloOk)> {
        let mut socket = Self::upgraded(port).await?;
        let hello = RawFrame::new(opcode::TEXT, r#"{"type":"hello"}"#);
        socket.send(&hello.bytes()).await?;
        loop {
            let received = socket.frame().await?.context("the server ended the connection")?;
            if received.opcode == opcode::TEXT {
                let text = String::from_utf8(received.payload)?;
                match ServerFrame::parse(&text)? {
                    ServerFrame::HelloOk(hello) => return Ok((socket, hello)),
                    other => bail!("expected hello_ok, not {other:?}"),
                }
            }
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the server has ended the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = timeout(PATIENCE, self.stream.write_all(bytes)).await;
        Ok(sent.context("the server does not read")??)
    }

    /// Sends bytes one at a time, with this pause between them.
    ///
    /// # Errors
    /// If the server has ended the connection.
    pub async fn trickle(&mut self, bytes: &[u8], pause: Duration) -> Result<()> {
        for byte in bytes {
            self.send(&[*byte]).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Shuts down the sending direction, and goes on reading.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn finish(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Breaks the connection off, so that the server's next look at it is an error.
    ///
    /// # Errors
    /// If the operating system does not know how.
    pub fn reset(self) -> Result<()> {
        Ok(self.stream.set_zero_linger()?)
    }

    /// Reads the server's answer over HTTP, and returns its status. The head is removed.
    ///
    /// # Errors
    /// If the server does not answer, or not with HTTP.
    pub async fn http_status(&mut self) -> Result<u16> {
        let head = self
            .http_head()
            .await?
            .context("the server ended the connection")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.with_context(|| format!("not HTTP: {head}"))
    }

    /// Reads and returns the head of the server's answer over HTTP; nothing if it ended the
    /// connection.
    ///
    /// # Errors
    /// If the server neither answers nor ends the connection.
    pub async fn http_head(&mut self) -> Result<Option<String>> {
        loop {
            let end = self.received.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let rest = self.received.split_off(end + 4);
                let head = std::mem::replace(&mut self.received, rest);
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Reads everything else that the server sends until it ends the connection.
    ///
    /// # Errors
    /// If it does not end it.
    pub async fn rest(&mut self) -> Result<String> {
        while self.read().await? {}
        Ok(String::from_utf8_lossy(&self.received).into_owned())
    }

    /// Reads the server's next message or control frame; returns nothing if it has ended the
    /// connection.
    ///
    /// # Errors
    /// If the server neither sends anything nor ends the connection, or if its frame is not
    /// allowed.
    pub async fn frame(&mut self) -> Result<Option<Received>> {
        let mut message: Option<Received> = None;
        loop {
            let Some((first_byte, payload)) = self.one_frame().await? else {
                return Ok(None);
            };
            let (is_last, opcode) = (first_byte & 0x80 != 0, first_byte & 0x0f);
            if first_byte & 0x70 != 0 {
                bail!("the server set reserved bits: {first_byte:#x}");
            }
            match (opcode, &mut message) {
                (opcode::CLOSE.., _) => return Ok(Some(Received { opcode, payload })),
                (opcode::CONTINUATION, Some(message)) => message.payload.extend(payload),
                (opcode::TEXT | opcode::BINARY, None) => message = Some(Received { opcode, payload }),
                _ => bail!("the server sent a frame with opcode {opcode} out of order"),
            }
            if is_last {
                return Ok(message);
            }
        }
    }

    async fn one_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        loop {
            if let Some((header, length)) = header(&self.received)?
                && self.received.len() >= header + length
            {
                let first_byte = self.received[0];
                let rest = self.received.split_off(header + length);
                let payload = self.received.split_off(header);
                self.received = rest;
                return Ok(Some((first_byte, payload)));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Reads the available bytes. Returns `false` if the server has ended the connection, with or
    /// without an error.
    async fn read(&mut self) -> Result<bool> {
        let reading = timeout(PATIENCE, self.stream.read_buf(&mut self.received));
        let read = reading
            .await
            .context("the server says nothing, and does not end the connection")?;
        // A reset is an end as well.
        Ok(read.is_ok_and(|read| read > 0))
    }
}

/// Returns the lengths of a frame's header and payload, once the header is there.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(second_byte) = bytes.get(1) else {
        return Ok(None);
    };
    if second_byte & 0x80 != 0 {
        bail!("the server masked a frame");
    }
    Ok(match second_byte {
        126 => bytes
            .get(2..4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(|bytes| (4, u16::from_be_bytes(bytes).into())),
        127 => match bytes.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => Some((10, usize::try_from(u64::from_be_bytes(bytes))?)),
            None => None,
        },
        short => Some((2, usize::from(*short))),
    })
}

/// Returns a handshake as it should be.
pub fn handshake(port: u16) -> String {
    format!(
        "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    )
}

/// Returns the text of a `command` frame, and its id.
pub fn command_text(hello: &HelloOk, command: &serde_json::Value) -> (CommandId, String) {
    let id = mint(hello.server_time_ms);
    let frame = json!({ "type": "command", "id": id.to_string(), "command": command });
    (id, frame.to_string())
}
