//! The expected behaviour of a cluster in one situation each.

mod calm;
mod cold_start;
mod eligibility;
mod failover;
mod handover;
mod made_up;
mod membership;
mod policies;
mod quorum;
mod safety;
mod split;

use bellwether_election::Role;

use crate::invariants::Violation;
use crate::world::{Setup, World};

/// Returns a cluster that has found its coordinator, with the index of the coordinator.
fn settled(seed: u64, setup: Setup) -> Result<(World, usize), Violation> {
    let mut world = World::new(seed, setup);
    world.start_all()?;
    world.run_for_ms(4_000)?;
    world.check_converged()?;
    let best = world.best().unwrap_or(0);
    Ok((world, best))
}

/// Returns one value for even seeds, and the other for odd ones.
fn either<T>(seed: u64, even: T, odd: T) -> T {
    if seed & 1 == 0 { even } else { odd }
}

impl World {
    /// Checks an expectation of a scenario, in addition to the invariants, under a name of its own.
    fn expect(&self, name: &'static str, holds: bool, detail: &str) -> Result<(), Violation> {
        if holds {
            return Ok(());
        }
        let roles: Vec<Option<Role>> = (0..self.servers.len()).map(|server| self.role(server)).collect();
        Err(Violation::new(
            name,
            self.now(),
            format_args!("{detail}; roles: {roles:?}"),
        ))
    }

    fn leads(&self, server: usize) -> bool {
        self.servers[server].takes_work().is_some()
    }

    fn coordinators(&self) -> usize {
        (0..self.servers.len())
            .filter(|server| self.leads(*server))
            .count()
    }
}
