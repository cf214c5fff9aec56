//! Reads the access file from the disk, and the files with keys that it names.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use zeroize::Zeroizing;

use super::file::{AccessFile, AccessFileError, KeySource, MAX_ACCESS_FILE};
use super::key_set::{KeySet, KeySetError, MAX_KEY_SET};

/// The error for an access file, or a file that it names, that a server cannot use. No error
/// repeats a secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}; the user that the server runs as needs to read it", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// The access file is not text.
    #[error("{path} is no text in UTF-8; write it as docs/access.md describes", path = .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The access file has a mistake.
    #[error("{path}: {error}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The mistake.
        error: AccessFileError,
    },
    /// A file with the keys of an issuer cannot be used.
    #[error("{path}: {reason}; give the keys of the issuer {issuer:?}", path = .path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// The issuer whose keys it must have.
        issuer: String,
        /// The reason.
        reason: String,
    },
}

/// The content of an access file and of the files that it names.
pub(super) struct Loaded {
    pub(super) file: AccessFile,
    /// The keys of each issuer, in the order of the issuers. Empty for a URL.
    pub(super) fixed: Vec<Arc<KeySet>>,
    /// The bytes of all files, in the order in which they were read.
    content: Vec<Zeroizing<Vec<u8>>>,
}

impl Loaded {
    /// Returns `true` if no file has changed.
    pub(super) fn has_same_content(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

/// Reads the keys in the bytes of a file.
type ParseKeys = fn(&[u8]) -> Result<KeySet, KeySetError>;

/// Reads an access file and the files that it names. Their paths are relative to its directory.
pub(super) fn load(path: &Path) -> Result<Loaded, AccessError> {
    let bytes = read(path, MAX_ACCESS_FILE)?;
    let text = str::from_utf8(&bytes).map_err(|_| AccessError::NotText {
        path: path.to_owned(),
    })?;
    // Editors of Windows write a byte order mark at the beginning.
    let file = AccessFile::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| {
        AccessError::File {
            path: path.to_owned(),
            error,
        }
    })?;
    let mut content = vec![bytes];
    let mut fixed = Vec::new();
    let directory = path.parent().unwrap_or(Path::new("."));
    for issuer in &file.issuers {
        let (path, parse): (PathBuf, ParseKeys) = match &issuer.source {
            KeySource::Url(_) => {
                fixed.push(Arc::default());
                continue;
            }
            KeySource::File(path) => (directory.join(path), KeySet::read),
            KeySource::Secret(path) => (directory.join(path), secret),
        };
        let bytes = read(&path, MAX_KEY_SET)?;
        let keys = parse(&bytes).map_err(|error| AccessError::Keys {
            path,
            issuer: issuer.name.clone(),
            reason: error.to_string(),
        })?;
        fixed.push(Arc::new(keys));
        content.push(bytes);
    }
    Ok(Loaded { file, fixed, content })
}

/// Reads a secret. A line break at its end is none of its bytes.
fn secret(bytes: &[u8]) -> Result<KeySet, KeySetError> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    KeySet::of_secret(bytes.strip_suffix(b"\r").unwrap_or(bytes))
}

/// Reads a file, and at most one byte more than the limit. A device that never ends must not fill
/// the memory.
fn read(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, AccessError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let opened = File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
    opened.map_err(|error| AccessError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    Ok(bytes)
}
