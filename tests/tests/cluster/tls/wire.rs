//! HTTP over TLS, without the client library.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::authority::Authority;

async fn connect(authority: &Authority, port: u16) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let host = "127.0.0.1".try_into()?;
    authority
        .connector()?
        .connect(host, stream)
        .await
        .context("the TLS handshake")
}

/// Sends a `GET`, and returns the whole answer.
///
/// The end of the answer must be a notice of the end, and no cut connection.
pub(super) async fn get(
    authority: &Authority,
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<String> {
    let mut stream = connect(authority, port).await?;
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer)?)
}

/// Returns the certificate that the server shows, in DER.
pub(super) async fn served_certificate(authority: &Authority, port: u16) -> Result<Vec<u8>> {
    let stream = connect(authority, port).await?;
    let chain = stream.get_ref().1.peer_certificates();
    let certificate = chain.and_then(|chain| chain.first()).context("no certificate")?;
    Ok(certificate.to_vec())
}
