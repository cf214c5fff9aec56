use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// The longest head of a request that is read, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// A reverse proxy that puts a server under a path of its own, as gateways do: `/s1/status` is the
/// server's `/status`. It answers everything else with 404. It ends when it is dropped.
#[derive(Debug)]
pub struct PathProxy {
    port: u16,
    path: String,
    _accepting: AbortOnDropHandle<()>,
}

impl PathProxy {
    /// Starts it on a free port of 127.0.0.1. `path` begins with a slash and ends without one;
    /// `port` is the server's.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(path: &str, port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (own, prefix) = (listener.local_addr()?.port(), path.to_owned());
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let prefix = prefix.clone();
                // A connection that fails is closed; there is no other way to report the error.
                tokio::spawn(async move { forward(connection, &prefix, port).await });
            }
        });
        Ok(Self {
            port: own,
            path: path.to_owned(),
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Returns the address of the server's page behind the proxy.
    pub fn page(&self) -> String {
        format!("http://127.0.0.1:{}{}/", self.port, self.path)
    }

    /// Returns the URL for clients of the server.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}{}/v1", self.port, self.path)
    }
}

/// Forwards one request, and the frames that a WebSocket sends after it.
async fn forward(mut client: TcpStream, prefix: &str, port: u16) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < LONGEST_HEAD, "the head is too long");
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head).context("a head is ASCII")?;
    let (method, rest) = head.split_once(' ').context("not a request")?;
    let Some(rest) = rest.strip_prefix(prefix).filter(|rest| rest.starts_with('/')) else {
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return Ok(client.write_all(answer.as_bytes()).await?);
    };
    let mut head = format!("{method} {rest}");
    if !head.to_ascii_lowercase().contains("\r\nupgrade:") {
        // One request for each connection: those after it would not be read here.
        let lines = head
            .split("\r\n")
            .filter(|line| !line.is_empty() && !line.to_ascii_lowercase().starts_with("connection:"));
        head = lines.collect::<Vec<_>>().join("\r\n") + "\r\nConnection: close\r\n\r\n";
    }
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    server.write_all(head.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
