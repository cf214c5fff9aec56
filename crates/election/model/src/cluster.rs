//! One state of the model: the electors and everything around them that an election depends on.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ahash::RandomState;
use bellwether_election::{Body, Elector, Epoch, Message, Role};
use rand::RngCore;

use crate::bounds::{Budget, Order};

/// Chance is not explored: it only spreads servers out in time, and the model tries every order of events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NoChance;

impl RngCore for NoChance {
    fn next_u32(&mut self) -> u32 {
        0
    }

    fn next_u64(&mut self) -> u64 {
        0
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
    pub(crate) network: Network,
    /// The largest epoch granted.
    pub(crate) granted: Epoch,
    /// The newest write that was accepted: under which epoch, and whose.
    pub(crate) written: Option<(Epoch, usize)>,
    pub(crate) left: Budget,
    /// Which invariant the last step broke.
    pub(crate) broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    /// None while it is crashed or has left.
    pub(crate) process: Option<Process>,
    pub(crate) claim: Option<Claim>,
    pub(crate) confirmation: Option<Confirmation>,
    /// The largest epoch under which any process of this server was coordinator.
    pub(crate) held: Epoch,
    /// The largest epoch this process has followed or led under.
    pub(crate) known: Epoch,
    /// It does nothing until it wakes.
    pub(crate) asleep: bool,
}

/// What the arbiter is doing for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    Asked {
        above: Epoch,
    },
    /// Granted; the server does not know yet.
    Granted(Epoch),
}

/// What the arbiter is doing to confirm an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Confirmation {
    Asked(Epoch),
    /// Whether it was the newest; the server does not know yet.
    Said(Epoch, bool),
}

impl Server {
    pub(crate) fn elector(&self) -> Option<&Elector<NoChance>> {
        self.process.as_ref().map(|process| &*process.elector)
    }

    pub(crate) fn role(&self) -> Option<Role> {
        self.elector().map(Elector::role)
    }

    /// The epoch under which it believes that it may write.
    pub(crate) fn writes_under(&self) -> Option<Epoch> {
        self.role()?.office()
    }
}

/// An elector, shared between the states in which it is the same, with its hash.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    elector: Arc<Elector<NoChance>>,
    hash: u64,
}

impl Process {
    pub(crate) fn new(elector: Elector<NoChance>) -> Self {
        let hash = hash_of(&elector);
        Self {
            elector: Arc::new(elector),
            hash,
        }
    }
}

impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        self.elector == other.elector
    }
}

impl Eq for Process {}

impl Hash for Process {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// The messages in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    order: Order,
    /// By sender and receiver; on a link in the order sent or, where that means nothing, by their hashes.
    messages: Vec<Arc<Envelope>>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// First, so that the order in which messages are kept depends on nothing but themselves.
    hash: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: Message,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sender = &self.message.sender;
        let unfit = if sender.fit { "" } else { ", unfit" };
        write!(
            f,
            "{:?}{unfit} to s{}: {:?}",
            sender.rank, self.to, self.message.body
        )
    }
}

impl Envelope {
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
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Envelope>> {
        self.messages.iter()
    }

    /// The messages that may arrive next.
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

    pub(crate) fn send(&mut self, from: usize, to: usize, message: Message) {
        let hash = hash_of(&(from, to, &message));
        let envelope = Arc::new(Envelope {
            hash,
            from,
            to,
            message,
        });
        let at = match self.order {
            Order::Any => self
                .messages
                .binary_search_by_key(&(from, to, hash), |e| (e.from, e.to, e.hash)),
            Order::AsSent => Err(self.messages.partition_point(|other| other.link() <= (from, to))),
        };
        if let Err(at) = at {
            self.messages.insert(at, envelope);
        }
    }

    /// Takes out a message that may arrive next.
    pub(crate) fn remove(&mut self, envelope: &Envelope) {
        if let Some(at) = self.messages.iter().position(|other| **other == *envelope) {
            self.messages.remove(at);
        }
    }

    /// The process is gone, and nobody will read what is on its way to it.
    pub(crate) fn forget_reader(&mut self, server: usize) {
        self.messages.retain(|envelope| envelope.to != server);
    }

    /// A new process takes the place of one that is gone. Connections do not outlive a process, datagrams do.
    pub(crate) fn reconnect(&mut self, server: usize) {
        if self.order == Order::AsSent {
            self.messages
                .retain(|envelope| envelope.to != server && envelope.from != server);
        }
    }

    /// Changes what messages say.
    pub(crate) fn rewrite(&mut self, change: impl Fn(&mut Body)) {
        let before = std::mem::take(&mut self.messages);
        for envelope in before {
            let mut message = envelope.message.clone();
            change(&mut message.body);
            self.send(envelope.from, envelope.to, message);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
    }
}

pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}
