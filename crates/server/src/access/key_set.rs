//! The keys with which an issuer signs tokens: a JSON Web Key Set (RFC 7517), or one secret.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::unique_json::UniqueJson;

/// Length limit of a key set, in bytes.
pub(crate) const MAX_KEY_SET: usize = 256 * 1024;
/// Shortest secret for HS256, in bytes: the length of its hash (RFC 7518, section 3.2).
pub(crate) const MIN_SECRET: usize = 32;
/// Number of keys that may fit one token. Each of them costs the check of a signature.
const MAX_CANDIDATES: usize = 4;

/// The keys of one issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<SigningKey>,
}

/// A key, with the only algorithm for which it counts.
#[derive(Debug)]
struct SigningKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The error for a key set that cannot be used. No error repeats any of the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeySetError {
    #[error("it is longer than {} KiB", MAX_KEY_SET / 1024)]
    TooLong,
    #[error("it is no JSON object with a list \"keys\"")]
    NotAKeySet,
    #[error(
        "it has no key for signatures with RS256 (2,048 to 8,192 bits), ES256 (P-256) or EdDSA (Ed25519)"
    )]
    NoUsableKey,
    #[error("the secret has {0} bytes, and HS256 needs {MIN_SECRET} at least")]
    ShortSecret(usize),
}

/// The parameters of a key (RFC 7518, section 6; RFC 8037). Others are ignored.
#[derive(Deserialize)]
struct Parameters {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Leaves out each key that is not for the signatures of tokens, or
    /// whose kind this server does not know.
    ///
    /// # Errors
    /// [`KeySetError`] if the text is no key set, or has no usable key.
    pub(crate) fn read(text: &[u8]) -> Result<Self, KeySetError> {
        if text.len() > MAX_KEY_SET {
            return Err(KeySetError::TooLong);
        }
        let set: Set<'_> = serde_json::from_slice(text).map_err(|_| KeySetError::NotAKeySet)?;
        let keys: Vec<SigningKey> = set.keys.into_iter().filter_map(SigningKey::read).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        Ok(Self { keys })
    }

    /// Returns the set that has only a secret for HS256.
    ///
    /// # Errors
    /// [`KeySetError::ShortSecret`] if the secret could be guessed.
    pub(crate) fn of_secret(secret: &[u8]) -> Result<Self, KeySetError> {
        let short = KeySetError::ShortSecret(secret.len());
        if secret.len() < MIN_SECRET {
            return Err(short);
        }
        let key = DecodingKey::from_secret(secret).map_err(|_| short)?;
        Ok(Self {
            keys: vec![SigningKey {
                id: None,
                algorithm: Algorithm::HS256,
                key,
            }],
        })
    }

    /// Returns the keys that a token with this key id and algorithm may be signed with. Returns
    /// `None` if too many keys fit.
    ///
    /// A token without a key id fits each key, and a key without an id fits each token.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Vec<&DecodingKey>> {
        let fits = |key: &&SigningKey| {
            let same_id = match (id, &key.id) {
                (Some(id), Some(own)) => id == own,
                _ => true,
            };
            key.algorithm == algorithm && same_id
        };
        let keys: Vec<&DecodingKey> = self.keys.iter().filter(fits).map(|key| &key.key).collect();
        (keys.len() <= MAX_CANDIDATES).then_some(keys)
    }
}

impl SigningKey {
    /// Reads a key. Returns `None` if the key is not for tokens.
    fn read(key: &RawValue) -> Option<Self> {
        let UniqueJson(key) = serde_json::from_str(key.get()).ok()?;
        let key: Parameters = serde_json::from_value(key).ok()?;
        let is_for_signatures = key.usage.as_deref().is_none_or(|usage| usage == "sig")
            && (key.key_ops.as_ref()).is_none_or(|uses| uses.iter().any(|operation| operation == "verify"));
        if !is_for_signatures {
            return None;
        }
        let (algorithm, names): (Algorithm, &[&str]) = match (&*key.kty, key.crv.as_deref()) {
            ("RSA", _) => (Algorithm::RS256, &["RS256"]),
            ("EC", Some("P-256")) => (Algorithm::ES256, &["ES256"]),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, &["EdDSA", "Ed25519"]),
            // A symmetric key in a public set is a mistake, and no secret any more.
            _ => return None,
        };
        if key.alg.as_deref().is_some_and(|alg| !names.contains(&alg)) {
            return None;
        }
        Some(Self {
            key: match algorithm {
                Algorithm::RS256 => rsa(&key)?,
                Algorithm::ES256 => {
                    let (x, y) = (key.x.as_deref()?, key.y.as_deref()?);
                    if [x, y].map(|coordinate| bytes(coordinate).map(|bytes| bytes.len()))
                        != [Some(32), Some(32)]
                    {
                        return None;
                    }
                    DecodingKey::from_ec_components(x, y).ok()?
                }
                _ => {
                    let x = key.x.as_deref()?;
                    bytes(x).filter(|point| point.len() == 32)?;
                    DecodingKey::from_ed_components(x).ok()?
                }
            },
            id: key.kid,
            algorithm,
        })
    }
}

fn rsa(key: &Parameters) -> Option<DecodingKey> {
    let n = bytes(key.n.as_deref()?)?;
    let e = bytes(key.e.as_deref()?)?;
    // Some issuers write a zero in front, which the check of a signature refuses.
    let without_zeros = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number[zeros..].to_vec()
    };
    let (n, e) = (without_zeros(&n), without_zeros(&e));
    let is_usable = (256..=1024).contains(&n.len()) && (1..=8).contains(&e.len());
    is_usable.then(|| DecodingKey::from_rsa_raw_components(&n, &e))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::test_keys::{Signer, jwks};
    use super::*;

    fn read(keys: &[Value]) -> Result<KeySet, KeySetError> {
        KeySet::read(jwks(keys).as_bytes())
    }

    #[test]
    fn keys_that_are_not_for_tokens_are_left_out() {
        let good = Signer::ed25519(1).jwk("a");
        let with = |name: &str, value: Value| {
            let mut key = good.clone();
            key[name] = value;
            key
        };
        let others = [
            with("use", json!("enc")),
            with("key_ops", json!(["sign"])),
            with("alg", json!("RS256")),
            with("crv", json!("X25519")),
            with("kty", json!("new")),
            with("kty", json!(7)),
            with("x", json!("AAAA")),
            with("x", json!("no base64!")),
            json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ1Njc4"}),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
            json!("no object"),
        ];
        for other in &others {
            let alone = read(core::slice::from_ref(other)).err();
            assert_eq!(alone, Some(KeySetError::NoUsableKey), "{other}");
        }
        let all: Vec<Value> = others.iter().cloned().chain([good]).collect();
        assert_eq!(read(&all).unwrap().keys.len(), 1);
    }

    #[test]
    fn texts_that_are_no_key_set_are_refused() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>", r#"{"keys":[]"#, "\0"] {
            let error = KeySet::read(text.as_bytes()).err();
            assert_eq!(error, Some(KeySetError::NotAKeySet), "{text:?}");
        }
        let long = " ".repeat(MAX_KEY_SET + 1);
        assert_eq!(KeySet::read(long.as_bytes()).err(), Some(KeySetError::TooLong));
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused() {
        assert_eq!(
            KeySet::of_secret(&[7; 31]).err(),
            Some(KeySetError::ShortSecret(31))
        );
        assert_eq!(KeySet::of_secret(b"").err(), Some(KeySetError::ShortSecret(0)));
        assert!(KeySet::of_secret(&[7; 32]).is_ok());
    }

    #[test]
    fn no_more_keys_are_tried_than_the_limit() {
        let same: Vec<Value> = (0..5).map(|seed| Signer::ed25519(seed).jwk("a")).collect();
        let set = read(&same).unwrap();
        assert!(set.candidates(Some("a"), Algorithm::EdDSA).is_none());
        assert_eq!(set.candidates(Some("b"), Algorithm::EdDSA).unwrap().len(), 0);
        let set = read(&same[..4]).unwrap();
        assert_eq!(set.candidates(None, Algorithm::EdDSA).unwrap().len(), 4);
        assert_eq!(set.candidates(None, Algorithm::ES256).unwrap().len(), 0);
    }
}
