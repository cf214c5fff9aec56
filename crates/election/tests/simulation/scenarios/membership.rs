use bellwether_election::Quorum;

use crate::explore::explore;
use crate::network::Hints;
use crate::world::Setup;

use super::{either, settled};

const NAME: &str = "membership";

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::calm(4);
    setup.hints = either(seed, Hints::Honest, Hints::None);
    setup.config.quorum = either(seed / 2, Quorum::Majority, Quorum::None);
    setup
}

#[test]
fn the_coordinator_is_taken_out_and_another_server_takes_its_place() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, setup(seed))?;
        world.remove(best)?;
        world.run_until(world.now() + 4 * world.timeout())?;
        world.check_converged()?;
        world.check_stays(5_000)?;
        world.add(best)?;
        world.run_until(world.now() + 6 * world.timeout())?;
        world.check_converged()?;
        world.check_stays(5_000)?;
        Ok(world.figures())
    });
}

/// A server that is dead for a long time still gets announcements, and comes back without a notice
/// to the others.
#[test]
fn the_dead_are_not_forgotten() {
    explore(100, |seed| {
        let (mut world, best) = settled(seed, setup(seed))?;
        let dead = (best + 1) % 4;
        world.crash(dead)?;
        world.run_for_ms(600_000)?;
        world.check_converged()?;
        world.start(dead)?;
        world.run_until(world.now() + 4 * world.timeout())?;
        world.check_converged()?;
        let knows = world.servers[best]
            .elector
            .as_ref()
            .is_some_and(|elector| elector.peers().all(|peer| peer.member.is_some()));
        world.expect(
            NAME,
            knows || !world.leads(best),
            "the coordinator should know all",
        )?;
        Ok(world.figures())
    });
}
