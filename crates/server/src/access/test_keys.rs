//! Keys of issuers in tests. They sign tokens with `ring`, and share no code with the check.

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

/// The key of an issuer.
pub(crate) enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Signer {
    /// Returns a fixed key, which is public and protects nothing.
    pub(crate) fn rsa() -> Self {
        let key = include_bytes!("test_keys/rsa_2048.pk8");
        Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(key).unwrap()))
    }

    /// Returns a new key.
    pub(crate) fn ec() -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
    }

    pub(crate) fn ed25519(seed: u8) -> Self {
        Self::Ed(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    /// Returns the algorithm's name.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
            Self::Secret(_) => "HS256",
        }
    }

    /// Returns a token with this header and these claims, which need not be JSON.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
        let signed = format!("{header}.{claims}");
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    /// Returns a token with these claims and this key id.
    pub(crate) fn token(&self, key_id: &str, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": self.algorithm(), "kid": key_id});
        self.sign(&header.to_string(), &claims.to_string())
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
            Self::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
        }
    }

    /// Returns the public bytes of the key, as an attacker could use them for HS256.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public_key().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
            Self::Ed(key) => key.public_key().as_ref().to_vec(),
            Self::Secret(_) => Vec::new(),
        }
    }

    /// Returns the key as an issuer publishes it. A secret is none that an issuer publishes.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let public = self.public();
        match self {
            Self::Rsa(key) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": text(&n), "e": text(&e)})
            }
            Self::Ec(_) => json!({"kty": "EC", "kid": id, "crv": "P-256",
                                  "x": text(&public[1..33]), "y": text(&public[33..])}),
            Self::Ed(_) => json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": text(&public)}),
            Self::Secret(secret) => json!({"kty": "oct", "kid": id, "k": text(secret)}),
        }
    }
}

/// Returns the key set with these keys.
pub(crate) fn jwks(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}
