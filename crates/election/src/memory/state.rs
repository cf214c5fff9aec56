use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Faults, MAX_WAITING, paths::Paths};
use crate::{Event, Link, Message, ServerId};

/// State of the network, shared by all endpoints.
#[derive(Debug)]
pub(super) struct State {
    pub(super) faults: Faults,
    pub(super) paths: Paths,
    rng: SmallRng,
    mailboxes: BTreeMap<ServerId, Mailbox>,
    /// All servers that have ever joined: a connection to an absent one of them is refused.
    seen: BTreeSet<ServerId>,
    /// Counts endpoints and events, to distinguish endpoints and to keep the order of equal
    /// moments.
    count: u64,
}

#[derive(Debug)]
struct Mailbox {
    incarnation: u64,
    /// Events by the moment of arrival.
    events: BTreeMap<(Instant, u64), Event>,
    arrived: Arc<Notify>,
    /// The last report to this server about each peer.
    told: BTreeMap<ServerId, Told>,
}

#[derive(Debug)]
struct Told {
    incarnation: Option<u64>,
    at: Instant,
}

/// The content of a server's mailbox.
pub(super) enum Next {
    Event(Event),
    /// A message is on its way and arrives then.
    At(Instant),
    Nothing,
    /// The mailbox belongs to a newer endpoint.
    Replaced,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            faults: Faults::NONE,
            paths: Paths::default(),
            rng: SmallRng::seed_from_u64(seed),
            mailboxes: BTreeMap::new(),
            seen: BTreeSet::new(),
            count: 0,
        }
    }

    pub(super) fn join(&mut self, id: &ServerId, arrived: Arc<Notify>) -> u64 {
        self.count += 1;
        let incarnation = self.count;
        let mailbox = Mailbox {
            incarnation,
            events: BTreeMap::new(),
            arrived,
            told: BTreeMap::new(),
        };
        if let Some(replaced) = self.mailboxes.insert(id.clone(), mailbox) {
            replaced.arrived.notify_one();
        }
        self.seen.insert(id.clone());
        self.paths.thaw(id);
        self.tell_links_of(id);
        incarnation
    }

    pub(super) fn leave(&mut self, id: &ServerId, incarnation: u64) {
        if self.is_current(id, incarnation) {
            self.mailboxes.remove(id);
            self.paths.thaw(id);
            self.tell_links_of(id);
        }
    }

    pub(super) fn send(&mut self, from: &ServerId, incarnation: u64, to: &ServerId, message: &Message) {
        if !self.is_current(from, incarnation) || !self.paths.lead(from, to) {
            return;
        }
        let Some(mailbox) = self.mailboxes.get_mut(to) else {
            return;
        };
        let now = Instant::now();
        for delay in self.faults.draw(&mut self.rng) {
            if mailbox.events.len() < MAX_WAITING {
                let event = Event::Message {
                    from: from.clone(),
                    message: message.clone(),
                };
                self.count += 1;
                mailbox.events.insert((now + delay, self.count), event);
                mailbox.arrived.notify_one();
            }
        }
    }

    pub(super) fn next(&mut self, id: &ServerId, incarnation: u64) -> Next {
        let Some(mailbox) = self.mailboxes.get_mut(id) else {
            return Next::Replaced;
        };
        if mailbox.incarnation != incarnation {
            return Next::Replaced;
        }
        let Some(first) = mailbox.events.first_entry() else {
            return Next::Nothing;
        };
        if self.paths.is_frozen(id) {
            return Next::Nothing;
        }
        let (at, _) = *first.key();
        if at <= Instant::now() {
            Next::Event(first.remove())
        } else {
            Next::At(at)
        }
    }

    pub(super) fn freeze(&mut self, id: &ServerId) {
        self.paths.freeze(id.clone());
        if let Some(mailbox) = self.mailboxes.get_mut(id) {
            mailbox
                .events
                .retain(|_, event| matches!(event, Event::Link { .. }));
        }
    }

    pub(super) fn thaw(&mut self, id: &ServerId) {
        self.paths.thaw(id);
        if let Some(mailbox) = self.mailboxes.get(id) {
            mailbox.arrived.notify_one();
        }
        self.tell_links_of(id);
    }

    /// Reports each unseen change to all servers.
    pub(super) fn tell_links(&mut self) {
        let joined: Vec<ServerId> = self.mailboxes.keys().cloned().collect();
        for id in &joined {
            self.tell_links_of(id);
        }
    }

    fn tell_links_of(&mut self, id: &ServerId) {
        let peers: Vec<ServerId> = self.seen.iter().filter(|peer| *peer != id).cloned().collect();
        for peer in &peers {
            if self.paths.lead_both_ways(id, peer) {
                self.tell_link(id, peer);
                self.tell_link(peer, id);
            }
        }
    }

    fn tell_link(&mut self, to: &ServerId, about: &ServerId) {
        let incarnation = self.mailboxes.get(about).map(|mailbox| mailbox.incarnation);
        let Some(mailbox) = self.mailboxes.get_mut(to) else {
            return;
        };
        let told = mailbox.told.get(about);
        if told.is_some_and(|told| told.incarnation == incarnation) {
            return;
        }
        let delay = self.faults.draw_delay(&mut self.rng);
        // Not before the previous hint.
        let at = (Instant::now() + delay).max(told.map_or_else(Instant::now, |told| told.at));
        let link = if incarnation.is_some() {
            Link::Up
        } else {
            Link::Refused
        };
        let event = Event::Link {
            peer: about.clone(),
            link,
        };
        self.count += 1;
        mailbox.events.insert((at, self.count), event);
        mailbox.told.insert(about.clone(), Told { incarnation, at });
        mailbox.arrived.notify_one();
    }

    fn is_current(&self, id: &ServerId, incarnation: u64) -> bool {
        self.mailboxes
            .get(id)
            .is_some_and(|mailbox| mailbox.incarnation == incarnation)
    }
}
