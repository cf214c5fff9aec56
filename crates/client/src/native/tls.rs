//! TLS to a server, and the reasons why there is none.

use core::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Authorities;
use crate::ConnectError;

/// The only protocol inside TLS (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// Number of names of a certificate that an error repeats.
const MAX_NAMES: usize = 5;

/// TLS with one set of trusted authorities. Clones share the authorities and the sessions, so that
/// a second connection to a server takes less time.
#[derive(Clone, Default)]
pub(super) struct Tls {
    /// `None` means the authorities of this machine.
    authorities: Option<Authorities>,
    /// Made for the first connection.
    connector: Arc<OnceCell<TlsConnector>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn trusting(authorities: Authorities) -> Self {
        Self {
            authorities: Some(authorities),
            connector: Arc::default(),
        }
    }

    pub(super) async fn connect<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectError::NotProven(format!("{host} cannot be the name of a certificate")))?;
        let connector = self.connector.get_or_try_init(|| self.make_connector()).await?;
        let connected = connector.connect(name, stream).await;
        connected.map_err(|error| no_connection(host, &error))
    }

    async fn make_connector(&self) -> Result<TlsConnector, ConnectError> {
        let authorities = match &self.authorities {
            Some(authorities) => Ok(authorities.clone()),
            None => spawn_blocking(Authorities::of_this_machine)
                .await
                .unwrap_or_else(|error| Err(error.to_string())),
        };
        authorities.and_then(connector).map_err(ConnectError::NotProven)
    }
}

fn connector(Authorities(roots): Authorities) -> Result<TlsConnector, String> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Returns the reason why a TLS handshake failed. If the network failed, a later attempt may
/// succeed. If client and server do not agree, an operator must change one of them.
fn no_connection(host: &str, error: &io::Error) -> ConnectError {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match reason {
        Some(Error::InvalidCertificate(reason)) => ConnectError::NotProven(not_proven(host, reason)),
        Some(Error::InvalidMessage(_)) => {
            ConnectError::BadEndpoint("it does not speak TLS: use ws:// if the network is safe".into())
        }
        Some(reason) => ConnectError::BadEndpoint(format!("no TLS with it: {reason}")),
        None if error.kind() == ErrorKind::UnexpectedEof => {
            ConnectError::Unreachable("it closed the connection during the TLS handshake".into())
        }
        None => ConnectError::Unreachable(error.to_string()),
    }
}

fn not_proven(host: &str, error: &CertificateError) -> String {
    match error {
        // An authority that was made again with the same name has another key, so its signatures do
        // not fit.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate comes from an authority that this client does not trust. \
            Install the certificate of the authority on this machine, or give it with --ca-file"
                .into()
        }
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate ended {} ago; renew it on the server, or correct the clock of this machine",
            readable(*time, *not_after)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is valid in {} only; correct the clock of this machine or of the authority",
            readable(*not_before, *time)
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!(
                "its certificate has no names, so it is not for {host}; give the server one with subjectAltName"
            )
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().take(MAX_NAMES).map(|name| plain(name)).collect();
            let more = if presented.len() > MAX_NAMES {
                " and others"
            } else {
                ""
            };
            format!(
                "its certificate is for {}{more} and not for {host}. Use a name of the certificate in the URL, or give \
                 the server a certificate for {host}",
                names.join(", ")
            )
        }
        error => format!("its certificate cannot be used: {error}"),
    }
}

/// Returns the name inside a text such as `DnsName("db1.example")`.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// Returns the time between two moments as people read it.
fn readable(later: UnixTime, earlier: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
