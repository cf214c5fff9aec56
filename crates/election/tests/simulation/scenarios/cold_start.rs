use bellwether_election::Config;
use rand::Rng;

use crate::arbiter::Memory;
use crate::explore::explore;
use crate::network::Hints;
use crate::world::{Setup, World};

#[test]
fn the_largest_rank_is_elected_at_once() {
    explore(200, |seed| {
        let servers = usize::try_from(seed % 7).unwrap() + 1;
        let mut world = World::new(seed, Setup::calm(servers));
        world.start_all()?;
        world.run_for_ms(400)?;
        world.check_converged()?;
        world.expect("one_election", world.arbiter.grants() == 1, "more than one grant")?;
        Ok(world.figures())
    });
}

/// No transport reports that a link is up, but the servers ask all others, and all answer.
#[test]
fn without_link_hints_it_is_the_same() {
    explore(200, |seed| {
        let mut setup = Setup::calm(5);
        setup.hints = Hints::None;
        let mut world = World::new(seed, setup);
        world.start_all()?;
        world.run_for_ms(100)?;
        world.check_converged()?;
        world.expect("one_election", world.arbiter.grants() == 1, "more than one grant")?;
        Ok(world.figures())
    });
}

#[test]
fn equal_numbers_are_settled_by_the_id() {
    explore(200, |seed| {
        let mut setup = Setup::calm(5);
        setup.numbers_below = 1;
        let mut world = World::new(seed, setup);
        world.start_all()?;
        world.run_for_ms(2_000)?;
        world.check_converged()?;
        world.expect("tie_broken", world.leads(4), "the largest id should lead")?;
        world.expect("one_election", world.arbiter.grants() == 1, "more than one grant")?;
        world.check_stays(5_000)?;
        Ok(world.figures())
    });
}

/// The servers come up one after the other; each that is better takes over with a handover.
#[test]
fn late_comers_take_over_in_order() {
    explore(100, |seed| {
        let mut world = World::new(seed, Setup::calm(4));
        for server in 0..4 {
            world.start(server)?;
            let ms = world.rng.random_range(0..3_000);
            world.run_for_ms(ms)?;
        }
        world.run_for_ms(2_000)?;
        world.check_converged()?;
        world.expect(
            "one_election",
            world.arbiter.grants() <= 4,
            "more grants than servers",
        )?;
        Ok(world.figures())
    });
}

/// With an arbiter that remembers nothing the servers still agree, and a server that meets a newer
/// epoch gives way.
#[test]
fn an_arbiter_without_memory_is_enough_to_agree() {
    explore(200, |seed| {
        let mut setup = Setup::calm(4);
        setup.memory = Memory::None;
        setup.drift = true;
        let mut world = World::new(seed, setup);
        world.start_all()?;
        world.run_for_ms(2_000)?;
        world.check_converged()?;
        world.partition(&[true, true, false, false], false);
        world.run_for_ms(4_000)?;
        world.expect(
            "two_sides",
            world.coordinators() == 2,
            "a coordinator on either side",
        )?;
        world.mend();
        world.run_for_ms(3_000)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

#[test]
fn the_smallest_timing_allowed_works() {
    use std::time::Duration;

    explore(50, |seed| {
        let mut setup = Setup::calm(3);
        setup.config = Config {
            heartbeat: Duration::from_millis(1),
            timeout: Duration::from_millis(2),
            ..Config::default()
        };
        let mut world = World::new(seed, setup);
        world.start_all()?;
        // Such a timeout is shorter than some round trips here: there need be no peace, only
        // safety.
        world.run_for_ms(2_000)?;
        Ok(world.figures())
    });
}
