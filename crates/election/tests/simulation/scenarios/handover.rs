use bellwether_election::Role;

use crate::clock::{MS, micros};
use crate::explore::explore;
use crate::network::Hints;
use crate::world::Setup;

use super::{either, settled};

const NAME: &str = "hands_over";

#[test]
fn leaving_hands_over() {
    explore(200, |seed| {
        let mut setup = Setup::calm(3);
        setup.hints = either(seed, Hints::Honest, Hints::None);
        let (mut world, best) = settled(seed, setup)?;
        let grants = world.arbiter.grants();
        world.leave(best)?;
        // The work in progress ends within 0.14 s here.
        world.run_for_ms(200)?;
        world.expect(NAME, !world.servers[best].runs(), "it should have left")?;
        world.check_converged()?;
        world.expect(NAME, world.arbiter.grants() == grants + 1, "one claim is enough")?;
        Ok(world.figures())
    });
}

/// The successor leads under a newer epoch at once, and the server that resigned leaves it alone
/// although its rank is larger. The coordinator after that is another matter.
#[test]
fn resigning_hands_over() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        let grants = world.arbiter.grants();
        world.resign(best)?;
        let draining = matches!(world.role(best), Some(Role::Draining { .. }));
        world.expect(NAME, draining, "it should drain")?;
        world.run_for_ms(300)?;
        world.expect(NAME, world.arbiter.grants() == grants + 1, "one claim is enough")?;
        world.expect(NAME, !world.leads(best), "another should lead")?;
        world.check_converged()?;
        world.check_stays(5_000)?;
        let successor = (0..3).find(|server| world.leads(*server)).unwrap_or(0);
        world.crash(successor)?;
        world.run_for_ms(300)?;
        world.expect(NAME, world.leads(best), "the best should lead again")?;
        Ok(world.figures())
    });
}

#[test]
fn resigning_fails_where_nobody_could_take_over_and_can_be_tried_again() {
    explore(50, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(2))?;
        world.set_eligible(1 - best, false)?;
        world.run_for_ms(500)?;
        world.resign(best)?;
        world.expect(
            NAME,
            world.leads(best) && !world.servers[best].resigned,
            "it should stay",
        )?;
        world.set_eligible(1 - best, true)?;
        world.run_for_ms(500)?;
        world.resign(best)?;
        world.run_for_ms(500)?;
        world.expect(NAME, world.leads(1 - best), "the other should lead")?;
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
