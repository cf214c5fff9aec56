use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bellwether_election::ServerId;
use tokio::sync::watch;

use super::admission::Admission;

/// The information about the servers. The directory has each server's address for clients, as the
/// server has sent it. The directory also has the admission of this server by the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    urls: Arc<RwLock<BTreeMap<ServerId, ClientUrl>>>,
    admission: Arc<watch::Sender<Admission>>,
}

/// The address at which clients reach a server.
#[derive(Clone, Debug)]
struct ClientUrl {
    url: String,
    /// Set if the URL comes from this server's own options, or from a peer that has proven that it
    /// has the peer secret.
    proven: bool,
}

impl Directory {
    /// Records the URL that a server has sent. `proven` is `true` for this server itself. `proven`
    /// is also `true` for a peer on a connection on which both sides have proven that they have the
    /// peer secret.
    pub(crate) fn set(&self, server: &ServerId, url: Option<&str>, proven: bool) {
        let mut urls = self.urls.write().unwrap_or_else(PoisonError::into_inner);
        match url.map(str::to_owned) {
            Some(url) => urls.insert(server.clone(), ClientUrl { url, proven }),
            None => urls.remove(server),
        };
    }

    /// Returns the address at which clients reach a server, as a hint for them. The address may
    /// come from a peer that has proven nothing.
    pub(crate) fn url(&self, server: &ServerId) -> Option<String> {
        let urls = self.urls.read().unwrap_or_else(PoisonError::into_inner);
        urls.get(server).map(|known| known.url.clone())
    }

    /// Returns the URLs whose pages belong to the cluster: the URL of this server, and the URLs of
    /// peers that have proven themselves. The URL of any other peer lets no page connect.
    pub(crate) fn proven_urls(&self) -> Vec<String> {
        let urls = self.urls.read().unwrap_or_else(PoisonError::into_inner);
        let proven = urls.values().filter(|known| known.proven);
        proven.map(|known| known.url.clone()).collect()
    }

    /// Returns a receiver of the admission of this server and of all its changes.
    pub(crate) fn admission(&self) -> watch::Receiver<Admission> {
        self.admission.subscribe()
    }

    /// Records that another server has accepted this server as a peer, or that this server leads or
    /// follows.
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
