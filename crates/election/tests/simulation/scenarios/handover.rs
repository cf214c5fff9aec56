use bellwether_election::Role;

use crate::clock::{MS, micros};
use crate::explore::explore;
use crate::world::Setup;

use super::settled;

const NAME: &str = "hands_over";

#[test]
fn leaving_hands_over() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        let grants = world.arbiter.grants();
        world.leave(best)?;
        // The work in hand ends within 0.14 s here.
        world.run_for_ms(200)?;
        world.expect(NAME, !world.servers[best].runs(), "it should have left")?;
        world.check_converged()?;
        world.expect(NAME, world.arbiter.grants() == grants + 1, "one claim is enough")?;
        Ok(world.figures())
    });
}

/// The successor leads under a newer epoch at once; then, under the classic policy, the better one takes it back.
#[test]
fn resigning_hands_over() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        let grants = world.arbiter.grants();
        world.resign(best)?;
        let draining = matches!(world.role(best), Some(Role::Draining { .. }));
        world.expect(NAME, draining, "it should drain")?;
        world.run_for_ms(2_000)?;
        world.expect(
            NAME,
            world.arbiter.grants() == grants + 2,
            "one claim there, one back",
        )?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

#[test]
fn work_that_never_ends_holds_the_handover_up_for_a_bounded_time() {
    explore(50, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        world.servers[best].stuck = true;
        world.leave(best)?;
        let drain = micros(world.setup.config.drain_timeout);
        world.run_until(world.now() + drain - MS)?;
        let draining = matches!(world.role(best), Some(Role::Draining { .. }));
        world.expect(NAME, draining, "it should still drain")?;
        world.run_for_ms(100)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

#[test]
fn a_lone_server_that_resigns_stays() {
    explore(20, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(1))?;
        world.resign(best)?;
        world.check_stays(5_000)?;
        Ok(world.figures())
    });
}
