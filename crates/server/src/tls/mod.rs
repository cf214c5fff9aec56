//! TLS on the client port.
//!
//! The library `rustls` with the cryptography of `ring` does the work. MongoDB's driver uses both,
//! too. The server speaks TLS 1.2 and 1.3, and asks clients for no certificate.

mod certificate;
mod error;
mod files;
mod pair;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ResolvesServerCert;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;

use certificate::Certificate;
pub use certificate::CertificateReload;
pub use error::TlsError;
pub use files::TlsFiles;

/// The stream of a client after its TLS handshake.
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// The only protocol inside TLS (RFC 7301). The WebSocket handshake of browsers needs HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

/// TLS as the server speaks it. All clones have the same certificate.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be used.
    pub(crate) async fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let certificate = spawn_blocking(move || Certificate::load(files))
            .await
            .map_err(|error| TlsError::Setup(error.to_string()))??;
        let certificate = Arc::new(certificate);
        let resolver: Arc<dyn ResolvesServerCert> = certificate.clone();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        })
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    pub(crate) fn certificate(&self) -> &Arc<Certificate> {
        &self.certificate
    }
}
