//! Static API keys. A client sends its key where others send a token.

use core::fmt;
use std::time::SystemTime;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::principal::{API_KEY_ISSUER, Principal};
use super::token::TokenError;

/// The beginning of each API key. Scanners for leaked secrets recognize a key by it, and the server
/// distinguishes keys from tokens.
const PREFIX: &str = "bwk_";

/// A key of the access file: its hash, and the principal that it stands for.
#[derive(Clone, Debug)]
pub(crate) struct ApiKey {
    /// SHA-256 of the whole key, with its prefix.
    pub(super) sha256: [u8; 32],
    pub(super) name: String,
    pub(super) roles: Vec<String>,
    pub(super) expires: SystemTime,
}

/// SHA-256 of an API key, by which a server recognizes the key later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    pub(super) fn of(credential: &str) -> Self {
        Self(Sha256::digest(credential.as_bytes()).into())
    }

    /// Returns `true` if the hash is that of this key. Takes the same time for every other key.
    pub(super) fn is_of(&self, key: &ApiKey) -> bool {
        self.0.ct_eq(&key.sha256).into()
    }
}

/// Returns `true` if a credential is an API key and no token.
pub(crate) fn is_api_key(credential: &str) -> bool {
    credential.starts_with(PREFIX)
}

/// Finds the principal of an API key. Compares the key with all keys, in constant time for each.
///
/// # Errors
/// [`TokenError`] if no key of the file is the same, or if it has expired.
pub(super) fn find(keys: &[ApiKey], credential: &str, now: SystemTime) -> Result<Principal, TokenError> {
    let hash = ApiKeyHash::of(credential);
    let mut found = None;
    for key in keys {
        if hash.is_of(key) {
            found = Some(key);
        }
    }
    let key = found.ok_or(TokenError::UnknownApiKey)?;
    let principal = Principal {
        issuer: API_KEY_ISSUER.to_owned(),
        subject: key.name.clone(),
        roles: key.roles.clone(),
        expires: key.expires,
    };
    if principal.is_expired(now) {
        return Err(TokenError::ApiKeyExpired);
    }
    Ok(principal)
}

/// A new API key of 256 random bits. `Debug` does not show the key, and it is wiped from memory
/// when it is dropped.
pub struct NewApiKey {
    key: Zeroizing<String>,
}

impl NewApiKey {
    /// Draws a new key.
    #[must_use]
    pub fn random() -> Self {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes));
        Self {
            key: Zeroizing::new([PREFIX, &**text].concat()),
        }
    }

    /// Returns the key, for the client.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns SHA-256 of the key in hexadecimal digits, for the access file.
    pub fn sha256(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.key.as_bytes()))
    }
}

impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewApiKey(<not shown>)")
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_new_key_is_found_by_its_hash_until_it_expires() {
        let (new, other) = (NewApiKey::random(), NewApiKey::random());
        assert!(is_api_key(new.key()) && new.key().len() == 47);
        assert_ne!(new.key(), other.key());
        assert!(!format!("{new:?}").contains(&new.key()[4..]));
        let expires = SystemTime::now();
        let key = ApiKey {
            sha256: HEXLOWER
                .decode(new.sha256().as_bytes())
                .unwrap()
                .try_into()
                .unwrap(),
            name: "backup".to_owned(),
            roles: vec!["reader".to_owned()],
            expires,
        };
        let keys = [
            ApiKey {
                sha256: [0; 32],
                ..key.clone()
            },
            key,
        ];
        let found = find(&keys, new.key(), expires + Duration::from_secs(30)).unwrap();
        assert_eq!(
            (&*found.issuer, &*found.subject),
            ("bellwether-api-key", "backup")
        );
        assert_eq!(found.roles, ["reader"]);
        let late = find(&keys, new.key(), expires + Duration::from_secs(31));
        assert_eq!(late.err(), Some(TokenError::ApiKeyExpired));
        let wrong = [
            other.key(),
            PREFIX,
            &new.key()[..46],
            &format!("{}A", new.key()),
            "bwk_\0",
        ]
        .map(str::to_owned);
        for wrong in wrong {
            assert_eq!(
                find(&keys, &wrong, expires).err(),
                Some(TokenError::UnknownApiKey),
                "{wrong}"
            );
        }
    }
}
