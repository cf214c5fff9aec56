//! The access file: the issuers whose tokens a server accepts, and API keys.

mod error;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::SystemTime;

use jsonwebtoken::Algorithm;
use url::Url;

use super::api_key::{self, ApiKey, ApiKeyHash};
use super::principal::Principal;
use super::token::TokenError;
pub use error::AccessFileError;

/// Length limit of an access file, in bytes.
pub(crate) const MAX_ACCESS_FILE: usize = 256 * 1024;

/// A valid access file.
#[derive(Clone, Debug)]
pub(crate) struct AccessFile {
    /// The version that the operator has given the file, at least 1.
    pub(crate) version: u64,
    pub(crate) issuers: Vec<Issuer>,
    keys: Vec<ApiKey>,
}

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer {
    /// The claim `iss` of its tokens.
    pub(crate) name: String,
    /// A token must be for one of these.
    pub(super) audience: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(crate) source: KeySource,
    /// The names on the way to the claim with the roles. Empty if tokens have no roles.
    pub(super) roles_claim: Vec<String>,
}

/// The place of an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// A key set that the issuer publishes.
    Url(Url),
    /// A file with a key set.
    File(PathBuf),
    /// A file with a secret for HS256.
    Secret(PathBuf),
}

impl AccessFile {
    /// Reads the text of an access file. Reads none of the files that it names.
    ///
    /// # Errors
    /// [`AccessFileError`], with the line, the key and the value, and the correction.
    pub(crate) fn parse(text: &str) -> Result<Self, AccessFileError> {
        table::parse(text)
    }

    /// Finds the principal of an API key.
    ///
    /// # Errors
    /// [`TokenError`] if the file does not have the key, or if the key has expired.
    pub(crate) fn api_key(&self, credential: &str, now: SystemTime) -> Result<Principal, TokenError> {
        api_key::find(&self.keys, credential, now)
    }

    /// Returns `true` if the file still has the key with this hash.
    pub(super) fn has_api_key(&self, hash: &ApiKeyHash) -> bool {
        self.keys.iter().any(|key| hash.is_of(key))
    }
}
