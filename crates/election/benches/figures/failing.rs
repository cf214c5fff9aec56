//! One failover in the virtual world, and its messages.

use std::time::Duration;

use bellwether_election::{Config, Quorum, Succession};

use crate::world::World;

/// The way in which the coordinator ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It hands over.
    Leave,
    /// Its process ends; connections to it are refused within this time.
    Crash { spread: Duration },
    /// Its process ends, and only the lowest-ranked survivor notices at first: the worst case of
    /// the classic algorithm.
    CrashSeenByTheLowest,
    /// It hangs: it sends nothing and no connection breaks.
    Silence,
}

/// The cost of one failover.
pub(crate) struct Failover {
    /// Messages between servers that are alive, without heartbeats and their answers.
    pub(crate) messages: u64,
    /// The same to the server that has gone, until all survivors follow another.
    pub(crate) to_the_failed: u64,
    /// Heartbeats and their answers until all survivors follow another and have been answered.
    pub(crate) heartbeats: u64,
    /// From the fault until there was another coordinator.
    pub(crate) time: Duration,
}

pub(crate) fn config(succession: Succession, quorum: Quorum) -> Config {
    Config {
        succession,
        quorum,
        ..Config::default()
    }
}

/// Lets the coordinator of a settled world fail, and the others settle again.
pub(crate) fn fail(world: &World, fault: Fault) -> Failover {
    let mut world = world.clone();
    let coordinator = world.coordinator().expect("a settled world");
    let started = world.elapsed();
    match fault {
        Fault::Leave => world.leave(coordinator),
        Fault::Crash { spread } => world.crash(coordinator, spread),
        Fault::CrashSeenByTheLowest => world.crash_seen_first_by(0, coordinator),
        Fault::Silence => world.silence(coordinator),
    }
    while world.elector(coordinator).is_some() || !world.is_settled() {
        assert!(
            world.elapsed() < started + Duration::from_secs(30),
            "{fault:?}: the survivors do not agree"
        );
        world.run(Duration::from_millis(1));
    }
    let time = Duration::from_micros(world.coordinator_at_us) - started;
    world.run(Duration::from_millis(5));
    let settled = world.said.clone();
    // Later consequences belong to it too, except that announcements to dead servers never end.
    world.run(Duration::from_secs(2));
    assert!(world.is_settled(), "{fault:?}: the survivors did not stay agreed");
    Failover {
        messages: world.said.among_survivors(),
        to_the_failed: settled.to_the_failed(),
        heartbeats: settled.heartbeats(),
        time,
    }
}
