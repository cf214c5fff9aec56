//! Model checking of the elector: every order of events within given bounds, on the state machine
//! that ships.
//!
//! Each model is one cluster with a budget of faults. It is explored until no state is left, and
//! prints the number of states. `cargo xtask model` runs all of them, `cargo xtask model --long`
//! those with the large budgets too. A broken invariant ends a run with the shortest sequence of
//! events that leads to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on should stop"
)]

mod action;
mod bounds;
mod cluster;
mod election;
mod heal;
mod invariants;
mod models;
mod network;
mod process;
mod report;
mod time;
mod world;

use std::hash::Hash;

fn hash_of(value: &impl Hash) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}
