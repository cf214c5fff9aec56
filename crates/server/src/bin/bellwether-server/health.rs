//! `bellwether-server health`: asks a running server for its health. Containers that have no HTTP
//! client can use it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::path::PathBuf;

use axum::body::{Body, to_bytes};
use clap::Args;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::health_tls;

/// Time limit for the whole question. A server that takes longer is not healthy.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Length limit of an answer's body. A usual answer has one or two hundred bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Asks whether it serves commands or says who does, not only whether its process lives.
    #[arg(long)]
    ready: bool,

    /// URL of the server. The default is the server on this machine, at the address of --listen.
    #[arg(long, value_name = "URL", value_parser = server_url)]
    url: Option<Url>,

    /// Address at which the server on this machine listens for clients.
    #[arg(
        long,
        env = "BELLWETHER_LISTEN",
        default_value = crate::args::DEFAULT_LISTEN,
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,

    /// The certificate of the server on this machine, if it speaks TLS. Only its presence counts:
    /// the program does not check the certificate.
    #[arg(long, env = "BELLWETHER_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
}

/// The reason why a server is not known to be healthy.
#[derive(Debug, Error)]
pub(crate) enum HealthError {
    /// The server answers that it is not healthy. The text comes from it, or names its HTTP status.
    #[error("{0}")]
    Unwell(String),
    #[error("no server is reached at {0}: {1}")]
    Unreachable(String, io::Error),
    #[error("the server at {0} does not speak TLS: {1}; ask without --tls-cert, or at an http: URL")]
    NoTls(String, io::Error),
    #[error("no server answers at {0}: {1}")]
    NoAnswer(String, hyper::Error),
    #[error("no server answers at {0} within {TIMEOUT:?}")]
    Timeout(String),
}

/// The part of the body of `/livez` and `/readyz` that the program reads.
#[derive(Deserialize)]
struct Answer {
    reason: Option<String>,
}

impl Health {
    /// Asks the server, and returns `live` or `ready`.
    pub(crate) async fn ask(&self) -> Result<&'static str, HealthError> {
        let address = self.address();
        timeout(TIMEOUT, self.ask_at(&address))
            .await
            .unwrap_or(Err(HealthError::Timeout(address)))
    }

    async fn ask_at(&self, address: &str) -> Result<&'static str, HealthError> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| HealthError::Unreachable(address.to_owned(), error))?;
        if !self.speaks_tls() {
            return self.ask_over(stream, address).await;
        }
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let stream = health_tls::connect(host, stream)
            .await
            .map_err(|error| HealthError::NoTls(address.to_owned(), error))?;
        self.ask_over(stream, address).await
    }

    async fn ask_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        address: &str,
    ) -> Result<&'static str, HealthError> {
        let no_answer = |error| HealthError::NoAnswer(address.to_owned(), error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
        // The task ends when the sender is dropped. The request reports its errors, too.
        tokio::spawn(connection);
        let (path, well) = if self.ready {
            ("/readyz", "ready")
        } else {
            ("/livez", "live")
        };
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = hyper::Uri::from_static(path);
        if let Ok(host) = address.parse() {
            request.headers_mut().insert(header::HOST, host);
        }
        let answer = sender.send_request(request).await.map_err(no_answer)?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(well);
        }
        let body = to_bytes(Body::new(answer.into_body()), MAX_ANSWER_BYTES)
            .await
            .unwrap_or_default();
        let reason = serde_json::from_slice::<Answer>(&body)
            .ok()
            .and_then(|answer| answer.reason);
        Err(HealthError::Unwell(reason.unwrap_or_else(|| {
            format!("{address} answers {status} to {path}")
        })))
    }

    fn speaks_tls(&self) -> bool {
        match &self.url {
            Some(url) => url.scheme() == "https",
            None => self.tls_cert.is_some(),
        }
    }

    /// Returns the host and the port of the server.
    fn address(&self) -> String {
        match &self.url {
            Some(url) => format!(
                "{}:{}",
                url.host_str().unwrap_or_default(),
                url.port_or_known_default().unwrap_or_default()
            ),
            None => from_here(self.listen).to_string(),
        }
    }
}

/// Returns the address at which this machine reaches a server that listens at `listen`.
fn from_here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn server_url(text: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/")
        .ok_or_else(|| "give it as http://host:port or https://host:port".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_reached_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:7001", "127.0.0.1:7001"),
            ("[::]:7001", "[::1]:7001"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            assert_eq!(from_here(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn urls_name_a_server_and_nothing_in_it() {
        for good in [
            "http://127.0.0.1:7001",
            "http://s1:7001/",
            "http://[::1]:7001",
            "https://s1",
        ] {
            assert!(server_url(good).is_ok(), "{good}");
        }
        for bad in ["127.0.0.1:7001", "ws://s1:7001", "http://s1/readyz"] {
            assert!(server_url(bad).is_err(), "{bad}");
        }
    }
}
