//! The messages in transit between the servers.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bellwether_election::{Body, Message};

use crate::bounds::Order;
use crate::hash_of;

/// The messages in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    order: Order,
    /// By sender and receiver; on a link in the order sent or, if that order has no meaning, by
    /// their hashes.
    messages: Vec<Arc<Envelope>>,
    /// Links that take their time, until they are empty.
    stalled: BTreeSet<(usize, usize)>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// First, so that the order of the kept messages depends on nothing but themselves.
    hash: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: Message,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sender = &self.message.sender;
        let ineligible = if sender.eligible { "" } else { ", not eligible" };
        write!(
            f,
            "{:?}{ineligible} to s{}: {:?}",
            sender.rank, self.to, self.message.body
        )
    }
}

impl Envelope {
    pub(crate) fn new(from: usize, to: usize, message: Message) -> Self {
        let hash = hash_of(&(from, to, &message));
        Self {
            hash,
            from,
            to,
            message,
        }
    }

    fn link(&self) -> (usize, usize) {
        (self.from, self.to)
    }
}

impl Hash for Envelope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl Network {
    pub(crate) fn new(order: Order) -> Self {
        Self {
            order,
            messages: Vec::new(),
            stalled: BTreeSet::new(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Envelope>> {
        self.messages.iter()
    }

    /// Returns the messages that may arrive next.
    pub(crate) fn arriving(&self) -> impl Iterator<Item = &Arc<Envelope>> {
        let first = |at: usize| at == 0 || self.messages[at - 1].link() != self.messages[at].link();
        let arriving = self.messages.iter().enumerate();
        arriving
            .filter(move |(at, _)| self.order == Order::Any || first(*at))
            .map(|(_, envelope)| envelope)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn send(&mut self, envelope: Arc<Envelope>) {
        let (link, hash) = (envelope.link(), envelope.hash);
        let at = match self.order {
            Order::Any => self
                .messages
                .binary_search_by_key(&(link, hash), |e| (e.link(), e.hash)),
            Order::AsSent => Err(self.messages.partition_point(|other| other.link() <= link)),
        };
        if let Err(at) = at {
            self.messages.insert(at, envelope);
        }
    }

    /// Takes out a message that may arrive next.
    pub(crate) fn remove(&mut self, envelope: &Envelope) {
        if let Some(at) = self.messages.iter().position(|other| other.hash == envelope.hash) {
            self.messages.remove(at);
            self.unstall();
        }
    }

    /// Forgets the messages to a process that is gone, and that nothing will read.
    pub(crate) fn forget_reader(&mut self, server: usize) {
        self.messages.retain(|envelope| envelope.to != server);
        self.unstall();
    }

    /// Replaces a process that is gone by a new one. Connections do not outlive a process,
    /// datagrams do.
    pub(crate) fn reconnect(&mut self, server: usize) {
        if self.order == Order::AsSent {
            self.messages
                .retain(|envelope| envelope.to != server && envelope.from != server);
            self.unstall();
        }
    }

    pub(crate) fn stall(&mut self, from: usize, to: usize) {
        self.stalled.insert((from, to));
    }

    fn unstall(&mut self) {
        let messages = &self.messages;
        self.stalled
            .retain(|link| messages.iter().any(|envelope| envelope.link() == *link));
    }

    /// Links that deliver before any time passes.
    pub(crate) fn prompt(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut links: Vec<(usize, usize)> = self.messages.iter().map(|envelope| envelope.link()).collect();
        links.dedup();
        links.into_iter().filter(|link| !self.stalled.contains(link))
    }

    /// Changes the contents of messages.
    pub(crate) fn rewrite(&mut self, change: impl Fn(&mut Body)) {
        let before = std::mem::take(&mut self.messages);
        for envelope in before {
            let mut message = envelope.message.clone();
            change(&mut message.body);
            self.send(Arc::new(Envelope::new(envelope.from, envelope.to, message)));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.stalled.clear();
    }
}
