//! One GET request for a key set: HTTP/1.1 over TLS, or plain to this machine. Follows no redirect,
//! because the operator has named the place of the keys.

use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::sync::{Arc, OnceLock};

use axum::body::{Body, Bytes, to_bytes};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use url::{Host, Url};

use crate::access::key_set::MAX_KEY_SET;

/// Time limit for the whole request.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(5);
/// Limit in bytes for the head of the answer.
const BUFFER: usize = 64 * 1024;
const USER_AGENT: &str = concat!("bellwether-server/", env!("CARGO_PKG_VERSION"));

/// The reason why there is no answer.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error("no answer within {TIME_LIMIT:?}")]
    Timeout,
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    #[error("the URL has no usable host")]
    Host,
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer is HTTP {0}, not 200 (redirects are not followed)")]
    Status(StatusCode),
    #[error("the answer is longer than {} KiB, or it ends too early", MAX_KEY_SET / 1024)]
    Body,
}

/// Fetches the document at this URL, at most [`MAX_KEY_SET`] bytes within [`TIME_LIMIT`].
pub(super) async fn fetch(url: &Url) -> Result<Bytes, FetchError> {
    timeout(TIME_LIMIT, fetch_now(url))
        .await
        .unwrap_or(Err(FetchError::Timeout))
}

async fn fetch_now(url: &Url) -> Result<Bytes, FetchError> {
    let host = url.host().ok_or(FetchError::Host)?;
    let port = url.port_or_known_default().ok_or(FetchError::Host)?;
    let stream = match host {
        Host::Domain(name) => TcpStream::connect((name, port)).await?,
        Host::Ipv4(address) => TcpStream::connect((address, port)).await?,
        Host::Ipv6(address) => TcpStream::connect((address, port)).await?,
    };
    if url.scheme() != "https" {
        return ask(url, stream).await;
    }
    let name = match host {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).map_err(|_| FetchError::Host)?,
        Host::Ipv4(address) => ServerName::from(IpAddr::from(address)),
        Host::Ipv6(address) => ServerName::from(IpAddr::from(address)),
    };
    let stream = TlsConnector::from(tls()?).connect(name, stream).await?;
    ask(url, stream).await
}

/// Returns the TLS configuration. It trusts the public authorities that the program contains.
fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

async fn ask(
    url: &Url,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Bytes, FetchError> {
    let mut http = http1::Builder::new();
    http.max_buf_size(BUFFER);
    let (mut sender, connection) = http.handshake(TokioIo::new(stream)).await?;
    // The task ends when the sender and the answer are dropped. The request reports its errors,
    // too.
    tokio::spawn(connection);
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| FetchError::Host)?;
    let headers = request.headers_mut();
    let host = HeaderValue::try_from(host).map_err(|_| FetchError::Host)?;
    headers.insert(header::HOST, host);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let answer = sender.send_request(request).await?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let body = Body::new(answer.into_body());
    to_bytes(body, MAX_KEY_SET).await.map_err(|_| FetchError::Body)
}
