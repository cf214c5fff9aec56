use bellwether_election::{Link, Role};
use rand::Rng;

use crate::clock::{MS, micros};
use crate::explore::explore;
use crate::network::Hints;
use crate::world::{Kind, Setup};

use super::{either, settled};

#[test]
fn a_crash_is_followed_by_the_next_in_rank_without_a_round() {
    explore(300, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(5))?;
        let sent = world.election_messages;
        world.crash(best)?;
        world.run_for_ms(50)?;
        world.check_converged()?;
        // m = 4 survivors; classic Bully needs up to m² + m − 1 = 19.
        let used = world.election_messages - sent;
        world.expect("one_step", used <= 6, &format!("{used} messages"))?;
        Ok(world.figures())
    });
}

/// Detection takes the timeout after the last heartbeat that was answered. It also takes up to one
/// heartbeat in which the survivors find out that each of them has lost the coordinator.
#[test]
fn a_crash_that_nobody_reports_is_found_within_the_timeout_and_two_heartbeats() {
    explore(300, |seed| {
        let mut setup = Setup::calm(5);
        setup.hints = Hints::None;
        if either(seed, true, false) {
            // No server is second in order, so the observer is the witness, and takes back its
            // answer.
            setup.kinds = vec![Kind::default(); 3];
            setup.kinds[2].observer = true;
        }
        let (mut world, best) = settled(seed, setup)?;
        let wait = world.rng.random_range(0..500);
        world.run_for_ms(wait)?;
        world.crash(best)?;
        let config = &world.setup.config;
        let travel = 40 * MS;
        let bound = micros(config.timeout) + 2 * micros(config.heartbeat) + travel;
        world.run_until(world.now() + bound)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

#[test]
fn a_silent_coordinator_is_replaced_and_steps_down_when_it_wakes() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        world.pause_ms(best, 3_000);
        world.run_for_ms(2_000)?;
        let replaced = (0..3).any(|server| server != best && world.leads(server));
        world.expect("replaced", replaced, "nobody took over")?;
        world.run_for_ms(5_000)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

#[test]
fn one_broken_link_deposes_nobody() {
    explore(200, |seed| {
        let mut setup = Setup::calm(4);
        setup.hints = either(seed, Hints::Honest, Hints::None);
        let (mut world, best) = settled(seed, setup)?;
        let (other, grants) = ((best + 1) % 4, world.arbiter.grants());
        world.cut(best, other);
        world.run_for_ms(20_000)?;
        world.expect(
            "one_link_deposes_nobody",
            world.arbiter.grants() == grants && matches!(world.role(other), Some(Role::Follower { .. })),
            "a coordinator that others hear was deposed",
        )?;
        Ok(world.figures())
    });
}

/// A transport that reports "refused" for a coordinator that is alive causes no new election,
/// because others still hear the coordinator.
#[test]
fn a_false_refusal_deposes_nobody() {
    explore(200, |seed| {
        let mut setup = Setup::calm(4);
        setup.hints = Hints::Lying;
        let (mut world, best) = settled(seed, setup)?;
        let grants = world.arbiter.grants();
        for round in 0..20 {
            let of = (best + 1 + round % 3) % 4;
            world.lie(of, best, Link::Refused)?;
            world.run_for_ms(1_000)?;
        }
        world.expect(
            "one_link_deposes_nobody",
            world.arbiter.grants() == grants,
            "a coordinator that others hear was deposed",
        )?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

/// A server that is next in rank but cannot get an epoch is passed over, and gets its turn once it
/// can.
#[test]
fn who_cannot_claim_is_passed_over_and_not_forgotten() {
    explore(200, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        world.crash(best)?;
        let next = world.best().unwrap_or(0);
        world.servers[next].cut_off = true;
        world.run_for_ms(3_000)?;
        let third = 3 - best - next;
        world.expect(
            "passed_over",
            world.leads(third),
            "the third should lead meanwhile",
        )?;
        world.servers[next].cut_off = false;
        let time_limit = 2 * micros(world.setup.config.claim_timeout) + 4 * world.timeout();
        world.run_until(world.now() + time_limit)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}
