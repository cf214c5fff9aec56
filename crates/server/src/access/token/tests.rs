use core::time::Duration;
use std::time::UNIX_EPOCH;

use serde_json::json;

use super::*;
use crate::access::file::AccessFile;
use crate::access::test_keys::{Signer, jwks};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example/realms/app";

/// An issuer that accepts each algorithm of public keys.
fn issuer(algorithms: &str, source: &str) -> Issuer {
    let text = format!(
        "version = 1\n[[issuer]]\nissuer = {ISSUER:?}\naudience = [\"us\", \"others\"]\nalgorithms = {algorithms}\n\
         {source}\nroles_claim = \"realm_access.roles\"\n"
    );
    AccessFile::parse(&text).unwrap().issuers.remove(0)
}

fn public() -> Issuer {
    issuer(
        r#"["RS256", "ES256", "EdDSA"]"#,
        r#"jwks_url = "https://id.example/keys""#,
    )
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "us", "sub": "alice", "exp": NOW + 600, "iat": NOW - 1,
           "realm_access": {"roles": ["user", "editor"]}})
}

/// The claims with one replaced, or left out if the value is `null`.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let fields = claims.as_object_mut().unwrap();
    match value {
        Value::Null => drop(fields.remove(name)),
        value => drop(fields.insert(name.to_owned(), value)),
    }
    claims
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn check(token: &str, issuer: &Issuer, keys: &KeySet, now: u64) -> Result<Principal, TokenError> {
    verify(&UnverifiedToken::read(token)?, issuer, keys, at(now))
}

fn keys(of: &[(&Signer, &str)]) -> KeySet {
    let keys: Vec<Value> = of.iter().map(|(signer, id)| signer.jwk(id)).collect();
    KeySet::read(jwks(&keys).as_bytes()).unwrap()
}

#[test]
fn a_good_token_of_each_algorithm_names_its_principal() {
    for signer in [Signer::rsa(), Signer::ec(), Signer::ed25519(1)] {
        let set = keys(&[(&signer, "k")]);
        let principal = check(&signer.token("k", &claims()), &public(), &set, NOW).unwrap();
        assert_eq!((&*principal.issuer, &*principal.subject), (ISSUER, "alice"));
        assert_eq!(principal.roles, ["user", "editor"]);
        assert_eq!(principal.expires, at(NOW + 600));
    }
    let secret = Signer::Secret(vec![9; 32]);
    let set = KeySet::of_secret(&[9; 32]).unwrap();
    let issuer = issuer(r#"["HS256"]"#, r#"secret_file = "s""#);
    assert!(check(&secret.token("any", &claims()), &issuer, &set, NOW).is_ok());
    let other = Signer::Secret(vec![8; 32]);
    let refused = check(&other.token("any", &claims()), &issuer, &set, NOW);
    assert_eq!(refused.err(), Some(TokenError::Signature));
}

#[test]
fn each_bad_claim_is_refused_and_named() {
    use TokenError::{Audience, Claim, Expired, NotYetValid, Roles, UnknownIssuer};
    let deep = (0..200).fold(json!(1), |value, _| json!([value]));
    let long: String = "a".repeat(256);
    let roles = |roles: Value| json!({"roles": roles});
    let cases = [
        ("exp", json!(null), Claim("exp")),
        ("exp", json!("1900000000"), Claim("exp")),
        ("exp", json!([NOW + 600]), Claim("exp")),
        ("exp", json!(true), Claim("exp")),
        ("exp", json!(-1), Claim("exp")),
        ("exp", json!(1e300), Claim("exp")),
        ("exp", json!(u64::MAX), Claim("exp")),
        ("exp", json!(0), Expired),
        ("exp", json!(NOW - 31), Expired),
        ("nbf", json!("1"), Claim("nbf")),
        ("nbf", json!({}), Claim("nbf")),
        ("nbf", json!(-5), Claim("nbf")),
        ("nbf", json!(NOW + 31), NotYetValid),
        ("iat", json!("yesterday"), Claim("iat")),
        ("aud", json!(null), Claim("aud")),
        ("aud", json!(7), Claim("aud")),
        ("aud", json!({"us": 1}), Claim("aud")),
        ("aud", json!(["us", 7]), Claim("aud")),
        ("aud", json!([]), Audience),
        ("aud", json!("US"), Audience),
        ("aud", json!(["them"]), Audience),
        ("sub", json!(null), Claim("sub")),
        ("sub", json!(7), Claim("sub")),
        ("sub", json!(["alice"]), Claim("sub")),
        ("sub", json!(""), Claim("sub")),
        ("sub", json!("alice\0"), Claim("sub")),
        ("sub", json!(long), Claim("sub")),
        ("iss", json!(null), Claim("iss")),
        ("iss", json!([ISSUER]), Claim("iss")),
        ("iss", json!(7), Claim("iss")),
        ("iss", json!("https://id.example/realms/app/"), UnknownIssuer),
        ("realm_access", roles(json!(7)), Roles),
        ("realm_access", roles(json!(["user", 7])), Roles),
        ("realm_access", roles(json!({"user": true})), Roles),
        ("more", deep, TokenError::NotAToken),
    ];
    let signer = Signer::ed25519(1);
    let set = keys(&[(&signer, "k")]);
    for (name, value, error) in cases {
        let token = signer.token("k", &with(name, value.clone()));
        let refused = check(&token, &public(), &set, NOW);
        assert_eq!(refused.err(), Some(error), "{name}: {value}");
    }
}

#[test]
fn each_edge_of_a_claim_is_accepted() {
    let roles = |roles: Value| json!({"roles": roles});
    let cases = [
        ("exp", json!(NOW - 30), vec!["user", "editor"]),
        ("exp", json!(1_800_000_100.75), vec!["user", "editor"]),
        ("nbf", json!(NOW + 30), vec!["user", "editor"]),
        ("aud", json!(["them", "others"]), vec!["user", "editor"]),
        ("realm_access", roles(json!("user")), vec!["user"]),
        ("realm_access", roles(json!([])), vec![]),
        ("realm_access", roles(json!(null)), vec![]),
        ("realm_access", json!("user"), vec![]),
        ("realm_access", json!(null), vec![]),
    ];
    let signer = Signer::ed25519(1);
    let set = keys(&[(&signer, "k")]);
    for (name, value, roles) in cases {
        let token = signer.token("k", &with(name, value.clone()));
        let principal = check(&token, &public(), &set, NOW).unwrap();
        assert_eq!(principal.roles, roles, "{name}: {value}");
    }
}

#[test]
fn each_bad_header_is_refused() {
    use TokenError::{Algorithm, CriticalHeader, NotAToken, Signature, UnknownKey};
    let (signer, rsa) = (Signer::ed25519(1), Signer::rsa());
    let set = keys(&[(&signer, "k"), (&rsa, "r")]);
    let cases = [
        (r#"{"alg":"none","kid":"k"}"#, Algorithm),
        (r#"{"alg":"None"}"#, Algorithm),
        (r#"{"alg":"HS256","kid":"k"}"#, Algorithm),
        (r#"{"alg":"PS256","kid":"r"}"#, Algorithm),
        (r#"{"alg":["EdDSA"],"kid":"k"}"#, Algorithm),
        (r#"{"kid":"k"}"#, Algorithm),
        (r#"{"alg":"RS256","kid":"k"}"#, UnknownKey),
        (r#"{"alg":"RS256","kid":"r"}"#, Signature),
        (r#"{"alg":"EdDSA","kid":"r"}"#, UnknownKey),
        (r#"{"alg":"EdDSA","kid":"other"}"#, UnknownKey),
        (r#"{"alg":"EdDSA","kid":"k\u0000"}"#, UnknownKey),
        (r#"{"alg":"EdDSA","kid":7}"#, NotAToken),
        (r#"{"alg":"EdDSA","kid":"k","kid":"k"}"#, NotAToken),
        (r#"{"alg":"EdDSA","alg":"none","kid":"k"}"#, NotAToken),
        (
            r#"{"alg":"EdDSA","kid":"k","crit":["b64"],"b64":true}"#,
            CriticalHeader,
        ),
        (r#"{"alg":"EdDSA","kid":"k","crit":[]}"#, CriticalHeader),
        (r#"{"alg":"EdDSA","kid":"k","crit":null}"#, CriticalHeader),
        (r#"{"alg":"EdDSA","kid":"k","b64":false}"#, NotAToken),
        (r#"["EdDSA"]"#, NotAToken),
        ("{", NotAToken),
        ("", NotAToken),
        ("\0", NotAToken),
    ];
    for (header, error) in cases {
        let token = signer.sign(header, &claims().to_string());
        let refused = check(&token, &public(), &set, NOW);
        assert_eq!(refused.err(), Some(error), "{header}");
    }
}

#[test]
fn a_key_in_the_header_has_no_effect() {
    let (ours, theirs) = (Signer::ed25519(1), Signer::ed25519(2));
    let set = keys(&[(&ours, "k")]);
    let header = |signer: &Signer| {
        let jwk = signer.jwk("k");
        json!({"alg": "EdDSA", "kid": "k", "jwk": jwk, "jku": "https://evil.example/keys",
               "x5u": "https://evil.example/chain", "x5c": ["AAAA"]})
        .to_string()
    };
    let forged = theirs.sign(&header(&theirs), &claims().to_string());
    let refused = check(&forged, &public(), &set, NOW);
    assert_eq!(refused.err(), Some(TokenError::Signature));
    let good = ours.sign(&header(&theirs), &claims().to_string());
    assert!(check(&good, &public(), &set, NOW).is_ok());
}

#[test]
fn a_public_key_is_no_secret() {
    for signer in [Signer::rsa(), Signer::ec(), Signer::ed25519(1)] {
        let set = keys(&[(&signer, "k")]);
        let public_text = signer.jwk("k").to_string().into_bytes();
        for secret in [signer.public(), public_text, Vec::new()] {
            let token = Signer::Secret(secret).token("k", &claims());
            let refused = check(&token, &public(), &set, NOW);
            assert_eq!(refused.err(), Some(TokenError::Algorithm));
        }
    }
}

#[test]
fn an_algorithm_that_the_file_does_not_name_is_refused() {
    let signer = Signer::ec();
    let set = keys(&[(&signer, "k")]);
    let only_rsa = issuer(r#"["RS256"]"#, r#"jwks_file = "keys.json""#);
    let refused = check(&signer.token("k", &claims()), &only_rsa, &set, NOW);
    assert_eq!(refused.err(), Some(TokenError::Algorithm));
}

#[test]
fn of_two_keys_with_one_id_each_is_tried() {
    let (old, new, other) = (Signer::ed25519(1), Signer::ed25519(2), Signer::ed25519(3));
    let set = keys(&[(&old, "k"), (&new, "k")]);
    for signer in [&old, &new] {
        assert!(check(&signer.token("k", &claims()), &public(), &set, NOW).is_ok());
        let without_id = signer.sign(r#"{"alg":"EdDSA"}"#, &claims().to_string());
        assert!(check(&without_id, &public(), &set, NOW).is_ok());
    }
    let refused = check(&other.token("k", &claims()), &public(), &set, NOW);
    assert_eq!(refused.err(), Some(TokenError::Signature));
}

#[test]
fn texts_that_are_no_tokens_are_refused() {
    use TokenError::{NotAToken, TooLong};
    let signer = Signer::ed25519(1);
    let set = keys(&[(&signer, "k")]);
    let good = signer.token("k", &claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let sign = |claims: &str| signer.sign(r#"{"alg":"EdDSA","kid":"k"}"#, claims);
    let repeated = claims().to_string().replacen('{', r#"{"sub":"bob","#, 1);
    let deep = format!(
        r#"{{"iss":{ISSUER:?},"a":{}{}}}"#,
        "[".repeat(1_000),
        "]".repeat(1_000)
    );
    let cases = [
        (String::new(), NotAToken),
        ("\0".to_owned(), NotAToken),
        ("..".to_owned(), NotAToken),
        (signed.to_owned(), NotAToken),
        (format!("{good}.{signature}"), NotAToken),
        (format!("{good}="), NotAToken),
        (format!("{good}\n"), NotAToken),
        (good.replacen('.', "+.", 1), NotAToken),
        (format!("{signed}."), TokenError::Signature),
        (format!("{signed}.AAAA"), TokenError::Signature),
        (sign("no JSON"), NotAToken),
        (sign("[]"), NotAToken),
        (sign("\0"), NotAToken),
        (sign(&repeated), NotAToken),
        (sign(&deep), NotAToken),
        ("a".repeat(8 * 1024 + 1), TooLong),
        ("a.".repeat(4 * 1024), NotAToken),
    ];
    for (token, error) in cases {
        let refused = check(&token, &public(), &set, NOW);
        assert_eq!(refused.err(), Some(error), "{token:.80}");
    }
    let padded = with("more", json!("x".repeat(5_500)));
    let long = signer.token("k", &padded);
    assert!((7_000..=8_192).contains(&long.len()), "{}", long.len());
    assert!(check(&long, &public(), &set, NOW).is_ok());
}

#[test]
fn each_altered_character_breaks_a_token() {
    let signer = Signer::ed25519(1);
    let set = keys(&[(&signer, "k")]);
    let good = signer.token("k", &claims());
    for at in 0..good.len() {
        let mut altered = good.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(
            check(&altered, &public(), &set, NOW).is_err(),
            "character {at} of {good}"
        );
    }
}

#[test]
fn roles_may_stand_below_a_name_with_dots() {
    let mut issuer = public();
    issuer.roles_claim = vec!["https://app.example/roles".to_owned()];
    let signer = Signer::ed25519(1);
    let set = keys(&[(&signer, "k")]);
    let token = signer.token("k", &with("https://app.example/roles", json!(["admin"])));
    assert_eq!(check(&token, &issuer, &set, NOW).unwrap().roles, ["admin"]);
}

#[test]
fn no_text_of_a_token_is_shown() {
    let signer = Signer::ed25519(1);
    let set = keys(&[(&signer, "k")]);
    let token = signer.token("k", &claims());
    let principal = check(&token, &public(), &set, NOW).unwrap();
    let shown = format!("{principal:?} {set:?}");
    for part in token.split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
    let UnverifiedToken { key_id, .. } = UnverifiedToken::read(&token).unwrap();
    assert_eq!(key_id.as_deref(), Some("k"));
}
