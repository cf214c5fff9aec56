use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A paused server accepts connections, by its operating system, and never answers. A server on a
/// machine that stands still answers some seconds later.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer of a server.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The headers, as they came.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// Sends a `GET` of a path from a port of 127.0.0.1, with further header lines.
///
/// # Errors
/// If there is no answer, or it is not HTTP.
pub async fn http_get(port: u16, path: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer> {
    http_get_from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), path, headers).await
}

/// Does the same as [`http_get`], with another address.
///
/// # Errors
/// As for [`http_get`].
pub(crate) async fn http_get_from(
    server: SocketAddrV4,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<HttpAnswer> {
    let answer = timeout(ANSWER_TIMEOUT, exchange(server, path, headers))
        .await
        .with_context(|| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))
        .and_then(|answer| answer)
        .with_context(|| format!("GET http://{server}{path}"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("the answer is not HTTP")?;
    Ok(HttpAnswer {
        status,
        headers: head.to_owned(),
        body: body.to_owned(),
    })
}

async fn exchange(server: SocketAddrV4, path: &str, headers: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    // Version 1.0: the answer is neither chunked nor followed by another one.
    let mut request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}
