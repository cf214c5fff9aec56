use std::time::Duration;

use bellwether_election::{Quorum, Role};

use crate::arbiter::Memory;
use crate::clock::{MS, micros};
use crate::explore::explore;
use crate::network::Hints;
use crate::world::Setup;

use super::{either, settled};

fn majority(seed: u64, servers: usize) -> Setup {
    let mut setup = Setup::calm(servers);
    setup.config.quorum = Quorum::Majority;
    setup.drift = true;
    setup.memory = either(seed, Memory::Durable, Memory::None);
    setup.hints = either(seed / 2, Hints::Honest, Hints::None);
    setup
}

/// The coordinator is on the smaller side: it stops, and only then the larger side has another. No
/// resource checks epochs.
#[test]
fn a_minority_has_no_coordinator_and_a_majority_has_one() {
    explore(300, |seed| {
        let (mut world, best) = settled(seed, majority(seed, 5))?;
        let smaller: Vec<bool> = (0..5).map(|s| s == best || s == (best + 1) % 5).collect();
        world.partition(&smaller, false);
        // Votes may be split a few times.
        world.run_until(world.now() + 8 * world.timeout())?;
        for server in (0..5).filter(|server| smaller[*server]) {
            let electing = world.role(server) == Some(Role::Electing);
            world.expect("minority_is_led_by_nobody", electing, "a minority is led")?;
        }
        let led = (0..5).any(|server| !smaller[server] && world.leads(server));
        world.expect("majority_is_led", led, "nobody leads the majority")?;
        world.mend();
        world.run_for_ms(5_000)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

#[test]
fn half_is_no_majority() {
    explore(200, |seed| {
        let (mut world, _) = settled(seed, majority(seed, 4))?;
        world.partition(&[true, true, false, false], false);
        world.run_until(world.now() + 5 * world.timeout())?;
        world.expect(
            "half_is_led_by_nobody",
            world.coordinators() == 0,
            "half a cluster is led",
        )?;
        world.mend();
        world.run_for_ms(5_000)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

/// A closed connection is no proof, so the promises run out first; then it takes one vote.
#[test]
fn a_majority_replaces_a_crashed_coordinator_after_the_timeout() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, majority(seed, 5))?;
        world.crash(best)?;
        let config = &world.setup.config;
        let bound = 2 * micros(config.timeout) + 3 * micros(config.heartbeat) + 40 * MS;
        world.run_until(world.now() + bound)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

/// The old coordinator's own message releases its voters: no promise needs to run out.
#[test]
fn a_majority_hands_over_at_once() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, majority(seed, 3))?;
        world.resign(best)?;
        // The work in progress ends within 0.14 s here.
        world.run_for_ms(200)?;
        world.expect("hands_over", !world.leads(best), "it should have handed over")?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

/// A server that has just started may have made a promise before. So it makes no promise, and
/// servers that have forgotten their promises can elect no coordinator.
#[test]
fn restarted_voters_do_not_break_promises() {
    explore(300, |seed| {
        let mut setup = majority(seed, 3);
        // So that they could be quicker than the lease.
        setup.config.startup_grace = Duration::from_millis(10);
        let (mut world, best) = settled(seed, setup)?;
        // The coordinator goes on believing in votes that the others have forgotten.
        let alone: Vec<bool> = (0..3).map(|server| server == best).collect();
        world.partition(&alone, false);
        for server in (0..3).filter(|server| *server != best) {
            world.crash(server)?;
            world.start(server)?;
        }
        world.run_until(world.now() + 6 * world.timeout())?;
        let led = (0..3).any(|server| server != best && world.leads(server));
        world.expect("majority_is_led", led, "nobody leads the majority")?;
        world.mend();
        world.run_for_ms(5_000)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

/// A coordinator that cannot reach the arbiter stops within the timeout although all others hear
/// it.
#[test]
fn an_arbiter_that_does_not_answer_ends_a_term() {
    explore(200, |seed| {
        let mut setup = Setup::calm(3);
        setup.config.quorum = Quorum::Arbiter;
        let (mut world, best) = settled(seed, setup)?;
        world.check_stays(5_000)?;
        world.servers[best].cut_off = true;
        world.run_until(world.now() + world.timeout())?;
        world.expect(
            "unconfirmed",
            !world.leads(best),
            "nobody confirms its epoch any more",
        )?;
        world.run_until(world.now() + 4 * world.timeout())?;
        world.expect("unconfirmed", world.coordinators() == 1, "another should lead")?;
        Ok(world.figures())
    });
}
