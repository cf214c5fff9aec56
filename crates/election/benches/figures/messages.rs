//! What one failover costs in messages, by the number of survivors.

use std::time::Duration;

use bellwether_election::{Quorum, Succession};

use crate::failing::{Failover, Fault, config, fail};
use crate::table::{Table, range, whole};
use crate::world::World;

pub(crate) const SURVIVORS: [u64; 7] = [3, 5, 10, 50, 100, 500, 1000];

/// What a connection to a dead process takes longer to be refused for one than for another.
const SPREAD: Duration = Duration::from_millis(1);

fn seeds(survivors: u64) -> std::ops::Range<u64> {
    match survivors {
        ..=10 => 0..200,
        11..=100 => 0..40,
        101..=500 => 0..3,
        _ => 0..1,
    }
}

pub(crate) fn print() {
    let head = [
        "survivors m",
        "seeds",
        "2(m−1)",
        "leave",
        "crash",
        "silence",
        "majority: crash",
        "majority: silence",
        "classic, worst case",
        "m²+m−1",
    ];
    let table = Table::begin(
        "Messages of one failover, heartbeats and their answers apart",
        &head,
    );
    let mut besides = Vec::new();
    for m in SURVIVORS {
        let world = |seed, succession, quorum| {
            World::settled(
                seed,
                usize::try_from(m + 1).unwrap_or(2),
                &config(succession, quorum),
            )
        };
        let mut failovers: [Vec<Failover>; 6] = Default::default();
        for seed in seeds(m) {
            let [leave, crash, silence, majority_crash, majority_silence, classic] = &mut failovers;
            let direct = world(seed, Succession::Direct, Quorum::None);
            leave.push(fail(&direct, Fault::Leave));
            crash.push(fail(&direct, Fault::Crash { spread: SPREAD }));
            silence.push(fail(&direct, Fault::Silence));
            let majority = world(seed, Succession::Direct, Quorum::Majority);
            majority_crash.push(fail(&majority, Fault::Crash { spread: SPREAD }));
            majority_silence.push(fail(&majority, Fault::Silence));
            // Always the same, so a few do.
            if seed < 3 {
                let slow = world(seed, Succession::Classic, Quorum::None);
                classic.push(fail(&slow, Fault::CrashSeenByTheLowest));
            }
        }
        let messages = failovers.iter().map(|runs| {
            let all = runs.iter().map(|run| run.messages);
            match runs.iter().map(|run| run.to_the_failed).max() {
                // The formula counts what is sent to the dead.
                _ if std::ptr::eq(runs, &failovers[5]) => {
                    range(runs.iter().map(|run| run.messages + run.to_the_failed))
                }
                _ => range(all),
            }
        });
        let mut row = vec![whole(m), whole(seeds(m).end), whole(2 * (m - 1))];
        row.extend(messages);
        row.push(whole(m * m + m - 1));
        table.row(&row);
        besides.push((m, failovers));
    }
    print_besides(&besides);
}

/// What the first table leaves out: the heartbeats, what was sent to the dead, and the time.
fn print_besides(besides: &[(u64, [Vec<Failover>; 6])]) {
    let head = [
        "survivors m",
        "heartbeats: crash",
        "heartbeats: silence",
        "to the failed: crash",
        "to the failed: silence",
        "time: leave",
        "time: crash",
        "time: silence",
        "time: majority, crash",
        "time: classic",
    ];
    let title = "The same failovers: heartbeats and answers, messages to the failed server, and virtual ms";
    let table = Table::begin(title, &head);
    for (m, [leave, crash, silence, majority_crash, _, classic]) in besides {
        let heartbeats = |runs: &[Failover]| range(runs.iter().map(|run| run.heartbeats));
        let lost = |runs: &[Failover]| range(runs.iter().map(|run| run.to_the_failed));
        let time = |runs: &[Failover]| range(runs.iter().map(|run| rounded_ms(run.time)));
        table.row(&[
            whole(*m),
            heartbeats(crash),
            heartbeats(silence),
            lost(crash),
            lost(silence),
            time(leave),
            time(crash),
            time(silence),
            time(majority_crash),
            time(classic),
        ]);
    }
}

fn rounded_ms(time: Duration) -> u64 {
    u64::try_from((time.as_micros() + 500) / 1_000).unwrap_or(u64::MAX)
}
