//! The two files, as they are at one moment.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::TlsError;

/// Length limit of a file, in bytes. A chain of ten certificates has about 20 KiB.
const MAX_BYTES: u64 = 256 * 1024;

/// The files with which a server proves its name to clients. The server reads them again while it
/// runs, so that a certificate can be renewed without a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM format. The certificate of the server is the first.
    pub certificate: PathBuf,
    /// The private key in PEM format: PKCS#8, PKCS#1 (RSA) or SEC1 (EC), without a passphrase.
    pub key: PathBuf,
}

/// The bytes of both files.
pub(super) struct Contents {
    pub(super) certificate: Zeroizing<Vec<u8>>,
    pub(super) key: Zeroizing<Vec<u8>>,
    /// Set if users other than the owner and the group of the key may read it.
    pub(super) is_key_public: bool,
}

impl TlsFiles {
    /// Reads both files. The call blocks.
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        let (certificate, _) = read("--tls-cert", &self.certificate)?;
        let (key, metadata) = read("--tls-key", &self.key)?;
        Ok(Contents {
            certificate,
            key,
            is_key_public: is_public(&metadata),
        })
    }
}

impl Contents {
    /// Returns a hash of both files. Two contents with the same hash are the same.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update((self.certificate.len() as u64).to_be_bytes());
        hash.update(&*self.certificate);
        hash.update(&*self.key);
        hash.finalize().into()
    }
}

fn read(option: &'static str, path: &Path) -> Result<(Zeroizing<Vec<u8>>, Metadata), TlsError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let metadata = read_into(path, &mut bytes).map_err(|error| TlsError::Unreadable {
        option,
        path: path.to_owned(),
        error,
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(TlsError::TooLong {
            option,
            path: path.to_owned(),
            max: MAX_BYTES,
        });
    }
    Ok((bytes, metadata))
}

fn read_into(path: &Path, bytes: &mut Vec<u8>) -> io::Result<Metadata> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    file.take(MAX_BYTES + 1).read_to_end(bytes)?;
    Ok(metadata)
}

#[cfg(unix)]
fn is_public(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn is_public(_: &Metadata) -> bool {
    false
}
