//! The reasons why a certificate and its key cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A certificate or a key that the server cannot use. No error repeats the content of a key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{option} names {path}, which cannot be read: {error}; {}", unreadable(.error), path = .path.display())]
    Unreadable {
        /// The option of the program that names the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A file is longer than any certificate chain.
    #[error(
        "{option} names {path}, which is longer than {max} bytes: name a file in PEM format with one certificate chain \
         or one key",
        path = .path.display()
    )]
    TooLong {
        /// The option of the program that names the file.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The length limit, in bytes.
        max: u64,
    },
    /// The file has no certificate in PEM format.
    #[error(
        "--tls-cert names {path}, which has no certificate in PEM format (-----BEGIN CERTIFICATE-----). Put the \
         certificate of the server first, then those of the authorities between it and the root",
        path = .path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be decoded.
    #[error(
        "--tls-cert names {path}, whose certificate {place} cannot be read: {reason}; copy the file again from the \
         authority that issued it",
        path = .path.display()
    )]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// The place of the certificate in the file, counted from 1.
        place: usize,
        /// The reason.
        reason: String,
    },
    /// The file has no private key in PEM format.
    #[error(
        "--tls-key names {path}, which has no private key in PEM format: it needs -----BEGIN PRIVATE KEY-----, or the \
         same with EC or RSA in it",
        path = .path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is encrypted with a passphrase, which the server cannot ask for.
    #[error(
        "--tls-key names {path}, whose key is encrypted with a passphrase. Write it without one: `openssl pkey -in \
         {path} -out FILE`. Let only the user of the server read the file",
        path = .path.display()
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is damaged, or of a kind that the server does not support.
    #[error(
        "--tls-key names {path}, whose key cannot be used: give an ECDSA key (P-256 or P-384), an Ed25519 key, or an \
         RSA key of 2048 to 8192 bits",
        path = .path.display()
    )]
    BadKey {
        /// The file.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key in {key} does not belong to the first certificate in {certificate}: name the key with which that \
         certificate was requested. The certificate of the server must be the first in its file",
        key = .key.display(),
        certificate = .certificate.display()
    )]
    OtherKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate is valid at another time only.
    #[error(
        "the certificate in {path} is valid from {from} to {to}: renew it, or correct the clock of this machine",
        path = .path.display()
    )]
    NotValidNow {
        /// The file.
        path: PathBuf,
        /// The first second at which it is valid, in UTC.
        from: String,
        /// The last second at which it is valid, in UTC.
        to: String,
    },
    /// The TLS library cannot work as this server sets it up.
    #[error("the TLS library cannot be set up: {0}; report this as a bug")]
    Setup(String),
}

/// Returns the next step if a file cannot be read.
fn unreadable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "give the path of an existing file",
        io::ErrorKind::IsADirectory => {
            "name the file in it (Docker makes a directory if the file to mount does not exist)"
        }
        _ => "the user that the server runs as needs to read it",
    }
}
