//! The throughput of one core.

use std::time::{Duration, Instant};

use allocation_counter::measure;
use bellwether_election::Quorum;

use crate::steady::{Coordinator, Follower};
use crate::table::{Table, whole};

pub(crate) fn print() {
    let head = [
        "elector",
        "messages handled per second",
        "ns a message",
        "allocations a message",
    ];
    let table = Table::begin("Throughput of the core, one thread", &head);
    for quorum in [Quorum::None, Quorum::Majority] {
        let named = match quorum {
            Quorum::Majority => ", majority",
            _ => "",
        };
        for followers in [10, 100, 1000] {
            let mut coordinator = Coordinator::new(followers, quorum);
            let name = format!("coordinator, {followers} followers{named}: heartbeats, each answered");
            row(&table, name, || coordinator.second());
        }
        let mut follower = Follower::new(100, quorum);
        let name = format!("follower{named}: answers, each to a heartbeat it sent");
        row(&table, name, || follower.second());
    }
}

fn row(table: &Table, name: String, mut second: impl FnMut() -> u64) {
    let start = Instant::now();
    let mut handled = 0;
    while start.elapsed() < Duration::from_secs(1) {
        handled += second();
    }
    let took = start.elapsed();
    let mut counted = 0;
    let allocated = measure(|| {
        for _ in 0..10 {
            counted += second();
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
    let (handled, allocations) = (handled as f64, allocated.count_total as f64 / counted as f64);
    let per_second = handled / took.as_secs_f64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "figures to look at"
    )]
    let rounded = (per_second / 1e4).round() as u64 * 10_000;
    table.row(&[
        name,
        whole(rounded),
        format!("{:.0}", 1e9 / per_second),
        format!("{allocations}"),
    ]);
}
