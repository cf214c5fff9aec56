//! A transport within one process, with faults, for tests and for trying the election out.
//!
//! A [`Network`] connects any number of [`Endpoint`]s. It carries every message at once until it is told
//! otherwise, and can be told at any time, while elections run over it: [`Network::set_faults`] loses, delays,
//! doubles and reorders messages, [`Network::partition`] and [`Network::cut`] keep servers apart,
//! [`Network::freeze`] makes one fall silent, and dropping an [`Endpoint`] is a crash.
//!
//! # Repeatable runs
//!
//! Which message is lost and how long one takes depend on the seed and on the order of the calls, on nothing
//! else. Under `#[tokio::test(start_paused = true)]`, where nothing takes time but waiting, the same calls in
//! the same order give the same events in the same order. That holds for code that itself does the same every
//! time. An [`Election`](crate::Election) does not quite: it adds random jitter to its pauses, and
//! `tokio::select!` picks at random among what is ready. Whoever needs whole elections repeated exactly drives
//! [`Elector`](crate::Elector)s, which read no clock and are handed their randomness.
//!
//! # Example
//!
//! ```
//! use core::time::Duration;
//! use bellwether_election::memory::{Faults, Network};
//! use bellwether_election::ServerId;
//!
//! let ids: [ServerId; 3] = ["a".parse()?, "b".parse()?, "c".parse()?];
//! let network = Network::seeded(7);
//! let endpoints = ids.clone().map(|id| network.join(id));
//! network.set_faults(Faults {
//!     drop: 0.05,
//!     delay: Duration::from_millis(1)..=Duration::from_millis(20),
//!     ..Faults::NONE
//! });
//! // `a` alone, `b` and `c` together; then everybody again.
//! network.partition([[ids[0].clone()]]);
//! network.heal();
//! # Ok::<(), bellwether_election::InvalidServerId>(())
//! ```

mod faults;
mod paths;
mod state;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

pub use self::faults::Faults;
use self::state::{Next, State};
use crate::{Event, Message, ServerId, Transport};

/// A server that does not read keeps this many events; further messages to it are lost.
const MAX_WAITING: usize = 4096;

/// Connects servers within one process. Clones are the same network.
#[derive(Clone, Debug)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

impl Network {
    /// A network nobody has joined, without faults.
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// The same, with a seed for the faults to come. Equal seeds give equal faults.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    /// Joins under this id, in place of whoever had it before; the transport of that one ends.
    ///
    /// Dropping what is returned is like a crash: the others are told that the connection was refused.
    pub fn join(&self, id: ServerId) -> Endpoint {
        let arrived = Arc::new(Notify::new());
        let incarnation = self.lock().join(&id, Arc::clone(&arrived));
        Endpoint {
            id,
            incarnation,
            network: self.clone(),
            arrived,
        }
    }

    /// What goes wrong with messages now.
    pub fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Has this go wrong with messages from now on. What is under way already arrives as it would have.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Keeps servers of different groups apart, in place of any partition before. Servers in no group form one
    /// of their own. If an id is named twice, the later group counts.
    ///
    /// It is like a pulled cable: nobody is told, messages just do not arrive, and neither side learns of a
    /// crash or restart on the other before the network heals. What is under way already still arrives.
    pub fn partition<G>(&self, groups: impl IntoIterator<Item = G>)
    where
        G: IntoIterator<Item = ServerId>,
    {
        let mut state = self.lock();
        state.paths.partition(groups);
        // A new partition may join what the old one kept apart.
        state.tell_links();
    }

    /// Loses every message from `from` to `to`, silently, until [`heal`](Self::heal). The other direction stays
    /// as it is.
    pub fn cut(&self, from: &ServerId, to: &ServerId) {
        self.lock().paths.cut(from.clone(), to.clone());
    }

    /// Ends the partition and all cuts, and tells everybody who has crashed or restarted unseen. Frozen servers
    /// stay frozen and [`Faults`] stay as they are.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.paths.heal();
        state.tell_links();
    }

    /// Makes a server silent, as if its process hung: it receives nothing and nothing of it arrives, and
    /// nobody is told. What was under way to it is lost.
    ///
    /// The code that uses the endpoint is not stopped, only cut off: an election over it goes on alone. Dropping
    /// the endpoint ends it as it would any other.
    pub fn freeze(&self, id: &ServerId) {
        self.lock().freeze(id);
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self, id: &ServerId) {
        self.lock().thaw(id);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

/// One server's way into a [`Network`].
///
/// When nobody reads it, it keeps some 4000 events and loses what arrives beyond.
#[derive(Debug)]
pub struct Endpoint {
    id: ServerId,
    /// Tells it from earlier and later endpoints of the same id.
    incarnation: u64,
    network: Network,
    arrived: Arc<Notify>,
}

impl Transport for Endpoint {
    fn send(&mut self, to: &ServerId, message: Message) {
        self.network.lock().send(&self.id, self.incarnation, to, &message);
    }

    /// `None` once somebody else has joined under the same id.
    async fn recv(&mut self) -> Option<Event> {
        loop {
            let next = self.network.lock().next(&self.id, self.incarnation);
            let at = match next {
                Next::Event(event) => return Some(event),
                Next::Replaced => return None,
                Next::At(at) => Some(at),
                Next::Nothing => None,
            };
            tokio::select! {
                () = self.arrived.notified() => {}
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => {}
            }
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.network.lock().leave(&self.id, self.incarnation);
    }
}
