//! The invariants that must hold after every step, one file each.
//!
//! A step is one call of one server's elector with all its immediate effects, or one decision of
//! the arbiter or the resource. Each invariant gets the facts of every step in their order.

mod alternates;
pub(crate) mod converges;
mod drains_first;
mod epoch_grows;
mod epoch_unique;
mod fenced;
mod granted;
mod granted_epochs_only;
mod messages_bounded;
mod never_spins;
mod one_claim;
mod self_demotes;
mod steps_down;

use std::fmt;
use std::time::Duration;

use bellwether_election::{Body, Config, Epoch, Newest, Role};

use crate::arbiter::Memory;
use crate::clock::Micros;
use crate::server::Server;
use crate::world::Setup;

/// An event of a step.
#[derive(Debug)]
pub(crate) enum Fact {
    Started {
        server: usize,
    },
    Stopped {
        server: usize,
    },
    /// The elector was called again after this gap, by its own clock.
    Called {
        server: usize,
        gap: Duration,
        before: Role,
    },
    /// The elector's timer ran out.
    Woken {
        server: usize,
    },
    Sent {
        server: usize,
        body: Body,
    },
    /// A message must wait for a server that is paused.
    HeldUp,
    /// Until then, false messages name a server as their sender, while the server itself
    /// contradicts them.
    Lied {
        until: Micros,
    },
    Claimed {
        server: usize,
    },
    ClaimAnswered {
        server: usize,
    },
    Confirming {
        server: usize,
        epoch: Epoch,
    },
    ConfirmAnswered {
        server: usize,
        epoch: Epoch,
    },
    /// It asks the arbiter for the newest epoch.
    Asked {
        server: usize,
    },
    NewestAnswered {
        server: usize,
        newest: Newest,
    },
    Granted {
        server: usize,
        process: u64,
        epoch: Epoch,
    },
    RoleChanged {
        server: usize,
        role: Role,
    },
    Drained {
        server: usize,
        epoch: Epoch,
    },
    /// The resource has refused it, and it got this answer.
    Refused {
        server: usize,
        epoch: Epoch,
    },
    Committed {
        server: usize,
        epoch: Epoch,
    },
}

/// The time, and the state of the servers.
pub(crate) struct Scene<'a> {
    pub(crate) at: Micros,
    pub(crate) servers: &'a [Server],
    pub(crate) config: &'a Config,
    /// The longest that a question to the arbiter has taken so far, there and back.
    pub(crate) longest_answer: Micros,
    /// Highest delay of a server's wake-up.
    pub(crate) latest_wake: Micros,
}

pub(crate) trait Invariant {
    fn name(&self) -> &'static str;

    /// # Errors
    /// The description of the violation.
    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String>;
}

/// An invariant is broken.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) detail: String,
    pub(crate) at: Micros,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, at: Micros, detail: impl fmt::Display) -> Self {
        Self {
            invariant,
            detail: detail.to_string(),
            at,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.at as f64 / 1_000.0;
        write!(
            f,
            "invariant {} violated at {ms:.3} ms: {}",
            self.invariant, self.detail
        )
    }
}

/// Returns all invariants that hold with such policies, such an arbiter and such a resource.
pub(crate) fn all(setup: &Setup) -> Vec<Box<dyn Invariant>> {
    let (memory, fencing) = (setup.memory, setup.fencing);
    let mut all: Vec<Box<dyn Invariant>> = vec![
        Box::new(alternates::Alternates::default()),
        Box::new(drains_first::DrainsFirst::default()),
        Box::new(granted::Granted::default()),
        Box::new(messages_bounded::MessagesBounded::default()),
        Box::new(never_spins::NeverSpins),
        Box::new(one_claim::OneClaim::default()),
        Box::new(steps_down::StepsDown::default()),
        Box::new(epoch_grows::EpochGrows::new(memory)),
        Box::new(self_demotes::SelfDemotes::new(setup)),
    ];
    if memory == Memory::Durable {
        all.push(Box::new(epoch_unique::EpochUnique::default()));
        all.push(Box::new(fenced::Fenced::new(fencing)));
        all.push(Box::new(granted_epochs_only::GrantedEpochsOnly::default()));
    }
    all
}
