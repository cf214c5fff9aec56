use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bellwether_election::ServerId;
use tokio::sync::watch;

use super::reception::Reception;

/// What is known of the other servers: where clients reach each, as they have said themselves, and how they receive this one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    urls: Arc<RwLock<BTreeMap<ServerId, String>>>,
    reception: Arc<watch::Sender<Reception>>,
}

impl Directory {
    pub(crate) fn set(&self, server: &ServerId, url: Option<&str>) {
        let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
        match url {
            Some(url) => urls.insert(server.clone(), url.to_owned()),
            None => urls.remove(server),
        };
    }

    pub(crate) fn url(&self, server: &ServerId) -> Option<String> {
        self.urls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(server)
            .cloned()
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.urls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// How the others receive this server, now and at every change.
    pub(crate) fn reception(&self) -> watch::Receiver<Reception> {
        self.reception.subscribe()
    }

    /// Another server has shown that this one is one of theirs, or this one leads or follows as such.
    pub(crate) fn accepted(&self) {
        self.reception.send_modify(Reception::accept);
    }

    pub(super) fn linked(&self, peer: &ServerId) {
        self.reception.send_modify(|reception| reception.link(peer));
    }

    pub(super) fn refused(&self, peer: &ServerId, reason: &str) {
        self.reception
            .send_if_modified(|reception| reception.refuse(peer, reason));
    }

    pub(super) fn gone(&self, peer: &ServerId) {
        self.reception
            .send_if_modified(|reception| reception.forget(peer));
    }
}
