use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bellwether_election::ServerId;
use tokio::sync::watch;

use super::admission::Admission;

/// What is known of the servers: where clients reach each, as they have said themselves, and how
/// they receive this one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    urls: Arc<RwLock<BTreeMap<ServerId, ClientUrl>>>,
    admission: Arc<watch::Sender<Admission>>,
}

/// The address at which clients reach a server.
#[derive(Clone, Debug)]
struct ClientUrl {
    url: String,
    /// It comes from this server's own options, or from a peer that has proven that it has the peer
    /// secret.
    proven: bool,
}

impl Directory {
    /// Notes what a server has said of itself. `proven` is `true` for this server itself, and for a
    /// peer on a connection on which both sides have proven that they have the peer secret.
    pub(crate) fn set(&self, server: &ServerId, url: Option<&str>, proven: bool) {
        let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
        match url.map(str::to_owned) {
            Some(url) => urls.insert(server.clone(), ClientUrl { url, proven }),
            None => urls.remove(server),
        };
    }

    /// Returns the address at which clients reach a server, as a hint for them. It may come from a
    /// peer that has proven nothing.
    pub(crate) fn url(&self, server: &ServerId) -> Option<String> {
        let urls = self.urls.read().unwrap_or_else(PoisonError::into_inner);
        urls.get(server).map(|known| known.url.clone())
    }

    /// Returns the URLs whose pages are the cluster's own: this server's, and those of peers that
    /// have proven themselves. The word of any other peer lets no page in.
    pub(crate) fn proven_urls(&self) -> Vec<String> {
        let urls = self.urls.read().unwrap_or_else(PoisonError::into_inner);
        let proven = urls.values().filter(|known| known.proven);
        proven.map(|known| known.url.clone()).collect()
    }

    /// How the others receive this server, now and at every change.
    pub(crate) fn admission(&self) -> watch::Receiver<Admission> {
        self.admission.subscribe()
    }

    /// Another server has shown that this one is one of theirs, or this one leads or follows as
    /// such.
    pub(crate) fn accepted(&self) {
        self.admission.send_modify(Admission::accept);
    }

    pub(super) fn linked(&self, peer: &ServerId) {
        self.admission.send_modify(|admission| admission.link(peer));
    }

    pub(super) fn refused(&self, peer: &ServerId, reason: &str) {
        self.admission
            .send_if_modified(|admission| admission.refuse(peer, reason));
    }

    pub(super) fn gone(&self, peer: &ServerId) {
        self.admission
            .send_if_modified(|admission| admission.forget(peer));
    }
}
