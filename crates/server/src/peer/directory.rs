use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bellwether_election::ServerId;

/// Where clients reach each server, as the servers have said themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory(Arc<RwLock<BTreeMap<ServerId, String>>>);

impl Directory {
    pub(crate) fn set(&self, server: &ServerId, url: Option<&str>) {
        let mut urls = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match url {
            Some(url) => urls.insert(server.clone(), url.to_owned()),
            None => urls.remove(server),
        };
    }

    pub(crate) fn url(&self, server: &ServerId) -> Option<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(server)
            .cloned()
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}
