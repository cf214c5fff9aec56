use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bson::Document;
use mongodb::ServerType;
use mongodb::error::Error;
use mongodb::event::EventHandler;
use mongodb::event::sdam::{SdamEvent, TopologyDescription};
use tokio::sync::watch;
use tokio::time::Instant;

use super::failover::Members;
use super::majority::Majority;
use super::trouble::{Heard, Trouble};

/// The state of the replica set, as known at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Set while a primary is known and answers, and lets this server work with it.
    pub available: bool,
    /// The primary's address.
    pub primary: Option<String>,
    /// The number of times that a primary became known. A primary that was lost and found again
    /// counts twice.
    pub primaries: u64,
    /// The current trouble and its remedy. There may be trouble although a primary is available:
    /// the primary cannot commit.
    pub error: Option<String>,
    /// The same trouble as a value.
    pub trouble: Option<Trouble>,
}

impl Health {
    fn new(primary: Option<String>, trouble: Option<Trouble>, allowed: bool) -> Self {
        Self {
            available: primary.is_some() && allowed,
            primary,
            primaries: 0,
            error: trouble.as_ref().map(Trouble::to_string),
            trouble,
        }
    }

    /// Returns `true` if there is a primary that does not let this server work.
    pub(super) fn is_refused(&self) -> bool {
        self.primary.is_some() && !self.available
    }

    /// Returns the text of the trouble, if it lasts until an operator changes something.
    pub(crate) fn lasting_trouble(&self) -> Option<&str> {
        let lasts = self.trouble.as_ref().is_some_and(Trouble::stays);
        self.error.as_deref().filter(|_| lasts)
    }
}

/// Derives the newest [`Health`] and [`Members`] from the events of the driver's monitors and from
/// MongoDB's answers.
#[derive(Debug)]
pub(super) struct Observer {
    seen: Mutex<Seen>,
    health: watch::Sender<Health>,
    members: watch::Sender<Members>,
}

#[derive(Debug)]
struct Seen {
    /// The name of the set in the connection string.
    set: String,
    primary: Option<String>,
    primaries: u64,
    /// The unreachable addresses of the other members, in order.
    unreachable: Vec<String>,
    /// The error if the driver cannot work with a member's version.
    incompatible: Option<String>,
    /// The last result of each member. The driver drops a server that is not a member of the set,
    /// and reports nothing more about it.
    heard: BTreeMap<String, Heard>,
    /// Set if the primary says that its set has an arbiter member.
    arbiter: bool,
    majority: Majority,
    /// The trouble if MongoDB does not let this server work.
    refused: Option<Trouble>,
}

impl Observer {
    /// Observes a connection to the set of this name.
    pub(super) fn new(set: &str) -> Arc<Self> {
        let nobody = Health::new(None, Some(Trouble::NotAnsweredYet), true);
        Arc::new(Self {
            seen: Mutex::new(Seen {
                set: set.to_owned(),
                primary: None,
                primaries: 0,
                unreachable: Vec::new(),
                incompatible: None,
                heard: BTreeMap::new(),
                arbiter: false,
                majority: Majority::default(),
                refused: None,
            }),
            health: watch::Sender::new(nobody),
            members: watch::Sender::new(Members::default()),
        })
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(super) fn members(&self) -> watch::Receiver<Members> {
        self.members.subscribe()
    }

    /// Handles the events of the driver's monitors.
    pub(super) fn handler(self: Arc<Self>) -> EventHandler<SdamEvent> {
        EventHandler::callback(move |event| match event {
            SdamEvent::TopologyDescriptionChanged(event) => {
                let topology = &event.new_description;
                self.members
                    .send_if_modified(|current| replace(current, current.next(topology)));
                self.update(|seen| seen.topology(topology));
            }
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                self.update(|seen| seen.replied(event.server_address.to_string(), &event.reply));
            }
            SdamEvent::ServerHeartbeatFailed(event) => {
                let heard = Heard::failure(&event.failure);
                self.update(|seen| drop(seen.heard.insert(event.server_address.to_string(), heard)));
            }
            _ => {}
        })
    }

    /// Records the result of an operation of the server itself. MongoDB lets this server work, or
    /// gives the reason why it does not. Other errors change nothing.
    pub(super) fn report_access<T>(&self, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.update(|seen| seen.refused = None),
            Err(error) => {
                if let Some(trouble) = Trouble::of_access(error) {
                    self.report_refusal(trouble);
                }
            }
        }
    }

    /// Records that MongoDB does not let this server work.
    pub(super) fn report_refusal(&self, trouble: Trouble) {
        self.update(|seen| seen.refused = Some(trouble));
    }

    fn update(&self, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut seen);
        // Under the lock, so that the newest state is sent last.
        let now = seen.health(Instant::now());
        self.health.send_if_modified(|current| replace(current, now));
    }
}

impl Seen {
    fn topology(&mut self, topology: &TopologyDescription) {
        let servers = topology.servers();
        let primary = servers
            .iter()
            .find(|(_, server)| server.server_type() == ServerType::RsPrimary)
            .map(|(address, _)| address.to_string());
        if primary != self.primary {
            self.majority.forget();
            self.primaries += u64::from(primary.is_some());
        }
        let unreachable = servers
            .iter()
            .filter(|(_, server)| server.server_type() == ServerType::Unknown && server.error().is_some());
        self.unreachable = unreachable.map(|(address, _)| address.to_string()).collect();
        self.unreachable.sort_unstable();
        if primary.is_some() {
            // Other servers are not members any more, and their last results are obsolete.
            let members: Vec<String> = servers.keys().map(ToString::to_string).collect();
            self.heard.retain(|address, _| members.contains(address));
        }
        self.primary = primary;
        self.incompatible = topology.compatibility_error().cloned();
    }

    fn replied(&mut self, address: String, hello: &Document) {
        if self.primary.as_ref() == Some(&address) {
            self.majority.observe(hello, Instant::now());
            self.arbiter = hello
                .get_array("arbiters")
                .is_ok_and(|arbiters| !arbiters.is_empty());
        }
        self.heard.insert(address, Heard::reply(hello));
    }

    fn health(&self, now: Instant) -> Health {
        Health {
            primaries: self.primaries,
            ..self.health_of_primary(now)
        }
    }

    fn health_of_primary(&self, now: Instant) -> Health {
        let Some(primary) = &self.primary else {
            let trouble = Trouble::without_primary(&self.set, &self.heard);
            let mut health = Health::new(None, Some(trouble), true);
            if let Some(incompatible) = &self.incompatible {
                health.error = Some(incompatible.clone());
            }
            return health;
        };
        let trouble = self.refused.clone().or_else(|| {
            self.majority.is_missing(now).then(|| Trouble::NoMajority {
                primary: primary.clone(),
                unreachable: self.unreachable.join(", "),
                arbiter: self.arbiter,
            })
        });
        Health::new(Some(primary.clone()), trouble, self.refused.is_none())
    }
}

/// Returns `true` if that changed anything.
fn replace<T: PartialEq>(current: &mut T, new: T) -> bool {
    let changed = *current != new;
    *current = new;
    changed
}
