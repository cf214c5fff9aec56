//! The elector in virtual time, under seeded faults.
//!
//! Every run is a seed. A failing run names it; `BELLWETHER_SEED=<seed> cargo test -p bellwether-election --test
//! simulation` replays that one alone, with a trace. `BELLWETHER_SEEDS=<count>` runs more or fewer of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod world;

use bellwether_election::Role;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use world::{Faults, World};

fn seeds(count: u64) -> Vec<u64> {
    let number = |name| {
        Some(
            std::env::var(name)
                .ok()?
                .parse()
                .unwrap_or_else(|_| panic!("{name} is a number")),
        )
    };
    match number("BELLWETHER_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("BELLWETHER_SEEDS").unwrap_or(count)).collect(),
    }
}

#[test]
fn cold_start_elects_the_largest_rank_at_once() {
    for seed in seeds(200) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut world = World::new(seed, rng.random_range(1..=7), Faults::none());
        world.start_all();
        world.run_for_ms(400);
        world.check_converged();
        assert_eq!(world.grants(), 1, "seed {seed}: one election is enough");
    }
}

#[test]
fn a_crash_is_followed_by_the_next_in_rank_without_a_round() {
    for seed in seeds(200) {
        let mut world = World::new(seed, 5, Faults::none());
        world.start_all();
        world.run_for_ms(2_000);
        world.check_converged();
        let sent = world.election_messages();
        let best = world.best();
        world.crash(best);
        world.run_for_ms(50);
        world.check_converged();
        // m = 4 survivors; classic Bully needs up to m² + m − 1 = 19.
        let used = world.election_messages() - sent;
        assert!(used <= 6, "seed {seed}: {used} messages");
    }
}

#[test]
fn a_silent_coordinator_is_replaced_and_steps_down_when_it_wakes() {
    for seed in seeds(200) {
        let mut world = World::new(seed, 3, Faults::none());
        world.start_all();
        world.run_for_ms(2_000);
        let best = world.best();
        world.pause_ms(best, 3_000);
        world.run_for_ms(2_000);
        let replaced = (0..3).any(|i| i != best && matches!(world.role(i), Some(Role::Coordinator { .. })));
        assert!(replaced, "seed {seed}");
        world.run_for_ms(5_000);
        world.check_converged();
    }
}

#[test]
fn one_broken_link_deposes_nobody() {
    for seed in seeds(200) {
        let mut world = World::new(seed, 4, Faults::none());
        world.start_all();
        world.run_for_ms(2_000);
        let (best, grants) = (world.best(), world.grants());
        let other = (best + 1) % 4;
        world.cut_link(best, other);
        world.run_for_ms(20_000);
        assert_eq!(world.grants(), grants, "seed {seed}");
        assert!(
            matches!(world.role(other), Some(Role::Follower { .. })),
            "seed {seed}"
        );
    }
}

#[test]
fn equal_numbers_are_settled_by_the_id() {
    for seed in seeds(100) {
        let mut world = World::with_equal_numbers(seed, 5);
        world.start_all();
        world.run_for_ms(2_000);
        world.check_converged();
        assert_eq!(world.best(), 4, "seed {seed}");
    }
}

#[test]
fn safety_under_every_fault_and_convergence_after() {
    for seed in seeds(2_000) {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
        let servers = rng.random_range(2..=6);
        let mut world = World::new(seed, servers, Faults::all());
        world.start_all();
        for _ in 0..rng.random_range(5..40) {
            world.random_fault();
            world.run_for_ms(rng.random_range(1..1_500));
        }
        world.heal();
        // The longest wait of the algorithm is one claim that is never answered, then a search.
        world.run_for_ms(40_000);
        world.check_converged();
    }
}

#[test]
fn an_unfit_coordinator_hands_over_and_an_unfit_cluster_has_none() {
    for seed in seeds(100) {
        let mut world = World::new(seed, 3, Faults::none());
        world.start_all();
        world.run_for_ms(2_000);
        let best = world.best();
        world.set_fit(best, false);
        world.run_for_ms(6_000);
        assert!(
            matches!(world.role(best), Some(Role::Follower { .. })),
            "seed {seed}"
        );
        for server in 0..3 {
            world.set_fit(server, false);
        }
        world.run_for_ms(60_000);
        for server in 0..3 {
            assert_eq!(world.role(server), Some(Role::Electing), "seed {seed}");
        }
        for server in 0..3 {
            world.set_fit(server, true);
        }
        world.run_for_ms(10_000);
        world.check_converged();
    }
}

#[test]
fn leaving_hands_over() {
    for seed in seeds(100) {
        let mut world = World::new(seed, 3, Faults::none());
        world.start_all();
        world.run_for_ms(2_000);
        let (best, grants) = (world.best(), world.grants());
        world.leave(best);
        world.run_for_ms(100);
        assert_eq!(world.role(best), Some(Role::Left), "seed {seed}");
        assert_eq!(world.grants(), grants + 1, "seed {seed}: one claim is enough");
        world.crash(best);
        world.run_for_ms(50);
        world.check_converged();
    }
}
