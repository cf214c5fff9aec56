//! The models.

use crate::bounds::{ANY, Bounds, Budget, Clocks, Grants, Order, Start};
use crate::report::explore;

const TWO: Bounds = Bounds {
    name: "",
    numbers: &[1, 2],
    redrawn: &[],
    start: Start::Cold,
    clocks: Clocks::Own,
    order: Order::AsSent,
    arbiter: Grants::Durable,
    false_hints: false,
    budget: NOTHING,
};

const NOTHING: Budget = Budget {
    grants: 0,
    refusals: 0,
    timeouts: 0,
    pauses: 0,
    crashes: 0,
    restarts: 0,
    losses: 0,
    duplicates: 0,
    hints: 0,
    writes: 0,
    leaves: 0,
    resignations: 0,
    fitness: 0,
};

#[test]
fn two_servers_start() {
    explore(Bounds {
        name: "two_servers_start",
        budget: Budget {
            grants: 2,
            timeouts: 6,
            ..NOTHING
        },
        ..TWO
    });
}
