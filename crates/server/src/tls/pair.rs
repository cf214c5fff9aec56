//! A certificate chain with its key.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::der::Decode;
use x509_cert::time::Time;

use super::files::Contents;
use super::{TlsError, TlsFiles};

/// The time before the end of a certificate from which the server warns its operator.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A certificate chain and the key of its first certificate, which fit together.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    /// A hash of the files from which the pair was read.
    pub(super) digest: [u8; 32],
    from: Time,
    to: Time,
}

/// The state of a certificate at one moment that an operator must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    /// The certificate ends in this number of whole days.
    EndsSoon {
        days: u64,
    },
    Ended,
    NotYet,
}

impl Pair {
    /// Decodes both files, and checks that they fit together.
    pub(super) fn new(files: &TlsFiles, contents: &Contents) -> Result<Self, TlsError> {
        let chain = chain(files, contents)?;
        let (from, to) = validity(files, &chain)?;
        let certified = certified(files, contents, chain)?;
        Ok(Self {
            certified: Arc::new(certified),
            digest: contents.digest(),
            from,
            to,
        })
    }

    /// Returns the last moment at which the certificate is valid.
    pub(super) fn not_after(&self) -> SystemTime {
        self.to.to_system_time()
    }

    /// Returns the last moment at which the certificate is valid, in UTC, for people.
    pub(super) fn end(&self) -> String {
        self.to.to_date_time().to_string()
    }

    pub(super) fn validity_at(&self, now: SystemTime) -> Validity {
        if now < self.from.to_system_time() {
            return Validity::NotYet;
        }
        match self.not_after().duration_since(now) {
            Ok(rest) if rest >= WARN_BEFORE => Validity::Valid,
            Ok(rest) => Validity::EndsSoon {
                days: rest.as_secs() / (24 * 60 * 60),
            },
            Err(_) => Validity::Ended,
        }
    }

    /// Checks that clients accept the certificate at this moment.
    pub(super) fn must_be_valid_at(&self, now: SystemTime, files: &TlsFiles) -> Result<(), TlsError> {
        match self.validity_at(now) {
            Validity::Valid | Validity::EndsSoon { .. } => Ok(()),
            Validity::Ended | Validity::NotYet => Err(TlsError::NotValidNow {
                path: files.certificate.clone(),
                from: self.from.to_date_time().to_string(),
                to: self.end(),
            }),
        }
    }

    /// Returns `true` if the certificate is for this host.
    pub(super) fn names(&self, host: &ServerName<'_>) -> bool {
        let end_entity = self.certified.end_entity_cert();
        end_entity
            .and_then(ParsedCertificate::try_from)
            .and_then(|parsed| verify_server_name(&parsed, host))
            .is_ok()
    }
}

fn chain(files: &TlsFiles, contents: &Contents) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut chain = Vec::new();
    for (place, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&contents.certificate)) {
        let certificate = certificate.map_err(|error| bad_certificate(files, place, error.to_string()))?;
        chain.push(certificate);
    }
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: files.certificate.clone(),
        });
    }
    for (place, certificate) in (1..).zip(&chain) {
        ParsedCertificate::try_from(certificate)
            .map_err(|error| bad_certificate(files, place, error.to_string()))?;
    }
    Ok(chain)
}

fn bad_certificate(files: &TlsFiles, place: usize, reason: String) -> TlsError {
    TlsError::BadCertificate {
        path: files.certificate.clone(),
        place,
        reason,
    }
}

/// Returns the first and the last moment at which the first certificate is valid.
fn validity(files: &TlsFiles, chain: &[CertificateDer<'_>]) -> Result<(Time, Time), TlsError> {
    let first = chain.first().map(AsRef::as_ref).unwrap_or_default();
    let parsed = x509_cert::Certificate::from_der(first)
        .map_err(|error| bad_certificate(files, 1, error.to_string()))?;
    let validity = parsed.tbs_certificate().validity();
    Ok((validity.not_before, validity.not_after))
}

fn certified(
    files: &TlsFiles,
    contents: &Contents,
    chain: Vec<CertificateDer<'static>>,
) -> Result<CertifiedKey, TlsError> {
    // The error of the decoder could repeat a part of the key.
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| {
        let path = files.key.clone();
        let marker = b"ENCRYPTED";
        if contents.key.windows(marker.len()).any(|bytes| bytes == marker) {
            TlsError::EncryptedKey { path }
        } else {
            TlsError::NoKey { path }
        }
    })?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::OtherKey {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        },
        Error::InvalidCertificate(error) => bad_certificate(files, 1, error.to_string()),
        _ => TlsError::BadKey {
            path: files.key.clone(),
        },
    })
}
