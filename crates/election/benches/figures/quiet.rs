//! The cost of a second in which nothing happens.

use std::time::{Duration, Instant};

use bellwether_election::{Config, Quorum};

use crate::messages::SURVIVORS;
use crate::steady::{Coordinator, Follower};
use crate::table::{Table, ms, whole};
use crate::world::{Said, World};

/// Virtual seconds, to have whole heartbeats on average.
const SECONDS: u64 = 5;

pub(crate) fn print() {
    let head = [
        "followers",
        "messages",
        "heartbeats and answers of them",
        "bytes of JSON",
        "bytes a message",
        "CPU: coordinator's elector",
        "CPU: a follower's elector",
    ];
    let table = Table::begin("A quiet second of the whole cluster", &head);
    for followers in SURVIVORS {
        let count = usize::try_from(followers).unwrap_or(1);
        let mut world = World::settled(1, count + 1, &Config::default());
        world.said = Said::default();
        world.weigh = Some(|message| serde_json::to_vec(message).map_or(0, |json| json.len() as u64));
        world.run(Duration::from_secs(SECONDS));
        let heartbeats = world.said.heartbeats();
        let messages = heartbeats + world.said.among_survivors() + world.said.to_the_failed();
        let bytes = world.bytes;
        drop(world);
        let mut coordinator = Coordinator::new(count, Quorum::None);
        let mut follower = Follower::new(count, Quorum::None);
        table.row(&[
            whole(followers),
            whole(messages / SECONDS),
            whole(heartbeats / SECONDS),
            whole(bytes / SECONDS),
            whole(bytes / messages),
            ms(typical(|| coordinator.second())),
            ms(typical(|| follower.second())),
        ]);
    }
}

/// Returns the median of some runs: a run that the machine interrupted does not count.
fn typical(mut second: impl FnMut() -> u64) -> Duration {
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(second());
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
