//! The limits of one failover's cost in messages, without heartbeats and their answers.

use std::time::Duration;

use bellwether_election::{Config, Quorum, Succession};

#[path = "../benches/figures/failing.rs"]
#[expect(dead_code, reason = "the benchmark prints more than is asserted here")]
mod failing;
#[path = "../benches/figures/world.rs"]
mod world;

use failing::{Fault, config, fail};
use world::World;

const SEEDS: std::ops::Range<u64> = 0..20;

fn world(seed: u64, survivors: u64, succession: Succession) -> World {
    let servers = usize::try_from(survivors + 1).expect("not so many");
    World::settled(seed, servers, &config(succession, Quorum::None))
}

/// One message from the second in order to the first, and an announcement to each other server. If
/// no link reports that the failed server is gone, it gets an announcement too.
#[test]
fn a_failover_in_one_step_costs_at_most_two_messages_for_every_survivor_but_one() {
    // If one survivor learns of the crash a heartbeat interval after another, it also asks a
    // witness.
    let spreads = [0, 1, 20, 95].map(Duration::from_millis);
    let faults = spreads.map(|spread| Fault::Crash { spread });
    for (survivors, seed) in (2..=20).flat_map(|m| SEEDS.map(move |seed| (m, seed))) {
        let world = world(seed, survivors, Succession::Direct);
        for fault in faults.into_iter().chain([Fault::Silence]) {
            let failover = fail(&world, fault);
            assert!(
                failover.messages <= 2 * (survivors - 1),
                "{} messages of {survivors} survivors, {fault:?}, seed {seed}",
                failover.messages
            );
            let time_limit = Config::default().timeout + Config::default().heartbeat * 2;
            assert!(
                failover.time <= time_limit,
                "{:?}, {fault:?}, seed {seed}",
                failover.time
            );
            let silent = u64::from(fault == Fault::Silence);
            assert!(
                failover.to_the_failed <= silent,
                "{} messages to the failed, {fault:?}, seed {seed}",
                failover.to_the_failed
            );
        }
    }
}

/// A majority must wait until its promises run out, and no longer: in virtual time.
#[test]
fn a_majority_replaces_a_coordinator_within_the_timeout_and_two_heartbeats() {
    let Config {
        timeout, heartbeat, ..
    } = Config::default();
    let crash = Fault::Crash {
        spread: Duration::from_millis(1),
    };
    for (survivors, seed) in (2..=10).flat_map(|m| SEEDS.map(move |seed| (m, seed))) {
        let config = config(Succession::Direct, Quorum::Majority);
        let servers = usize::try_from(survivors + 1).expect("not so many");
        let world = World::settled(seed, servers, &config);
        for fault in [crash, Fault::Silence] {
            let failover = fail(&world, fault);
            assert!(
                failover.time <= timeout + heartbeat * 2,
                "{:?} with {survivors} survivors, {fault:?}, seed {seed}",
                failover.time
            );
        }
    }
}

/// However far apart the survivors learn of it, the cost stays a small constant above the
/// announcements.
#[test]
fn survivors_that_learn_of_a_crash_far_apart_ask_a_witness_and_no_more() {
    for (survivors, seed) in (2..=20).flat_map(|m| SEEDS.map(move |seed| (m, seed))) {
        let spread = Duration::from_millis(300);
        let failover = fail(
            &world(seed, survivors, Succession::Direct),
            Fault::Crash { spread },
        );
        assert!(
            failover.messages <= survivors + 4,
            "{} messages of {survivors} survivors, seed {seed}",
            failover.messages
        );
    }
}

/// The successor gets a message, and announces itself to all others, including the server that
/// leaves.
#[test]
fn handing_over_costs_one_word_and_the_announcements() {
    for (survivors, seed) in (2..=20).flat_map(|m| SEEDS.map(move |seed| (m, seed))) {
        let failover = fail(&world(seed, survivors, Succession::Direct), Fault::Leave);
        assert_eq!(
            failover.messages,
            survivors + 1,
            "{survivors} survivors, seed {seed}"
        );
    }
}

/// Every survivor asks all above it, including the failed server. Each living one answers and asks
/// in turn, and one announces itself.
#[test]
fn the_classic_algorithm_costs_what_its_formula_says_when_the_lowest_notices_first() {
    for m in 2..=20 {
        let failover = fail(&world(1, m, Succession::Classic), Fault::CrashSeenByTheLowest);
        assert_eq!(
            failover.messages + failover.to_the_failed,
            m * m + m - 1,
            "{m} survivors"
        );
    }
}
