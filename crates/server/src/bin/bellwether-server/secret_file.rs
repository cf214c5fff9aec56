//! Reads files with values that are too secret for a command line or an environment variable.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bellwether_server::{PeerSecrets, PeerSecretsError};
use thiserror::Error;
use zeroize::Zeroizing;

/// Length limit of a file. Connection strings and lists of secrets are much shorter. A device that
/// never ends must not fill the memory.
const MAX_BYTES: u64 = 64 * 1024;

/// The error for a file that cannot be used. No error repeats the content of the file.
#[derive(Debug, Error)]
pub(crate) enum SecretFileError {
    #[error("{option} names {path}, which is not there: {remedy}", path = .path.display())]
    Missing {
        option: &'static str,
        path: PathBuf,
        remedy: &'static str,
    },
    #[error(
        "{option} names {path}, which is a directory: name the file in it. (Docker makes a directory if the file to \
         mount does not exist.)",
        path = .path.display()
    )]
    Directory { option: &'static str, path: PathBuf },
    #[error(
        "{option} names {path}, which cannot be read: {error}; the user that the server runs as needs to read it",
        path = .path.display()
    )]
    Unreadable {
        option: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error("{option} names {path}, which is no text of at most 64 KiB: {remedy}", path = .path.display())]
    NotText {
        option: &'static str,
        path: PathBuf,
        remedy: &'static str,
    },
    #[error("{option} names {path}, which is empty: {remedy}", path = .path.display())]
    Empty {
        option: &'static str,
        path: PathBuf,
        remedy: &'static str,
    },
    #[error("{option} names {path}, which cannot be used: {error}; {remedy}", path = .path.display())]
    Secrets {
        option: &'static str,
        path: PathBuf,
        error: PeerSecretsError,
        remedy: &'static str,
    },
}

/// A file that an option names, and the remedy if the file cannot be used.
struct SecretFile<'a> {
    option: &'static str,
    path: &'a Path,
    remedy: &'static str,
}

/// Reads the secrets with which peers authenticate each other.
pub(crate) fn peer_secrets(path: &Path) -> Result<PeerSecrets, SecretFileError> {
    let file = SecretFile {
        option: "--peer-secret-file",
        path,
        remedy: "`bellwether-server new-secret` prints a secret for it; give every server of the cluster the same",
    };
    let (option, remedy) = (file.option, file.remedy);
    file.read()?.parse().map_err(|error| match error {
        PeerSecretsError::Empty => file.empty(),
        error => SecretFileError::Secrets {
            option,
            path: path.to_owned(),
            error,
            remedy,
        },
    })
}

/// Reads the connection string of the replica set, which may contain a password.
pub(crate) fn mongodb_uri(path: &Path) -> Result<String, SecretFileError> {
    let file = SecretFile {
        option: "--mongodb-uri-file",
        path,
        remedy: "put the replica set's connection string into it, such as \
                 mongodb://m1:27017,m2:27017,m3:27017/?replicaSet=rs0",
    };
    let text = file.read()?;
    let uri = text.trim();
    if uri.is_empty() {
        return Err(file.empty());
    }
    Ok(uri.to_owned())
}

impl SecretFile<'_> {
    fn read(&self) -> Result<Zeroizing<String>, SecretFileError> {
        let mut bytes = Zeroizing::new(Vec::new());
        File::open(self.path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| self.unreadable(error))?;
        let text = str::from_utf8(&bytes)
            .ok()
            .filter(|text| text.len() as u64 <= MAX_BYTES);
        let text = text.ok_or_else(|| SecretFileError::NotText {
            option: self.option,
            path: self.path.to_owned(),
            remedy: self.remedy,
        })?;
        // Editors of Windows write a byte order mark at the beginning.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn unreadable(&self, error: io::Error) -> SecretFileError {
        let (option, path, remedy) = (self.option, self.path.to_owned(), self.remedy);
        match error.kind() {
            io::ErrorKind::NotFound => SecretFileError::Missing { option, path, remedy },
            io::ErrorKind::IsADirectory => SecretFileError::Directory { option, path },
            _ => SecretFileError::Unreadable { option, path, error },
        }
    }

    fn empty(&self) -> SecretFileError {
        SecretFileError::Empty {
            option: self.option,
            path: self.path.to_owned(),
            remedy: self.remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "\u{feff}mongodb://m1:27017/?replicaSet=rs0\r\n").unwrap();
        let uri = mongodb_uri(&path).unwrap();
        assert_eq!(uri, "mongodb://m1:27017/?replicaSet=rs0");

        let secret = "a secret of not less than 32 characters";
        std::fs::write(&path, format!("\u{feff}{secret}\r\n")).unwrap();
        assert!(peer_secrets(&path).is_ok());

        std::fs::write(&path, "\u{feff}\r\n").unwrap();
        assert!(matches!(mongodb_uri(&path), Err(SecretFileError::Empty { .. })));
    }
}
