//! A private authority.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use bellwether_client::native::Authorities;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key in PEM format.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
    /// The certificate in DER.
    pub(super) der: Vec<u8>,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// Issues a certificate for this host, valid for 90 days until `end`.
    pub(super) fn issue(&self, host: &str, end: SystemTime) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([host.to_owned()])?;
        let days = Duration::from_secs(100 * 24 * 60 * 60);
        params.not_before = (end - days).into();
        params.not_after = end.into();
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        })
    }

    /// Returns the authority, in the form that the client library takes.
    pub(super) fn trusted(&self) -> Result<Authorities> {
        Ok(Authorities::from_pem(self.pem.as_bytes())?)
    }

    /// Returns a connector that trusts the authority.
    pub(super) fn connector(&self) -> Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).ok();
        roots.add(root.context("the authority's certificate")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
