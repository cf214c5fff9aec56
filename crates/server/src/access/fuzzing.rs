//! Properties that hold for every token and every access file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::file::{AccessFile, Issuer, KeySource};
use super::key_set::KeySet;
use super::test_keys::{Signer, jwks};
use super::token::{UnverifiedToken, verify};

const NOW: u64 = 1_800_000_000;
const SECRET: [u8; 32] = [9; 32];

/// Checks the decision on one token. The first line is the header, and the other lines are the
/// claims. A key of the issuer signs both. The same bytes are also read as a whole token, which has
/// a good signature for no input.
pub fn token(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let public = Signer::ed25519(1);
    let file = AccessFile::parse(
        "version = 1\n\
         [[issuer]]\nissuer = \"a\"\naudience = [\"x\"]\nalgorithms = [\"HS256\"]\nsecret_file = \"s\"\nroles_claim = \"r.s\"\n\
         [[issuer]]\nissuer = \"b\"\naudience = [\"x\"]\nalgorithms = [\"EdDSA\"]\njwks_file = \"f\"\nroles_claim = \"r\"\n",
    );
    let issuers = file.unwrap_or_else(|error| panic!("{error}")).issuers;
    let [with_secret, with_set] = &issuers[..] else {
        panic!("{issuers:?}");
    };
    let secret = KeySet::of_secret(&SECRET).unwrap_or_else(|error| panic!("{error}"));
    let set = jwks(&[public.jwk("k")]);
    let set = KeySet::read(set.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let verified = |token: &str, issuer: &Issuer, keys: &KeySet| {
        let read = UnverifiedToken::read(token).ok()?;
        verify(&read, issuer, keys, now()).ok()
    };
    assert!(
        verified(text, with_secret, &secret).is_none(),
        "no key has signed it"
    );
    assert!(verified(text, with_set, &set).is_none(), "no key has signed it");
    let (header, claims) = text.split_once('\n').unwrap_or((text, ""));
    let signers = [
        (with_secret, &secret, Signer::Secret(SECRET.to_vec())),
        (with_set, &set, public),
    ];
    for (issuer, keys, signer) in signers {
        let signed = signer.sign(header, claims);
        let Some(principal) = verified(&signed, issuer, keys) else {
            continue;
        };
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let (header, claims) = (read(header), read(claims));
        assert!(signed.len() <= 8 * 1024);
        assert_eq!(header["alg"], signer.algorithm());
        assert!(header.get("crit").is_none());
        assert_eq!(claims["iss"], *issuer.name);
        assert_eq!(principal.issuer, issuer.name);
        assert_eq!(claims["sub"], *principal.subject);
        assert!(!principal.subject.is_empty());
        let is_for_us = match &claims["aud"] {
            Value::Array(all) => all.iter().any(|one| one == "x"),
            one => one == "x",
        };
        assert!(is_for_us, "{claims}");
        assert!(claims["exp"].as_f64().is_some_and(|end| end + 31.0 > NOW as f64));
        let begin = claims.get("nbf").map_or(Some(0.0), Value::as_f64);
        assert!(begin.is_some_and(|begin| begin < NOW as f64 + 31.0), "{claims}");
        for part in signed.split('.').filter(|part| part.len() > 40) {
            assert!(!format!("{principal:?}").contains(part), "{principal:?}");
        }
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Checks the reading of one access file.
pub fn access_file(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match AccessFile::parse(text) {
        Ok(file) => {
            assert!(file.version > 0);
            for issuer in &file.issuers {
                assert!(!issuer.name.is_empty() && issuer.name != "bellwether-api-key");
                if let KeySource::Url(url) = &issuer.source {
                    let host = url.host_str().unwrap_or_default();
                    let is_near = host == "localhost" || host == "[::1]" || host.starts_with("127.");
                    assert!(url.scheme() == "https" || is_near, "{url}");
                }
            }
            assert!(file.api_key("bwk_", now()).is_err());
        }
        Err(error) => {
            assert!(
                error.line >= 1 && error.line <= 1 + text.matches('\n').count(),
                "{error}"
            );
            let shown = error.to_string();
            assert!(!shown.contains('\n') && !error.remedy.is_empty(), "{shown:?}");
        }
    }
}
