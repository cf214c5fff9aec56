//! Certificates that are made here, in files as an operator has them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::pki_types::ServerName;
use tempfile::TempDir;

use super::certificate::{Certificate, Checked};
use super::pair::{Pair, Validity};
use super::{TlsError, TlsFiles};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory with the two files.
struct Files {
    directory: TempDir,
    files: TlsFiles,
}

/// A certificate for `db1.example` and its key, as text.
struct Made {
    certificate: String,
    key: String,
}

impl Made {
    fn until(end: SystemTime) -> Self {
        Self::with(end, &KeyPair::generate().unwrap())
    }

    fn with(end: SystemTime, key: &KeyPair) -> Self {
        let names = ["db1.example".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = (end - 90 * DAY).into();
        params.not_after = end.into();
        Self {
            certificate: params.self_signed(key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Files {
    fn new(made: &Made) -> Self {
        let directory = TempDir::new().unwrap();
        let files = TlsFiles {
            certificate: directory.path().join("cert.pem"),
            key: directory.path().join("key.pem"),
        };
        let files = Self { directory, files };
        files.write(&made.certificate, &made.key);
        files
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.files.certificate, certificate).unwrap();
        fs::write(&self.files.key, key).unwrap();
        fs::set_permissions(&self.files.key, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn pair(&self) -> Result<Pair, TlsError> {
        Pair::new(&self.files, &self.files.read()?)
    }
}

fn in_60_days() -> SystemTime {
    SystemTime::now() + 60 * DAY
}

#[test]
fn every_usual_kind_of_key_is_read() {
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let files = Files::new(&Made::with(in_60_days(), &key));
        files.pair().unwrap();
    }
    // The forms that OpenSSL writes: SEC1 (EC) and PKCS#1 (RSA).
    for name in ["ec-sec1", "rsa-pkcs1"] {
        let read = |kind: &str| {
            let path = format!(
                "{}/src/tls/testdata/{name}.{kind}.pem",
                env!("CARGO_MANIFEST_DIR")
            );
            fs::read_to_string(path).unwrap()
        };
        let files = Files::new(&Made {
            certificate: read("cert"),
            key: read("key"),
        });
        files.pair().unwrap();
    }
}

#[test]
fn an_error_names_the_file_and_the_next_step_and_no_key() {
    let good = Made::until(in_60_days());
    let other = Made::until(in_60_days());
    let chain_in_wrong_order = [&*other.certificate, &*good.certificate].concat();
    let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let secret = good.key.lines().nth(1).unwrap().to_owned();
    let damaged_key = good.key.replacen("MIG", "AAA", 1);
    let damaged_certificate = good.certificate.replacen("MII", "AAA", 1);
    let cut = &good.certificate[..good.certificate.len() / 2];
    let cut_key = &good.key[..good.key.len() / 2];
    let long = "x".repeat(300_000);
    for (certificate, key, says) in [
        (
            "",
            &*good.key,
            vec!["cert.pem", "no certificate in PEM", "BEGIN CERTIFICATE"],
        ),
        (&*good.key, &*good.key, vec!["cert.pem", "no certificate"]),
        (
            cut,
            &*good.key,
            vec!["cert.pem", "certificate 1 cannot be read", "authority"],
        ),
        (
            &*damaged_certificate,
            &*good.key,
            vec!["cert.pem", "certificate 1", "authority"],
        ),
        (&*long, &*good.key, vec!["--tls-cert", "longer than 262144 bytes"]),
        (
            &*good.certificate,
            "",
            vec!["key.pem", "no private key in PEM", "BEGIN PRIVATE KEY"],
        ),
        (
            &*good.certificate,
            &*good.certificate,
            vec!["key.pem", "no private key"],
        ),
        (&*good.certificate, cut_key, vec!["key.pem", "no private key"]),
        (
            &*good.certificate,
            &*encrypted,
            vec!["key.pem", "passphrase", "openssl pkey"],
        ),
        (
            &*good.certificate,
            &*damaged_key,
            vec!["key.pem", "cannot be used", "ECDSA"],
        ),
        (
            &*good.certificate,
            &*other.key,
            vec!["key.pem", "does not belong", "cert.pem"],
        ),
        (
            &*chain_in_wrong_order,
            &*good.key,
            vec!["does not belong", "must be the first"],
        ),
    ] {
        let files = Files::new(&good);
        files.write(certificate, key);
        let error = files.pair().unwrap_err().to_string();
        for word in says {
            assert!(error.contains(word), "{word:?} is not in {error}");
        }
        assert!(!error.contains(&secret), "{error}");
    }
    let files = Files::new(&good);
    let path = files.directory.path().to_owned();
    let missing = TlsFiles {
        key: path.join("none"),
        ..files.files.clone()
    };
    let error = missing.read().err().unwrap().to_string();
    assert!(
        error.contains("--tls-key") && error.contains("existing file"),
        "{error}"
    );
    let directory = TlsFiles {
        certificate: path,
        ..files.files.clone()
    };
    let error = directory.read().err().unwrap().to_string();
    assert!(
        error.contains("--tls-cert") && error.contains("name the file in it"),
        "{error}"
    );
}

#[test]
fn a_key_that_every_user_can_read_is_noticed() {
    let files = Files::new(&Made::until(in_60_days()));
    for (mode, is_public) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(&files.files.key, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(files.files.read().unwrap().is_key_public, is_public, "{mode:o}");
    }
}

#[test]
fn the_certificate_has_its_names_only() {
    let pair = Files::new(&Made::until(in_60_days())).pair().unwrap();
    let names = |host: &'static str| pair.names(&ServerName::try_from(host).unwrap());
    assert!(names("db1.example") && names("DB1.example") && names("127.0.0.1"));
    assert!(!names("db2.example") && !names("127.0.0.2") && !names("example"));
}

#[test]
fn the_operator_is_warned_from_14_days_before_the_end() {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let pair = Files::new(&Made::until(end)).pair().unwrap();
    assert_eq!(pair.not_after(), end);
    assert_eq!(pair.end(), "2027-01-15T08:00:00Z");
    let second = Duration::from_secs(1);
    for (now, expected) in [
        (end - 90 * DAY - second, Validity::NotYet),
        (end - 90 * DAY, Validity::Valid),
        (end - 14 * DAY, Validity::Valid),
        (end - 14 * DAY + second, Validity::EndsSoon { days: 13 }),
        (end, Validity::EndsSoon { days: 0 }),
        (end + second, Validity::Ended),
    ] {
        assert_eq!(pair.validity_at(now), expected);
    }
}

fn loaded(files: &Files) -> Arc<Certificate> {
    Arc::new(Certificate::load(files.files.clone()).unwrap())
}

#[test]
fn a_good_new_pair_replaces_the_pair_in_use() {
    let files = Files::new(&Made::until(in_60_days()));
    let certificate = loaded(&files);
    let first = certificate.current().digest;
    let now = SystemTime::now();
    assert_eq!(certificate.check(now, false), Checked::Unchanged);
    let renewed = Made::until(in_60_days() + 30 * DAY);
    files.write(&renewed.certificate, &renewed.key);
    assert_eq!(certificate.check(now, false), Checked::Replaced);
    assert_eq!(certificate.check(now, false), Checked::Unchanged);
    assert_ne!(certificate.current().digest, first);
    assert!(certificate.current().not_after() > in_60_days() + 29 * DAY);
}

#[test]
fn a_bad_new_pair_is_reported_once_and_never_used() {
    let good = Made::until(in_60_days());
    let files = Files::new(&good);
    let certificate = loaded(&files);
    let first = certificate.current().digest;
    let now = SystemTime::now();
    let renewed = Made::until(in_60_days());
    // The renewal has written the certificate, but not yet the key.
    files.write(&renewed.certificate, &good.key);
    assert_eq!(certificate.check(now, false), Checked::Kept { is_new: false });
    assert_eq!(certificate.status().error, None);
    // The next check finds the same, so it is no renewal in progress.
    assert_eq!(certificate.check(now, false), Checked::Kept { is_new: true });
    assert_eq!(certificate.check(now, false), Checked::Kept { is_new: false });
    let error = certificate.status().error.unwrap();
    assert!(error.contains("does not belong"), "{error}");
    fs::remove_file(&files.files.key).unwrap();
    assert_eq!(certificate.check(now, false), Checked::Kept { is_new: false });
    assert_eq!(certificate.check(now, false), Checked::Kept { is_new: true });
    assert_eq!(certificate.current().digest, first);
    // An operator who asks receives an answer at once.
    files.write("nothing", &good.key);
    assert_eq!(certificate.check(now, true), Checked::Kept { is_new: true });
    files.write(&good.certificate, &good.key);
    assert_eq!(certificate.check(now, false), Checked::Unchanged);
    assert_eq!(certificate.status().error, None);
}

#[test]
fn an_ended_certificate_does_not_replace_a_valid_one() {
    let now = SystemTime::now();
    let good = Made::until(now + 60 * DAY);
    let ended = Made::until(now - DAY);
    let early = Made::until(now + 100 * DAY);
    let files = Files::new(&good);
    let certificate = loaded(&files);
    let first = certificate.current().digest;
    for (made, at) in [(&ended, now), (&early, now)] {
        files.write(&made.certificate, &made.key);
        assert_eq!(certificate.check(at, true), Checked::Kept { is_new: true });
        let error = certificate.status().error.unwrap();
        assert!(
            error.contains("is valid from") && error.contains("renew it"),
            "{error}"
        );
        assert_eq!(certificate.current().digest, first);
    }
    // It is used from the moment at which it is valid.
    assert_eq!(certificate.check(now + 11 * DAY, false), Checked::Replaced);
    // If clients refuse the certificate in use, a second bad one does no harm.
    let much_later = now + 200 * DAY;
    files.write(&ended.certificate, &ended.key);
    assert_eq!(certificate.check(much_later, false), Checked::Replaced);
}
