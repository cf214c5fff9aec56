//! The answer to one token or API key, under the newest valid access file.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::task::spawn_blocking;
use tokio::time::{Duration, MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::api_key::{self, ApiKeyHash};
use super::file::{Issuer, KeySource};
use super::keys::{IssuerKeys, PublishedKeys};
use super::load::{self, AccessError, Loaded};
use super::principal::Principal;
use super::token::{TokenError, UnverifiedToken, verify};

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// An identity that a client has proven.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) principal: Principal,
    /// The hash of the API key, if the client has sent one and no token.
    api_key: Option<ApiKeyHash>,
}

/// Authenticates clients. Reads the access file, and the files that it names, again when their
/// content changes.
pub(crate) struct Authenticator {
    path: PathBuf,
    current: Mutex<Arc<Current>>,
}

/// The newest valid access file, with the keys of its issuers in the same order.
struct Current {
    loaded: Loaded,
    keys: Vec<IssuerKeys>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("path", &self.path)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Reads the access file and the files that it names. Fetches no keys.
    ///
    /// # Errors
    /// [`AccessError`] if one of the files cannot be used.
    pub(crate) fn open(path: &Path) -> Result<Self, AccessError> {
        let current = Current::new(load::load(path)?, None);
        Ok(Self {
            path: path.to_owned(),
            current: Mutex::new(Arc::new(current)),
        })
    }

    /// Returns the version of the access file that counts now.
    pub(crate) fn version(&self) -> u64 {
        self.current().loaded.file.version
    }

    /// Authenticates the client that has sent this token or API key. May wait for the keys of the
    /// issuer: at most 5 s for each of two fetches.
    ///
    /// # Errors
    /// [`TokenError`] if the credential proves nothing.
    pub(crate) async fn authenticate(
        &self,
        credential: &str,
        now: SystemTime,
    ) -> Result<Identity, TokenError> {
        let current = self.current();
        if api_key::is_api_key(credential) {
            return Ok(Identity {
                principal: current.loaded.file.api_key(credential, now)?,
                api_key: Some(ApiKeyHash::of(credential)),
            });
        }
        let token = UnverifiedToken::read(credential)?;
        let (issuer, keys) = current.issuer(token.issuer()).ok_or(TokenError::UnknownIssuer)?;
        let set = keys.current().await.ok_or(TokenError::KeysUnavailable)?;
        let principal = match verify(&token, issuer, &set, now) {
            Err(TokenError::UnknownKey) => match keys.newer(&set).await {
                Some(newer) => verify(&token, issuer, &newer, now)?,
                None => return Err(TokenError::UnknownKey),
            },
            verified => verified?,
        };
        Ok(Identity {
            principal,
            api_key: None,
        })
    }

    /// Checks that an identity that a client has proven earlier still counts.
    ///
    /// # Errors
    /// [`TokenError`] if it has expired, or if the access file no longer has its issuer or its key.
    pub(crate) fn still_counts(&self, identity: &Identity, now: SystemTime) -> Result<(), TokenError> {
        let current = self.current();
        let (is_known, unknown, expired) = match &identity.api_key {
            Some(hash) => (
                current.loaded.file.has_api_key(hash),
                TokenError::UnknownApiKey,
                TokenError::ApiKeyExpired,
            ),
            None => (
                current.issuer(&identity.principal.issuer).is_some(),
                TokenError::UnknownIssuer,
                TokenError::Expired,
            ),
        };
        if !is_known {
            Err(unknown)
        } else if identity.principal.is_expired(now) {
            Err(expired)
        } else {
            Ok(())
        }
    }

    /// Fetches the keys of the issuers when they are old, and reads changed files. Never returns.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = None;
        loop {
            look.tick().await;
            let path = self.path.clone();
            let loaded = spawn_blocking(move || load::load(&path)).await;
            if let Ok(loaded) = loaded {
                let refused = self.replace(loaded).err().map(|error| error.to_string());
                if refused != said
                    && let Some(error) = &refused
                {
                    error!(
                        error,
                        "cannot use the changed access file: the last good one still counts"
                    );
                }
                said = refused;
            }
            for keys in &self.current().keys {
                if let IssuerKeys::Published(published) = keys {
                    let published = Arc::clone(published);
                    // One issuer that does not answer must not delay the others.
                    tokio::spawn(async move { published.current().await });
                }
            }
        }
    }

    /// Lets newly read files count, if they differ from those that count now.
    fn replace(&self, loaded: Result<Loaded, AccessError>) -> Result<(), AccessError> {
        let loaded = loaded?;
        let before = self.current();
        if loaded.has_same_content(&before.loaded) {
            return Ok(());
        }
        let (version, earlier) = (loaded.file.version, before.loaded.file.version);
        let current = Arc::new(Current::new(loaded, Some(&before)));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
        if version < earlier {
            warn!(
                version,
                earlier, "the access file has changed to an earlier version"
            );
        } else {
            info!(version, "the access file has changed");
        }
        Ok(())
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Current {
    /// Gives each issuer its keys. A set that was fetched from the same URL stays.
    fn new(loaded: Loaded, before: Option<&Self>) -> Self {
        let known = |url| {
            let keys = before.into_iter().flat_map(|before| &before.keys);
            let mut published = keys.filter_map(|keys| match keys {
                IssuerKeys::Published(published) => Some(published),
                IssuerKeys::Fixed(_) => None,
            });
            published.find(|published| published.url() == url).cloned()
        };
        let issuers = loaded.file.issuers.iter().zip(&loaded.fixed);
        let keys = issuers.map(|(issuer, fixed)| match (&issuer.source, fixed) {
            (KeySource::Url(url), _) => {
                IssuerKeys::Published(known(url).unwrap_or_else(|| PublishedKeys::new(url.clone())))
            }
            (_, keys) => IssuerKeys::Fixed(Arc::clone(keys)),
        });
        Self {
            keys: keys.collect(),
            loaded,
        }
    }

    fn issuer(&self, name: &str) -> Option<(&Issuer, &IssuerKeys)> {
        let mut issuers = self.loaded.file.issuers.iter().zip(&self.keys);
        issuers.find(|(issuer, _)| issuer.name == name)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::fs;
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::super::api_key::NewApiKey;
    use super::super::test_keys::{Signer, jwks};
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn token(signer: &Signer, issuer: &str) -> String {
        let claims = json!({"iss": issuer, "aud": "us", "sub": "alice", "exp": NOW + 600});
        signer.token("k", &claims)
    }

    fn file(version: u64, key: &NewApiKey) -> String {
        let digest = key.sha256();
        format!(
            "version = {version}\n\
             [[issuer]]\nissuer = \"public\"\naudience = [\"us\"]\njwks_file = \"keys.json\"\nalgorithms = [\"EdDSA\"]\n\
             [[issuer]]\nissuer = \"secret\"\naudience = [\"us\"]\nsecret_file = \"secret\"\nalgorithms = [\"HS256\"]\n\
             [[key]]\nname = \"backup\"\nsha256 = \"{digest}\"\nexpires = 2028-01-01\n"
        )
    }

    /// Reads the files as the watch does.
    fn look(authenticator: &Authenticator) -> Result<(), AccessError> {
        authenticator.replace(load::load(&authenticator.path))
    }

    #[tokio::test]
    async fn a_changed_file_counts_and_a_bad_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.toml");
        let keys = directory.path().join("keys.json");
        let (old, new) = (Signer::ed25519(1), Signer::ed25519(2));
        let secret = Signer::Secret(vec![b'x'; 32]);
        let api_key = NewApiKey::random();
        fs::write(&keys, jwks(&[old.jwk("k")])).unwrap();
        fs::write(directory.path().join("secret"), [&[b'x'; 32][..], b"\n"].concat()).unwrap();
        fs::write(&path, file(1, &api_key)).unwrap();
        let authenticator = Authenticator::open(&path).unwrap();
        let ask = async |credential: &str| authenticator.authenticate(credential, now()).await;

        let alice = ask(&token(&old, "public")).await.unwrap();
        let backup = ask(api_key.key()).await.unwrap();
        assert_eq!(alice.principal.subject, "alice");
        assert_eq!(backup.principal.subject, "backup");
        assert!(ask(&token(&secret, "secret")).await.is_ok());
        assert_eq!(
            ask(&token(&old, "other")).await.err(),
            Some(TokenError::UnknownIssuer)
        );
        assert_eq!(
            ask(&token(&new, "public")).await.err(),
            Some(TokenError::Signature)
        );

        // A file of keys is part of the configuration.
        fs::write(&keys, jwks(&[new.jwk("k")])).unwrap();
        look(&authenticator).unwrap();
        assert!(ask(&token(&new, "public")).await.is_ok());

        for bad in ["version = 2\n", "version = 2\n[[issuer", "\u{0}"] {
            fs::write(&path, bad).unwrap();
            assert!(look(&authenticator).is_err());
        }
        fs::write(&path, file(2, &api_key)).unwrap();
        fs::write(&keys, "not a set").unwrap();
        assert!(look(&authenticator).is_err());
        fs::remove_file(&path).unwrap();
        assert!(look(&authenticator).is_err());
        assert_eq!(authenticator.version(), 1);
        assert!(ask(&token(&new, "public")).await.is_ok());
        assert_eq!(authenticator.still_counts(&backup, now()), Ok(()));

        // An identity ends with its issuer or its key.
        let other = "version = 3\n[[issuer]]\nissuer = \"secret\"\naudience = [\"us\"]\nsecret_file = \"secret\"\n\
                     algorithms = [\"HS256\"]\n";
        fs::write(&path, other).unwrap();
        look(&authenticator).unwrap();
        assert_eq!(authenticator.version(), 3);
        let (alice, backup) = (
            authenticator.still_counts(&alice, now()),
            authenticator.still_counts(&backup, now()),
        );
        assert_eq!(alice, Err(TokenError::UnknownIssuer));
        assert_eq!(backup, Err(TokenError::UnknownApiKey));
        assert!(!format!("{authenticator:?}").contains("xxxx"));
    }

    #[tokio::test]
    async fn an_identity_ends_with_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.toml");
        let api_key = NewApiKey::random();
        let signer = Signer::ed25519(1);
        fs::write(directory.path().join("keys.json"), jwks(&[signer.jwk("k")])).unwrap();
        fs::write(directory.path().join("secret"), "s".repeat(32)).unwrap();
        fs::write(&path, file(1, &api_key)).unwrap();
        let authenticator = Authenticator::open(&path).unwrap();
        let alice = authenticator.authenticate(&token(&signer, "public"), now()).await;
        let (alice, end) = (alice.unwrap(), now() + Duration::from_secs(600));
        let leeway = Duration::from_secs(30);
        assert_eq!(authenticator.still_counts(&alice, end + leeway), Ok(()));
        let later = end + leeway + Duration::from_secs(1);
        assert_eq!(
            authenticator.still_counts(&alice, later),
            Err(TokenError::Expired)
        );
        let backup = authenticator.authenticate(api_key.key(), later).await.unwrap();
        let years = later + Duration::from_secs(1_000_000_000);
        assert_eq!(
            authenticator.still_counts(&backup, years),
            Err(TokenError::ApiKeyExpired)
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.toml");
        let text = |path: &Path| Authenticator::open(path).unwrap_err().to_string();
        assert!(text(&path).contains("access.toml cannot be read"));
        fs::write(&path, "version = 0\n").unwrap();
        assert!(text(&path).contains("access.toml: line 1: version is 0"));
        fs::write(&path, file(1, &NewApiKey::random())).unwrap();
        assert!(text(&path).contains("keys.json cannot be read"));
        fs::write(directory.path().join("keys.json"), "{}").unwrap();
        assert!(text(&path).contains("keys.json: it is no JSON object"));
        let set = jwks(&[Signer::ed25519(1).jwk("k")]);
        fs::write(directory.path().join("keys.json"), set).unwrap();
        fs::write(directory.path().join("secret"), "hunter2\n").unwrap();
        let error = text(&path);
        assert!(
            error.contains("the secret has 7 bytes") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
