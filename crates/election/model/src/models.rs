//! The models. Each name describes the faults of the cluster.

use bellwether_election::{Preemption, Quorum};

use crate::bounds::{ANY, Bounds, Budget, Clocks, Grants, Order, Start};
use crate::report::explore;

const NOTHING: Budget = Budget {
    grants: 0,
    refusals: 0,
    timeouts: 0,
    pauses: 0,
    crashes: 0,
    restarts: 0,
    losses: 0,
    stalls: 0,
    duplicates: 0,
    hints: 0,
    writes: 0,
    leaves: 0,
    resignations: 0,
    eligibility: 0,
    lies: 0,
};

const TWO: Bounds = Bounds {
    name: "",
    numbers: &[1, 2],
    redrawn: &[],
    start: Start::Settled,
    asleep: &[],
    absent: &[],
    clocks: Clocks::Own,
    order: Order::AsSent,
    arbiter: Grants::Durable,
    quorum: Quorum::None,
    preemption: Preemption::Always,
    timeout: 2,
    false_hints: false,
    shows_two: false,
    budget: NOTHING,
};

const THREE: Bounds = Bounds {
    numbers: &[2, 1, 3],
    ..TWO
};

const MAJORITY: Bounds = Bounds {
    clocks: Clocks::Common,
    quorum: Quorum::Majority,
    arbiter: Grants::Local,
    timeout: 3,
    ..THREE
};

macro_rules! models {
    ($($(#[$ignore:meta])? $name:ident: $bounds:expr;)*) => {
        $(#[test] $(#[$ignore])? fn $name() { explore(Bounds { name: stringify!($name), ..$bounds }); })*
    };
}

models! {
    two_start: Bounds { start: Start::Cold, budget: Budget { grants: 2, timeouts: 4, ..NOTHING }, ..TWO };
    two_start_any: Bounds { start: Start::Cold, order: Order::Any, budget: Budget { grants: 2, timeouts: 2, ..NOTHING }, ..TWO };
    two_start_equal: Bounds { start: Start::Cold, numbers: &[7, 7], budget: Budget { grants: 2, timeouts: 2, refusals: 1, losses: 1, ..NOTHING }, ..TWO };
    two_crash: Bounds { redrawn: &[2, 0, 9], budget: Budget { grants: 2, timeouts: 4, crashes: 1, restarts: 1, ..NOTHING }, ..TWO };
    two_pause: Bounds { shows_two: true, budget: Budget { grants: 2, timeouts: 4, pauses: 1, writes: 2, ..NOTHING }, ..TWO };
    two_handover: Bounds { budget: Budget { grants: 2, timeouts: 3, resignations: 1, leaves: 1, writes: 2, ..NOTHING }, ..TWO };
    two_eligibility: Bounds { budget: Budget { grants: 2, timeouts: 4, eligibility: 2, refusals: 1, ..NOTHING }, ..TWO };
    two_hints: Bounds { false_hints: true, redrawn: &[9], budget: Budget { grants: 2, timeouts: 1, hints: 2, crashes: 1, restarts: 1, ..NOTHING }, ..TWO };
    two_local: Bounds { arbiter: Grants::Local, redrawn: &[9, 0], budget: Budget { grants: 2, timeouts: 3, pauses: 1, crashes: 1, restarts: 1, ..NOTHING }, ..TWO };
    two_any: Bounds { order: Order::Any, redrawn: &[9, 2], budget: Budget { grants: 2, timeouts: 1, duplicates: 1, crashes: 1, restarts: 1, ..NOTHING }, ..TWO };
    two_common: Bounds { clocks: Clocks::Common, timeout: 3, budget: Budget { grants: 2, timeouts: 4, stalls: ANY, pauses: 1, losses: 1, ..NOTHING }, ..TWO };
    two_confirmed: Bounds { clocks: Clocks::Common, quorum: Quorum::Arbiter, timeout: 3, budget: Budget { grants: 1, timeouts: 4, stalls: ANY, refusals: 1, ..NOTHING }, ..TWO };
    two_lie: Bounds { budget: Budget { grants: 2, timeouts: 1, lies: 1, ..NOTHING }, ..TWO };
    two_lie_unanswered: Bounds { budget: Budget { grants: 1, timeouts: 1, lies: 1, refusals: 1, ..NOTHING }, ..TWO };
    two_lie_common: Bounds { clocks: Clocks::Common, timeout: 3, budget: Budget { grants: 1, timeouts: 2, stalls: ANY, lies: 1, ..NOTHING }, ..TWO };
    three_start: Bounds { start: Start::Cold, budget: Budget { grants: 2, timeouts: 1, ..NOTHING }, ..THREE };
    three_crash: Bounds { budget: Budget { grants: 2, timeouts: 4, crashes: 1, ..NOTHING }, ..THREE };
    three_hints: Bounds { budget: Budget { grants: 2, timeouts: 1, crashes: 1, hints: 2, ..NOTHING }, ..THREE };
    three_common: Bounds { clocks: Clocks::Common, budget: Budget { grants: 1, timeouts: 2, stalls: ANY, losses: 1, crashes: 1, ..NOTHING }, ..THREE };
    majority_start: Bounds { start: Start::Cold, budget: Budget { grants: 1, timeouts: 2, stalls: ANY, ..NOTHING }, ..MAJORITY };
    majority_start_stalled: Bounds { start: Start::Cold, budget: Budget { grants: 1, timeouts: 3, stalls: 1, ..NOTHING }, ..MAJORITY };
    majority_crash: Bounds { budget: Budget { grants: 2, timeouts: 6, crashes: 1, ..NOTHING }, ..MAJORITY };
    majority_handover: Bounds { budget: Budget { grants: 2, timeouts: 1, stalls: ANY, resignations: 1, ..NOTHING }, ..MAJORITY };
    #[ignore = "long"] two_lies_long: Bounds { budget: Budget { grants: 2, timeouts: 2, lies: 2, ..NOTHING }, ..TWO };
    #[ignore = "long"] three_lie_long: Bounds { budget: Budget { grants: 1, lies: 1, ..NOTHING }, ..THREE };
    #[ignore = "long"] three_hints_long: Bounds { budget: Budget { grants: 2, timeouts: 2, crashes: 1, hints: 3, ..NOTHING }, ..THREE };
    #[ignore = "long"] three_restart_long: Bounds { redrawn: &[9], budget: Budget { grants: 2, timeouts: 2, crashes: 1, restarts: 1, ..NOTHING }, ..THREE };
    #[ignore = "long"] majority_crash_long: Bounds { budget: Budget { grants: 2, timeouts: 3, stalls: ANY, crashes: 1, ..NOTHING }, ..MAJORITY };
    #[ignore = "long"] majority_pause_long: Bounds { asleep: &[2], budget: Budget { grants: 1, timeouts: 6, ..NOTHING }, ..MAJORITY };
}
