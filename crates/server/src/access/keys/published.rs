use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tracing::{info, warn};
use url::Url;

use super::fetch::fetch;
use crate::access::key_set::KeySet;
use crate::log_throttle::LogThrottle;

/// Time after which the server fetches a set again.
pub(super) const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// Shortest time between two fetches of a set. Anyone can send tokens with unknown key ids, and
/// must not make the server flood the issuer.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// Shortest time between two fetches while the server has no set yet.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The key set that an issuer publishes at a URL. The last good set counts until the next good one.
#[derive(Debug)]
pub(in crate::access) struct PublishedKeys {
    url: Url,
    cached: Mutex<Cached>,
    /// Held during a fetch.
    fetching: Arc<tokio::sync::Mutex<()>>,
    log: LogThrottle,
}

#[derive(Clone, Debug, Default)]
struct Cached {
    keys: Option<Arc<KeySet>>,
    /// Time of the last good answer.
    fetched: Option<Instant>,
    /// Time of the last attempt.
    tried: Option<Instant>,
}

impl PublishedKeys {
    pub(in crate::access) fn new(url: Url) -> Arc<Self> {
        Arc::new(Self {
            url,
            cached: Mutex::default(),
            fetching: Arc::default(),
            log: LogThrottle::default(),
        })
    }

    pub(in crate::access) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the keys. Fetches them if the server has none, or if they are old. A caller waits
    /// for a fetch that another one has begun only if there are no keys yet.
    ///
    /// Dropping the future does not end a fetch. Otherwise a client could prevent each fetch with
    /// connections that it closes at once.
    pub(in crate::access) async fn current(self: &Arc<Self>) -> Option<Arc<KeySet>> {
        let cached = self.cached().clone();
        let is_fresh = cached.fetched.is_some_and(|at| at.elapsed() < MAX_AGE);
        match cached.keys {
            Some(keys) if is_fresh => return Some(keys),
            Some(_) => {
                if let Ok(permit) = Arc::clone(&self.fetching).try_lock_owned() {
                    self.refresh(permit).await;
                }
            }
            None => {
                let permit = Arc::clone(&self.fetching).lock_owned().await;
                if self.cached().keys.is_none() {
                    self.refresh(permit).await;
                }
            }
        }
        self.cached().keys.clone()
    }

    /// Returns keys that are not `seen`: those that another caller has fetched in the meantime, or
    /// those of a new fetch.
    pub(super) async fn newer(self: &Arc<Self>, seen: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        let is_newer = |keys: &Arc<KeySet>| !Arc::ptr_eq(keys, seen);
        let permit = Arc::clone(&self.fetching).lock_owned().await;
        let newer = self.cached().keys.clone().filter(is_newer);
        if newer.is_some() {
            return newer;
        }
        self.refresh(permit).await;
        self.cached().keys.clone().filter(is_newer)
    }

    /// Fetches the set, unless the last attempt was a moment ago.
    async fn refresh(self: &Arc<Self>, permit: OwnedMutexGuard<()>) {
        {
            let mut cached = self.cached();
            let pause = if cached.keys.is_some() { PAUSE } else { FIRST_PAUSE };
            if cached.tried.is_some_and(|at| at.elapsed() < pause) {
                return;
            }
            cached.tried = Some(Instant::now());
        }
        let published = Arc::clone(self);
        let fetched = tokio::spawn(async move {
            published.fetch().await;
            drop(permit);
        });
        // The task does not panic, and nothing aborts it.
        let _ = fetched.await;
    }

    async fn fetch(&self) {
        let read = match fetch(&self.url).await {
            Ok(text) => KeySet::read(&text).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let mut cached = self.cached();
        match read {
            Ok(keys) => {
                if cached.keys.is_none() {
                    info!(url = %self.url, "received the keys of an issuer of tokens");
                }
                cached.keys = Some(Arc::new(keys));
                cached.fetched = Some(Instant::now());
            }
            Err(error) => {
                let Some(suppressed) = self.log.admit_text((), &error) else {
                    return;
                };
                let url = &self.url;
                if cached.keys.is_some() {
                    warn!(%url, error, suppressed, "cannot fetch the keys of an issuer again: the last keys still count");
                } else {
                    warn!(%url, error, suppressed, "cannot fetch the keys of an issuer: its tokens are refused");
                }
            }
        }
    }

    fn cached(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
