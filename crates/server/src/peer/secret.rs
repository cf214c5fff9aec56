//! The secrets that the servers of a cluster share.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use thiserror::Error;
use zeroize::Zeroizing;

/// Length limit of a secret. A shorter secret could be guessed from one recorded handshake.
const MIN_CHARACTERS: usize = 32;

/// The secrets with which the servers of a cluster authenticate each other, and sign their
/// messages. All servers have the same secrets.
///
/// The secrets are read from text with one secret a line, each of at least 32 printable ASCII
/// characters. Spaces around them and empty lines do not count. This server proves itself with the
/// first secret, and accepts all of them. A secret can therefore be replaced without a gap, in
/// three steps. First add the new secret as the second on every server. Then make it the first on
/// every server. Then remove the old secret from every server.
///
/// Take secrets from a random source (`bellwether-server new-secret` prints one). The secrets are
/// wiped from memory when the last copy is dropped, and do not appear in the output of `Debug`.
#[derive(Clone)]
pub struct PeerSecrets {
    first: Zeroizing<Vec<u8>>,
    others: Vec<Zeroizing<Vec<u8>>>,
}

impl PeerSecrets {
    /// Returns one new secret of 32 random bytes. Use this secret for servers that one program
    /// starts, or for a server without peers.
    ///
    /// Servers on several machines need a secret that the operator can give to all of them:
    /// `bellwether-server new-secret` prints it.
    #[must_use]
    pub fn random() -> Self {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        Self {
            first: Zeroizing::new(HEXLOWER.encode(&*bytes).into_bytes()),
            others: Vec::new(),
        }
    }

    /// Returns the secret with which this server proves itself.
    pub(super) fn own(&self) -> &[u8] {
        &self.first
    }

    /// Returns the secrets with which peers may prove themselves.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &[u8]> {
        core::iter::once(&self.first)
            .chain(&self.others)
            .map(|secret| secret.as_slice())
    }
}

/// The error for text without usable secrets. No error repeats any of the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerSecretsError {
    /// There are only empty lines.
    #[error("there is no secret in it")]
    Empty,
    /// A line is too short.
    #[error("the secret in line {line} has {characters} characters and needs {MIN_CHARACTERS} at least")]
    TooShort {
        /// The line, counted from 1.
        line: usize,
        /// The length of the secret, without the spaces around it.
        characters: usize,
    },
    /// A line contains a character that is not printable ASCII.
    #[error("line {line} holds something else than printable ASCII characters")]
    NotPrintable {
        /// The line, counted from 1.
        line: usize,
    },
    /// A line looks like a comment, and would be a secret that anyone can guess.
    #[error("line {line} begins with #, and there are no comments in it: each line is a secret")]
    Comment {
        /// The line, counted from 1.
        line: usize,
    },
}

impl FromStr for PeerSecrets {
    type Err = PeerSecretsError;

    fn from_str(text: &str) -> Result<Self, PeerSecretsError> {
        let mut secrets = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let secret = text.trim();
            if secret.is_empty() {
                continue;
            }
            if secret.starts_with('#') {
                return Err(PeerSecretsError::Comment { line });
            }
            if !secret.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                return Err(PeerSecretsError::NotPrintable { line });
            }
            let characters = secret.len();
            if characters < MIN_CHARACTERS {
                return Err(PeerSecretsError::TooShort { line, characters });
            }
            secrets.push(Zeroizing::new(secret.as_bytes().to_vec()));
        }
        let mut secrets = secrets.into_iter();
        Ok(Self {
            first: secrets.next().ok_or(PeerSecretsError::Empty)?,
            others: secrets.collect(),
        })
    }
}

impl fmt::Debug for PeerSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerSecrets(<{} not shown>)", self.accepted().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789ABCDEF";

    #[test]
    fn a_random_secret_is_new_and_could_be_in_a_file() {
        let (one, other) = (PeerSecrets::random(), PeerSecrets::random());
        assert_ne!(one.own(), other.own());
        let text = str::from_utf8(one.own()).unwrap();
        let read: PeerSecrets = text.parse().unwrap();
        assert!(read.accepted().eq(one.accepted()));
        assert!(!format!("{one:?}").contains(text));
    }

    #[test]
    fn each_line_is_a_secret() {
        let text = format!("\n  {GOOD}\r\n\n\t{GOOD} and more \n");
        let secrets: PeerSecrets = text.parse().unwrap();
        let all = [GOOD.to_owned(), format!("{GOOD} and more")];
        assert!(secrets.accepted().eq(all.iter().map(String::as_bytes)));
        assert_eq!(secrets.own(), GOOD.as_bytes());
    }

    #[test]
    fn what_could_be_guessed_or_mistaken_is_refused() {
        use PeerSecretsError::{Comment, Empty, NotPrintable, TooShort};
        let cases = [
            (String::new(), Empty),
            (" \n\r\n\t\n".to_owned(), Empty),
            (
                GOOD[1..].to_owned(),
                TooShort {
                    line: 1,
                    characters: 31,
                },
            ),
            (
                format!("{GOOD}\n\nshort"),
                TooShort {
                    line: 3,
                    characters: 5,
                },
            ),
            (format!("{GOOD}\u{7f}"), NotPrintable { line: 1 }),
            (format!("{GOOD}\n\u{feff}{GOOD}"), NotPrintable { line: 2 }),
            (format!("{GOOD}\u{e9}"), NotPrintable { line: 1 }),
            (format!("# {GOOD}\n{GOOD}"), Comment { line: 1 }),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<PeerSecrets>().unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn they_are_not_shown() {
        let secrets: PeerSecrets = GOOD.parse().unwrap();
        assert_eq!(format!("{secrets:?}"), "PeerSecrets(<1 not shown>)");
    }
}
