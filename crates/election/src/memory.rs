//! A transport within one process, for tests and for trying the election out.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::{Event, Link, Message, ServerId, Transport};

/// Connects servers within one process. Clones are the same network.
#[derive(Clone, Debug, Default)]
pub struct Network {
    inboxes: Arc<Mutex<BTreeMap<ServerId, mpsc::UnboundedSender<Event>>>>,
}

impl Network {
    /// A network nobody has joined.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins under this id, in place of whoever had it before. Dropping what is returned is like a crash: the
    /// others are told that the connection was refused.
    pub fn join(&self, id: ServerId) -> Endpoint {
        let (outbox, inbox) = mpsc::unbounded_channel();
        let mut inboxes = self.lock();
        for (peer, other) in inboxes.iter().filter(|(peer, _)| **peer != id) {
            // Whoever is gone in between is told so by its own drop.
            let _ = other.send(Event::Link {
                peer: id.clone(),
                link: Link::Up,
            });
            let _ = outbox.send(Event::Link {
                peer: peer.clone(),
                link: Link::Up,
            });
        }
        inboxes.insert(id.clone(), outbox.clone());
        drop(inboxes);
        Endpoint {
            id,
            network: self.clone(),
            own: outbox,
            inbox,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerId, mpsc::UnboundedSender<Event>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One server's way into a [`Network`].
#[derive(Debug)]
pub struct Endpoint {
    id: ServerId,
    network: Network,
    own: mpsc::UnboundedSender<Event>,
    inbox: mpsc::UnboundedReceiver<Event>,
}

impl Transport for Endpoint {
    fn send(&mut self, to: &ServerId, message: Message) {
        if let Some(inbox) = self.network.lock().get(to) {
            let _ = inbox.send(Event::Message {
                from: self.id.clone(),
                message,
            });
        }
    }

    async fn recv(&mut self) -> Option<Event> {
        self.inbox.recv().await
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let mut inboxes = self.network.lock();
        // Somebody else may have joined under the same id since.
        if inboxes
            .get(&self.id)
            .is_some_and(|current| current.same_channel(&self.own))
        {
            inboxes.remove(&self.id);
            for other in inboxes.values() {
                let _ = other.send(Event::Link {
                    peer: self.id.clone(),
                    link: Link::Refused,
                });
            }
        }
    }
}
