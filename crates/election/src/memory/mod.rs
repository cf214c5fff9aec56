//! A transport within one process, with faults, for tests and experiments.
//!
//! A [`Network`] connects any number of [`Endpoint`]s. By default it delivers every message at
//! once. A test can change that at any time, while elections run. [`Network::set_faults`] loses,
//! delays, repeats and reorders messages. [`Network::partition`] and [`Network::cut`] separate
//! servers. [`Network::freeze`] makes a server silent. Dropping an [`Endpoint`] is like a crash.
//!
//! # Repeatable runs
//!
//! The seed and the order of the calls alone determine the loss and the delay of each message.
//! Under `#[tokio::test(start_paused = true)]`, where only waiting takes time, the same calls in
//! the same order give the same events in the same order. That holds for code that is itself
//! repeatable.
//!
//! An [`Election`](crate::Election) is not quite repeatable: it adds random jitter to its pauses,
//! and `tokio::select!` picks at random among the ready branches. To repeat a whole election
//! exactly, drive [`Elector`](crate::Elector)s, which read no clock and receive their randomness
//! from the caller.
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

/// Largest number of events for a server that does not read. Further messages to it are lost.
const MAX_WAITING: usize = 4096;

/// Connects servers within one process. Clones are the same network.
#[derive(Clone, Debug)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

impl Network {
    /// Returns a network without servers and faults.
    pub fn new() -> Self {
        Self::seeded(0)
    }

    /// Returns the same with a seed for later faults. Equal seeds give equal faults.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    /// Joins under this id and replaces the endpoint that had the id before. The replaced transport
    /// ends.
    ///
    /// Dropping the returned endpoint is like a crash: the network reports a refused connection to
    /// the others.
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

    /// Returns the current faults of messages.
    pub fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Sets the faults of messages from now on. Messages on their way arrive as they would have
    /// arrived before.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Separates servers of different groups, and replaces any earlier partition. Servers in no
    /// group form one of their own. If an id is named twice, the later group counts.
    ///
    /// The partition is like a pulled cable: the network reports nothing, and messages do not
    /// arrive. Neither side learns of a crash or restart on the other before the network heals.
    /// Messages on their way still arrive.
    pub fn partition<G>(&self, groups: impl IntoIterator<Item = G>)
    where
        G: IntoIterator<Item = ServerId>,
    {
        let mut state = self.lock();
        state.paths.partition(groups);
        // A new partition may join servers that the old one separated.
        state.tell_links();
    }

    /// Loses every message from `from` to `to`, silently, until [`heal`](Self::heal). The other
    /// direction stays as it is.
    pub fn cut(&self, from: &ServerId, to: &ServerId) {
        self.lock().paths.cut(from.clone(), to.clone());
    }

    /// Ends the partition and all cuts. Reports each unseen crash or restart to all servers. Frozen
    /// servers stay frozen and [`Faults`] stay as they are.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.paths.heal();
        state.tell_links();
    }

    /// Makes a server silent, as if its process hung. It receives nothing, none of its messages
    /// arrive, and the network reports nothing. Messages on their way to it are lost.
    ///
    /// The code that uses the endpoint continues, only cut off: an election over it goes on alone.
    /// Dropping the endpoint ends it as usual.
    pub fn freeze(&self, id: &ServerId) {
        self.lock().freeze(id);
    }

    /// Ends the silence of a frozen server.
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

/// One server's access to a [`Network`].
///
/// While the program does not read, the endpoint keeps some 4000 events and loses the others.
#[derive(Debug)]
pub struct Endpoint {
    id: ServerId,
    /// Distinguishes this endpoint from earlier and later endpoints of the same id.
    incarnation: u64,
    network: Network,
    arrived: Arc<Notify>,
}

impl Transport for Endpoint {
    fn send(&mut self, to: &ServerId, message: Message) {
        self.network.lock().send(&self.id, self.incarnation, to, &message);
    }

    /// Returns `None` once another endpoint has joined under the same id.
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
