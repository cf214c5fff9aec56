//! The signatures of tokens, checked with `ring`. The TLS connections of this program use it, too.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// Lets `jsonwebtoken` check signatures. A program that embeds the server may have installed a
/// provider of its own; that one then stays.
pub(super) fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: no_signer,
        verifier_factory: verifier,
        // A server reads public keys only from their components, and needs none of these.
        key_utils: KeyUtils {
            rsa_pub_components_from_private_key: |_| Err(unsupported()),
            rsa_pub_components_from_public_key: |_| Err(unsupported()),
            ec_pub_components_from_private_key: |_, _| Err(unsupported()),
            ed_pub_components_from_private_key: |_, _| Err(unsupported()),
            compute_digest: |_, _| Err(unsupported()),
        },
    };
    if CryptoProvider::try_get_default().is_none() {
        // Another thread may have installed it in the meantime.
        let _ = PROVIDER.install_default();
    }
}

fn unsupported() -> jsonwebtoken::errors::Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

/// A server signs no tokens.
fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(unsupported())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    let check = match (algorithm, key.kind()) {
        (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Check::Rsa(RsaPublicKeyComponents {
                n: n.clone(),
                e: e.clone(),
            })
        }
        (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
            Check::Public(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.clone()))
        }
        (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => {
            Check::Public(UnparsedPublicKey::new(&ED25519, point.clone()))
        }
        (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
            Check::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret))
        }
        _ => return Err(unsupported()),
    };
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        check,
    }))
}

struct RingVerifier {
    algorithm: Algorithm,
    check: Check,
}

enum Check {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Public(UnparsedPublicKey<Vec<u8>>),
    Secret(hmac::Key),
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> core::result::Result<(), signature::Error> {
        let verified = match &self.check {
            Check::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Check::Public(key) => key.verify(message, signature),
            Check::Secret(key) => hmac::verify(key, message, signature),
        };
        verified.map_err(|_| signature::Error::new())
    }
}
