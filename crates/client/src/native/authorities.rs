//! The authorities whose certificates a client accepts.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

/// Authorities that issue the certificates of servers. A private authority, or the server's own
/// certificate if it has signed itself, must be given here.
#[derive(Clone, Debug)]
pub struct Authorities(pub(super) Arc<RootCertStore>);

/// The error for text without usable authorities.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadAuthorities {
    /// There is no certificate.
    #[error("there is no certificate in PEM format in it: it needs -----BEGIN CERTIFICATE-----")]
    None,
    /// A certificate cannot be decoded.
    #[error("certificate {place} in it cannot be read: {reason}")]
    Unreadable {
        /// The place of the certificate, counted from 1.
        place: usize,
        /// The reason.
        reason: String,
    },
}

impl Authorities {
    /// Reads one certificate or several in PEM format.
    ///
    /// # Errors
    /// [`BadAuthorities`] if there is none, or one cannot be decoded.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadAuthorities> {
        let mut roots = RootCertStore::empty();
        for (place, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
            let unreadable = |reason| BadAuthorities::Unreadable { place, reason };
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| unreadable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(BadAuthorities::None);
        }
        Ok(Self(Arc::new(roots)))
    }

    /// Returns the authorities that this machine trusts. The call blocks while it reads them.
    ///
    /// The operator of a machine can add an authority to these, and remove one. A list inside the
    /// program would not change then.
    ///
    /// # Errors
    /// The reason, for people, if the machine has none.
    pub(super) fn of_this_machine() -> Result<Self, String> {
        let loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Such lists contain old certificates that no current program can read.
        roots.add_parsable_certificates(loaded.certs);
        if roots.is_empty() {
            let reasons: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
            let colon = if reasons.is_empty() { "" } else { ": " };
            return Err(format!(
                "this machine trusts no authority, so no certificate can be checked{colon}{}; install its package \
                 ca-certificates, or give the authority of the servers with --ca-file",
                reasons.join("; ")
            ));
        }
        Ok(Self(Arc::new(roots)))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn authorities_are_read_from_pem() {
        let make = || {
            let made = generate_simple_self_signed(["db1.example".to_owned()]).unwrap();
            made.cert.pem()
        };
        let two = [make(), make()].concat();
        assert_eq!(Authorities::from_pem(two.as_bytes()).unwrap().0.len(), 2);
        assert_eq!(Authorities::from_pem(b"").unwrap_err(), BadAuthorities::None);
        assert_eq!(Authorities::from_pem(b"db1").unwrap_err(), BadAuthorities::None);
        let second_is_bad = [make(), make().replacen("MII", "AAA", 1)].concat();
        let error = Authorities::from_pem(second_is_bad.as_bytes()).unwrap_err();
        assert!(
            matches!(error, BadAuthorities::Unreadable { place: 2, .. }),
            "{error}"
        );
        let cut = &make()[..100];
        let error = Authorities::from_pem(cut.as_bytes()).unwrap_err();
        assert!(
            matches!(error, BadAuthorities::Unreadable { place: 1, .. }),
            "{error}"
        );
    }
}
