use core::time::Duration;
use std::time::UNIX_EPOCH;

use super::*;
use crate::access::api_key::NewApiKey;

const GOOD: &str = r#"version = 4

[[issuer]]
issuer = "https://id.example/realms/app"
audience = ["bellwether-prod"]
jwks_url = "https://id.example/keys"
algorithms = ["RS256", "ES256", "RS256"]
roles_claim = "realm_access.roles"

[[issuer]]
issuer = "tests"
audience = ["a", "b"]
secret_file = "secret"
algorithms = ["HS256"]
roles_claim = ["https://app.example/roles"]

[[key]]
name = "backup"
sha256 = "9F86D081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
roles = ["reader"]
expires = 2027-01-31T12:00:00+02:00

[[key]]
name = "backup"
sha256 = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"
expires = 2027-01-31
"#;

#[test]
fn a_good_file_is_read() {
    let file = AccessFile::parse(GOOD).unwrap();
    assert_eq!(file.version, 4);
    let [first, second] = &file.issuers[..] else {
        panic!("{file:?}");
    };
    assert_eq!(first.algorithms, [Algorithm::RS256, Algorithm::ES256]);
    assert_eq!(first.roles_claim, ["realm_access", "roles"]);
    assert!(matches!(&first.source, KeySource::Url(url) if url.path() == "/keys"));
    assert_eq!(second.source, KeySource::Secret("secret".into()));
    assert_eq!(second.roles_claim, ["https://app.example/roles"]);
    // SHA-256 of `test`. A credential with another beginning is no API key, but has a hash, too.
    let noon = UNIX_EPOCH + Duration::from_secs(1_801_389_600);
    let principal = file.api_key("test", noon).unwrap();
    assert_eq!((&*principal.subject, principal.expires), ("backup", noon));
    assert_eq!(file.api_key("test", noon).unwrap().roles, ["reader"]);
}

#[test]
fn each_mistake_is_named_with_its_line_and_its_correction() {
    let key = NewApiKey::random();
    let digest = "9F86D081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let second = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
    let url = r#"jwks_url = "https://id.example/keys""#;
    // The text to replace, its replacement, the line of the error, and a part of the error.
    let cases = [
        ("version = 4", "version = 0", 1, "version is 0; give an integer"),
        ("version = 4", "version = -4", 1, "version is -4"),
        ("version = 4", "version = \"4\"", 1, "invalid type: string \"4\""),
        ("version = 4", "", 1, "missing field `version`"),
        (
            "version = 4",
            "version = 4\nrules = 1",
            2,
            "unknown field `rules`",
        ),
        ("version = 4", "version = 4\nversion = 4", 2, "duplicate key"),
        ("version = 4", "version = ", 1, "; docs/access.md"),
        (
            "roles_claim = \"",
            "role_claim = \"",
            8,
            "unknown field `role_claim`",
        ),
        ("[\"bellwether-prod\"]", "[]", 5, "audience is empty"),
        (
            "[\"bellwether-prod\"]",
            "[\"a\\u0000\"]",
            5,
            "audience is \"a\\0\"",
        ),
        (
            "audience = [\"bellwether-prod\"]",
            "",
            3,
            "missing field `audience`",
        ),
        (url, "", 4, "has no keys; give exactly one"),
        (url, "jwks_url = \"\"", 6, "jwks_url is \"\""),
        (
            url,
            "jwks_url = \"https://a/b\"\njwks_file = \"f\"",
            7,
            "jwks_url and also jwks_file = \"f\"",
        ),
        (
            url,
            "jwks_url = \"http://id.example/keys\"",
            6,
            "give an https URL",
        ),
        (
            url,
            "jwks_url = \"http://127.0.0.1.example/\"",
            6,
            "give an https URL",
        ),
        (
            url,
            "jwks_url = \"ftp://localhost/\"",
            6,
            "jwks_url is \"ftp://localhost/\"",
        ),
        (url, "jwks_url = \"keys.json\"", 6, "jwks_url is \"keys.json\""),
        (
            url,
            "jwks_url = \"https://u:hunter2@id.example/\"",
            6,
            "without a user name",
        ),
        (
            url,
            "secret_file = \"s\"",
            7,
            "RS256 together with secret_file; a secret_file is for HS256",
        ),
        (
            "\"ES256\", ",
            "\"HS256\", ",
            7,
            "HS256 together with jwks_url; HS256 needs a secret_file",
        ),
        ("\"ES256\", ", "\"none\", ", 7, "algorithms is \"none\""),
        ("\"ES256\", ", "\"RS512\", ", 7, "algorithms is \"RS512\""),
        ("[\"HS256\"]", "[]", 14, "algorithms is empty"),
        (
            "\"realm_access.roles\"",
            "\"realm_access..roles\"",
            8,
            "roles_claim is",
        ),
        ("\"realm_access.roles\"", "7", 8, "did not match any variant"),
        (
            "\"tests\"",
            "\"https://id.example/realms/app\"",
            11,
            "a second [[issuer]]",
        ),
        (
            "\"tests\"",
            "\"bellwether-api-key\"",
            11,
            "this name stands for API keys",
        ),
        ("\"tests\"", "\"\"", 11, "issuer is \"\""),
        ("[\"reader\"]", "[\"\"]", 20, "roles is \"\""),
        (digest, "9f86", 19, "sha256 has 4 characters"),
        (digest, second, 25, "a second [[key]] has the same sha256"),
        (digest, key.key(), 19, "sha256 holds an API key itself"),
        (
            "2027-01-31T12:00:00+02:00",
            "2027-01-31T12:00:00",
            21,
            "expires is 2027-01-31T12:00:00;",
        ),
        ("2027-01-31T12:00:00+02:00", "12:00:00", 21, "expires is 12:00:00"),
        ("expires = 2027-01-31\n", "", 23, "missing field `expires`"),
    ];
    for (from, to, line, part) in cases {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let error = AccessFile::parse(&text).unwrap_err();
        assert_eq!(error.line, line, "{to}: {error}");
        let shown = error.to_string();
        assert!(shown.contains(part), "{to}: {shown}");
        assert!(
            !shown.contains(&key.key()[4..]) && !shown.contains("hunter2") && !shown.contains('\n'),
            "{shown}"
        );
    }
}

#[test]
fn keys_may_come_over_http_from_this_machine_only() {
    for url in ["http://127.0.0.1:8080/k", "http://[::1]/k", "http://localhost/k"] {
        let text = GOOD.replacen("https://id.example/keys", url, 1);
        assert!(AccessFile::parse(&text).is_ok(), "{url}");
    }
}

#[test]
fn a_file_without_identities_or_of_any_length_is_refused() {
    let error = AccessFile::parse("version = 1\n").unwrap_err();
    assert!(
        error.to_string().contains("no client could authenticate"),
        "{error}"
    );
    let error = AccessFile::parse(&"#".repeat(MAX_ACCESS_FILE + 1)).unwrap_err();
    assert!(error.to_string().contains("longer than 256 KiB"), "{error}");
    let deep = format!("version = {}1", "[".repeat(100_000));
    AccessFile::parse(&deep).unwrap_err();
}
