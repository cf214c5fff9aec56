//! A server: a process with an elector, a clock of its own, and work to do while it is coordinator.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_election::{Config, Elector, Epoch, Instant, Member, Role, ServerId};
use rand::rngs::SmallRng;

use crate::clock::{Clock, Micros};

pub(crate) struct Server {
    pub(crate) clock: Clock,
    /// Grows with every start, so that no event of an earlier process reaches a later one.
    pub(crate) process: u64,
    pub(crate) elector: Option<Elector<SmallRng>>,
    /// The other members of the cluster that it knows.
    pub(crate) peers: BTreeSet<usize>,
    /// The role that it reported last; none while it does not run.
    pub(crate) role: Role,
    pub(crate) eligible: bool,
    pub(crate) paused_until: Micros,
    /// Cut off from the arbiter and the resource.
    pub(crate) cut_off: bool,
    /// Its work never ends, so that it cannot report that it has drained.
    pub(crate) stuck: bool,
    /// It resigned by itself, so it need not become coordinator again.
    pub(crate) resigned: bool,
    /// It got the order to leave.
    pub(crate) leaving: bool,
    /// Writes that have not been answered.
    pub(crate) in_flight: u32,
    /// The deadline for which a wake-up is already scheduled.
    pub(crate) wake_at: Option<Instant>,
    last_called: Instant,
}

impl Server {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            process: 0,
            elector: None,
            peers: BTreeSet::new(),
            role: Role::Left,
            eligible: true,
            paused_until: 0,
            cut_off: false,
            stuck: false,
            resigned: false,
            leaving: false,
            in_flight: 0,
            wake_at: None,
            last_called: Instant::default(),
        }
    }

    pub(crate) fn start(
        &mut self,
        now: Micros,
        config: &Config,
        me: Member,
        peers: BTreeSet<usize>,
        rng: SmallRng,
    ) {
        let local = self.clock.read(now);
        let elector = Elector::new(config.clone(), me, peers.iter().copied().map(id), rng, local);
        self.peers = peers;
        self.elector = Some(elector.unwrap_or_else(|error| panic!("{error}")));
        self.process += 1;
        self.role = Role::Left;
        self.eligible = true;
        (self.leaving, self.resigned) = (false, false);
        self.paused_until = 0;
        self.in_flight = 0;
        self.wake_at = None;
        self.last_called = local;
    }

    pub(crate) fn stop(&mut self) {
        self.elector = None;
        self.process += 1;
        self.role = Role::Left;
    }

    pub(crate) fn runs(&self) -> bool {
        self.elector.is_some()
    }

    pub(crate) fn is_awake(&self, now: Micros) -> bool {
        self.runs() && self.paused_until <= now
    }

    /// Notes that the elector is about to be called. Gives its own time, and how long it was not
    /// called, by that time.
    pub(crate) fn called(&mut self, now: Micros) -> (Instant, Duration) {
        let local = self.clock.read(now);
        let gap = local.saturating_since(self.last_called);
        self.last_called = local;
        (local, gap)
    }

    /// Returns the epoch under which it would take work.
    pub(crate) fn takes_work(&self) -> Option<Epoch> {
        match self.role {
            Role::Coordinator { epoch } => Some(epoch),
            _ => None,
        }
    }

    /// Returns the end of its lease in real time, unless it is renewed; nothing if it has none, or
    /// needs no renewal.
    pub(crate) fn lease_end(&self) -> Option<Micros> {
        let until = self.elector.as_ref()?.valid_until()?;
        Some(self.clock.when(until))
    }
}

pub(crate) fn id(server: usize) -> ServerId {
    format!("s{server}").parse().unwrap()
}

pub(crate) fn index(id: &ServerId) -> usize {
    id.as_str()[1..].parse().unwrap()
}
