//! The identity of a connection's client, from its `hello` to its end.

use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_protocol::{ErrorCode, ErrorFrame, Outcome, ServerFrame, Token};
use tokio::time::Instant;
use tracing::info;

use super::failed_attempts::FailedAttempts;
use crate::access::{Authenticator, Identity, TokenError};
use crate::log_throttle::LogThrottle;
use crate::server_state::unix_ms;
use crate::subject::SubjectHash;

/// Time for which a connection may stay without an identity that counts.
pub(super) const TIME_WITHOUT_IDENTITY: Duration = Duration::from_secs(60);

/// The identity of the client of one connection.
pub(super) struct Authentication {
    /// Absent if the server asks no client for its identity.
    authenticator: Option<Arc<Authenticator>>,
    identity: Option<Identity>,
    /// Time since which no identity counts.
    unknown_since: Option<Instant>,
}

/// The checks of credentials, for all connections.
#[derive(Default)]
pub(super) struct CredentialChecks {
    failed: FailedAttempts,
    log: LogThrottle,
}

impl CredentialChecks {
    /// Checks a token or an API key that a connection of this source has sent.
    ///
    /// # Errors
    /// The error frame for the client.
    pub(super) async fn check(
        &self,
        authenticator: Option<&Authenticator>,
        token: &Token,
        source: u64,
    ) -> Result<Identity, ErrorFrame> {
        let Some(authenticator) = authenticator else {
            let message = "this server authenticates no clients, because it has no access file";
            return Err(unauthenticated(message)
                .with_hint("send commands without a token, or start the server with --access"));
        };
        if let Some(pause) = self.failed.pause(source, Instant::now()) {
            let message = "too many tokens from this address were refused";
            let mut error = ErrorFrame::new(ErrorCode::Overloaded, Outcome::NotExecuted, message)
                .with_hint("wait, and then send a token that this server accepts");
            error.retry_after_ms = u64::try_from(pause.as_millis()).ok();
            return Err(error);
        }
        let checked = authenticator
            .authenticate(token.as_str(), SystemTime::now())
            .await;
        checked.map_err(|reason| {
            // The client is not at fault if its issuer does not answer.
            if reason != TokenError::KeysUnavailable {
                self.failed.record(source, Instant::now());
            }
            if let Some(suppressed) = self.log.admit() {
                info!(%reason, suppressed, "refusing the token of a client");
            }
            refused(reason)
        })
    }
}

impl Authentication {
    pub(super) fn new(authenticator: Option<&Arc<Authenticator>>) -> Self {
        Self {
            authenticator: authenticator.cloned(),
            identity: None,
            unknown_since: None,
        }
    }

    /// Takes the identity of `hello`. Returns it for the answer.
    pub(super) fn begin(&mut self, identity: Identity) -> Box<bellwether_protocol::Identity> {
        let shown = Box::new(shown(&identity));
        self.identity = Some(identity);
        shown
    }

    /// Takes the identity of a later token. Returns the answer. The connection keeps the identity
    /// that it has if the token is not of the same subject.
    pub(super) fn refresh(&mut self, checked: Result<Identity, ErrorFrame>) -> ServerFrame {
        let identity = match checked {
            Ok(identity) => identity,
            Err(error) => return ServerFrame::Error(error),
        };
        if let Some(before) = &self.identity
            && !before.principal.is_same_subject(&identity.principal)
        {
            let message = "the token is of another subject than the connection";
            return ServerFrame::Error(
                unauthenticated(message).with_hint("open another connection for another subject"),
            );
        }
        let answer = ServerFrame::TokenOk(shown(&identity));
        self.identity = Some(identity);
        answer
    }

    /// Returns the error for each command if no identity counts now. Returns `None` if the server
    /// may execute commands of this connection.
    pub(super) fn refusal(&self) -> Option<ErrorFrame> {
        let authenticator = self.authenticator.as_ref()?;
        let Some(identity) = &self.identity else {
            let message = "this server executes commands of authenticated clients only";
            return Some(unauthenticated(message).with_hint(HINT));
        };
        let checked = authenticator.still_counts(identity, SystemTime::now());
        checked.err().map(refused)
    }

    /// Returns the owner of the commands of this connection. Absent if the server asks no client
    /// for its identity.
    pub(super) fn subject(&self) -> Option<SubjectHash> {
        let principal = &self.identity.as_ref()?.principal;
        Some(SubjectHash::of(&principal.issuer, &principal.subject))
    }

    /// Returns `true` if no identity has counted for a minute.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        if self.refusal().is_none() {
            self.unknown_since = None;
            return false;
        }
        let since = *self.unknown_since.get_or_insert(now);
        now.saturating_duration_since(since) >= TIME_WITHOUT_IDENTITY
    }
}

const HINT: &str = "send a token frame with a valid token on this connection, and then the command again";

fn unauthenticated(message: impl Into<String>) -> ErrorFrame {
    ErrorFrame::new(ErrorCode::Unauthenticated, Outcome::NotExecuted, message)
}

fn refused(reason: TokenError) -> ErrorFrame {
    let hint = match reason {
        TokenError::KeysUnavailable => "send the token again a moment later",
        _ => HINT,
    };
    unauthenticated(reason.to_string()).with_hint(hint)
}

fn shown(identity: &Identity) -> bellwether_protocol::Identity {
    let principal = &identity.principal;
    bellwether_protocol::Identity {
        subject: principal.subject.clone(),
        roles: principal.roles.clone(),
        token_expires_ms: unix_ms(principal.expires),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::access::NewApiKey;

    struct Fixture {
        _directory: tempfile::TempDir,
        authenticator: Arc<Authenticator>,
        keys: [NewApiKey; 3],
    }

    /// An access file with two keys of one subject, and one of another.
    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let keys = [NewApiKey::random(), NewApiKey::random(), NewApiKey::random()];
        let tables: String = ["alice", "alice", "bob"]
            .iter()
            .zip(&keys)
            .map(|(name, key)| {
                let digest = key.sha256();
                format!(
                    "[[key]]\nname = {name:?}\nsha256 = {digest:?}\nroles = [\"r\"]\nexpires = 9999-01-01\n"
                )
            })
            .collect();
        let path = directory.path().join("access.toml");
        fs::write(&path, format!("version = 1\n{tables}")).unwrap();
        Fixture {
            authenticator: Arc::new(Authenticator::open(&path).unwrap()),
            _directory: directory,
            keys,
        }
    }

    async fn check(
        checks: &CredentialChecks,
        fixture: &Fixture,
        credential: &str,
    ) -> Result<Identity, ErrorFrame> {
        let token = Token::new(credential).unwrap();
        checks.check(Some(&fixture.authenticator), &token, 1).await
    }

    #[tokio::test]
    async fn a_connection_without_an_identity_is_refused_and_ends_after_a_minute() {
        let fixture = fixture();
        let checks = CredentialChecks::default();
        let mut authentication = Authentication::new(Some(&fixture.authenticator));
        let refusal = authentication.refusal().unwrap();
        assert_eq!(
            (refusal.code, refusal.outcome),
            (ErrorCode::Unauthenticated, Outcome::NotExecuted)
        );
        let began = Instant::now();
        assert!(!authentication.is_over(began));
        assert!(!authentication.is_over(began + TIME_WITHOUT_IDENTITY - Duration::from_millis(1)));
        assert!(authentication.is_over(began + TIME_WITHOUT_IDENTITY));

        let identity = check(&checks, &fixture, fixture.keys[0].key()).await.unwrap();
        let ServerFrame::TokenOk(shown) = authentication.refresh(Ok(identity)) else {
            panic!("the key is known");
        };
        assert_eq!(
            (&*shown.subject, &shown.roles[..]),
            ("alice", &["r".to_owned()][..])
        );
        assert!(authentication.refusal().is_none());
        assert!(!authentication.is_over(began + 2 * TIME_WITHOUT_IDENTITY));
    }

    #[tokio::test]
    async fn an_identity_is_refreshed_by_the_same_subject_only() {
        let fixture = fixture();
        let checks = CredentialChecks::default();
        let mut authentication = Authentication::new(Some(&fixture.authenticator));
        let [first, second, bob] = &fixture.keys;
        authentication.begin(check(&checks, &fixture, first.key()).await.unwrap());
        for (key, is_accepted) in [(second, true), (bob, false), (first, true)] {
            let checked = check(&checks, &fixture, key.key()).await;
            let answer = authentication.refresh(checked);
            assert_eq!(
                matches!(answer, ServerFrame::TokenOk(_)),
                is_accepted,
                "{answer:?}"
            );
            assert!(authentication.refusal().is_none());
        }
        let wrong = check(&checks, &fixture, "bwk_wrong").await;
        let ServerFrame::Error(error) = authentication.refresh(wrong) else {
            panic!("the key is wrong");
        };
        assert_eq!((error.id, error.code), (None, ErrorCode::Unauthenticated));
        assert!(
            authentication.refusal().is_none(),
            "the earlier identity still counts"
        );
    }

    #[tokio::test]
    async fn after_many_wrong_tokens_a_source_has_to_wait() {
        let fixture = fixture();
        let checks = CredentialChecks::default();
        for _ in 0..super::super::failed_attempts::MAX_FAILURES {
            let error = check(&checks, &fixture, "bwk_wrong").await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthenticated);
        }
        let good = fixture.keys[0].key();
        let error = check(&checks, &fixture, good).await.unwrap_err();
        assert_eq!(
            (error.code, error.outcome),
            (ErrorCode::Overloaded, Outcome::NotExecuted)
        );
        assert!(
            error
                .retry_after_ms
                .is_some_and(|pause| (1..=60_000).contains(&pause))
        );
        let token = Token::new(good).unwrap();
        let other = checks.check(Some(&fixture.authenticator), &token, 2).await;
        assert!(other.is_ok(), "another address need not wait");
    }

    #[tokio::test]
    async fn without_an_access_file_nothing_is_refused_and_no_token_is_accepted() {
        let mut authentication = Authentication::new(None);
        assert!(authentication.refusal().is_none());
        assert!(!authentication.is_over(Instant::now() + 2 * TIME_WITHOUT_IDENTITY));
        let token = Token::new("bwk_any").unwrap();
        let checked = CredentialChecks::default().check(None, &token, 1).await;
        let ServerFrame::Error(error) = authentication.refresh(checked) else {
            panic!("there is nothing to check it against");
        };
        assert_eq!(error.code, ErrorCode::Unauthenticated);
    }
}
