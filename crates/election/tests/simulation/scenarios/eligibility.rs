use bellwether_election::Role;

use crate::clock::micros;
use crate::explore::explore;
use crate::world::Setup;

use super::settled;

const NAME: &str = "eligibility";

#[test]
fn an_ineligible_coordinator_hands_over_and_an_ineligible_cluster_has_none() {
    explore(100, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        world.set_eligible(best, false)?;
        let time_limit = micros(world.setup.config.ineligible_timeout);
        world.run_until(world.now() + time_limit + 2 * world.timeout())?;
        world.check_converged()?;
        for server in 0..3 {
            world.set_eligible(server, false)?;
        }
        let grace = micros(world.setup.config.ineligible_grace);
        world.run_until(world.now() + grace + 4 * world.timeout())?;
        for server in 0..3 {
            let electing = world.role(server) == Some(Role::Electing);
            world.expect(NAME, electing, "no server is eligible, so none leads")?;
        }
        for server in 0..3 {
            world.set_eligible(server, true)?;
        }
        world.run_for_ms(10_000)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

/// A server that gave the epoch up would gain nothing.
#[test]
fn while_no_server_is_eligible_the_coordinator_stays_for_a_while() {
    explore(100, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        for server in 0..3 {
            world.set_eligible(server, false)?;
        }
        let grace = micros(world.setup.config.ineligible_grace);
        world.run_until(world.now() + grace - world.timeout())?;
        world.expect(NAME, world.leads(best), "it should still lead")?;
        for server in 0..3 {
            world.set_eligible(server, true)?;
        }
        world.check_stays(grace / 1_000)?;
        Ok(world.figures())
    });
}
