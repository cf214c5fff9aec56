//! The keys of each issuer: fetched from a URL and kept for a while, or read from a file.

mod fetch;
mod published;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::key_set::KeySet;
pub(super) use published::PublishedKeys;

/// The keys of one issuer.
#[derive(Clone, Debug)]
pub(super) enum IssuerKeys {
    /// The key set at a URL, which can change at any time.
    Published(Arc<PublishedKeys>),
    /// The content of a file. A changed file makes a new value.
    Fixed(Arc<KeySet>),
}

impl IssuerKeys {
    /// Returns the keys. Returns `None` if the server has never received them.
    pub(super) async fn current(&self) -> Option<Arc<KeySet>> {
        match self {
            Self::Published(published) => published.current().await,
            Self::Fixed(keys) => Some(Arc::clone(keys)),
        }
    }

    /// Returns keys that are newer than `seen`, in which a token's key was missing. Returns `None`
    /// if there are none, or if the server has asked for them a moment ago.
    pub(super) async fn newer(&self, seen: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        match self {
            Self::Published(published) => published.newer(seen).await,
            Self::Fixed(_) => None,
        }
    }
}
