//! The cost of one failover in messages, by the number of survivors.

use std::ops::Range;
use std::time::Duration;

use bellwether_election::{Quorum, Succession};

use crate::failing::{Failover, Fault, config, fail};
use crate::table::{Table, range, whole};
use crate::world::World;

pub(crate) const SURVIVORS: [u64; 7] = [3, 5, 10, 50, 100, 500, 1000];

/// A crash; connections to the dead process are refused at slightly different times.
const CRASH: Fault = Fault::Crash {
    spread: Duration::from_millis(1),
};

/// The policy of a cluster, and the fault of its coordinator.
struct Case {
    name: &'static str,
    policy: (Succession, Quorum),
    fault: Fault,
}

const DIRECT: (Succession, Quorum) = (Succession::Direct, Quorum::None);
const MAJORITY: (Succession, Quorum) = (Succession::Direct, Quorum::Majority);
const CLASSIC: (Succession, Quorum) = (Succession::Classic, Quorum::None);

const CASES: [Case; 6] = [
    Case::new("leave", DIRECT, Fault::Leave),
    Case::new("crash", DIRECT, CRASH),
    Case::new("silence", DIRECT, Fault::Silence),
    Case::new("majority: crash", MAJORITY, CRASH),
    Case::new("majority: silence", MAJORITY, Fault::Silence),
    Case::new("classic, worst case", CLASSIC, Fault::CrashSeenByTheLowest),
];

impl Case {
    const fn new(name: &'static str, policy: (Succession, Quorum), fault: Fault) -> Self {
        Self { name, policy, fault }
    }
}

/// All runs of every case.
type Runs = [Vec<Failover>; CASES.len()];

fn seeds(survivors: u64) -> Range<u64> {
    match survivors {
        ..=10 => 0..200,
        11..=100 => 0..40,
        101..=500 => 0..3,
        _ => 0..1,
    }
}

/// The classic algorithm sends the same messages in every run.
const CLASSIC_SEEDS: Range<u64> = 0..3;

pub(crate) fn print() {
    let names = CASES.map(|case| case.name);
    let title = "Messages of one failover, heartbeats and their answers apart";
    let table = Table::begin(
        title,
        &[&["survivors m", "seeds", "2(m−1)"], &names[..], &["m²+m−1"]].concat(),
    );
    let mut all = Vec::new();
    for m in SURVIVORS {
        let runs = run(m);
        let messages = runs.each_ref().map(|runs| {
            let counts = runs.iter().map(|run| run.messages + run.to_the_failed);
            range(counts)
        });
        let first = [whole(m), whole(seeds(m).end), whole(2 * (m - 1))];
        table.row(&[&first[..], &messages, &[whole(m * m + m - 1)]].concat());
        all.push((m, runs));
    }
    print_besides("Heartbeats and their answers meanwhile", &all, |run| {
        run.heartbeats
    });
    let title = "Milliseconds of virtual time until another server is coordinator";
    print_besides(title, &all, |run| {
        u64::try_from((run.time.as_micros() + 500) / 1_000).unwrap_or(u64::MAX)
    });
}

fn run(survivors: u64) -> Runs {
    let mut runs = Runs::default();
    let servers = usize::try_from(survivors + 1).unwrap_or(usize::MAX);
    for seed in seeds(survivors) {
        for policy in [DIRECT, MAJORITY, CLASSIC] {
            if policy == CLASSIC && !CLASSIC_SEEDS.contains(&seed) {
                continue;
            }
            let world = World::settled(seed, servers, &config(policy.0, policy.1));
            let cases = CASES.iter().zip(&mut runs);
            for (case, runs) in cases.filter(|(case, _)| case.policy == policy) {
                runs.push(fail(&world, case.fault));
            }
        }
    }
    runs
}

fn print_besides(title: &str, all: &[(u64, Runs)], number: impl Fn(&Failover) -> u64 + Copy) {
    let names = CASES.map(|case| case.name);
    let table = Table::begin(title, &[&["survivors m"], &names[..]].concat());
    for (m, runs) in all {
        let cells = runs.each_ref().map(|runs| range(runs.iter().map(number)));
        table.row(&[&[whole(*m)], &cells[..]].concat());
    }
}
