//! Suspended machines: tokio's time stops for them while real time continues.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::sync::Mutex;

use tokio::time::{sleep, timeout};

use super::clock::{Clock, Suspensions};
use super::{Election, Term};
use crate::{Config, LocalArbiter, Member, Number, Quorum, ServerId, memory};

const LONG: Duration = Duration::from_secs(120);

/// A machine for each server, so that the test can suspend one alone.
struct Cluster {
    machines: Vec<Arc<Mutex<Duration>>>,
    elections: Vec<Election>,
}

impl Cluster {
    /// The first server has the largest rank.
    fn start(quorum: Quorum) -> Self {
        let config = Config {
            quorum,
            ..Config::default()
        };
        let network = memory::Network::new();
        let names = ["a", "b", "c"].map(|name| name.parse::<ServerId>().expect("an id"));
        let machines: Vec<Arc<Mutex<Duration>>> = names.iter().map(|_| Arc::default()).collect();
        let elections = names.iter().zip(&machines).zip([3, 2, 1]);
        let elections = elections.map(|((id, machine), number)| {
            let clock = Clock::start(Suspensions::Simulated(Arc::clone(machine)));
            let me = Member::new(id.clone(), Number(number));
            let transport = network.join(id.clone());
            let election =
                Election::start_on(clock, config.clone(), me, names.clone(), transport, LocalArbiter);
            election.expect("the configuration is valid")
        });
        Self {
            elections: elections.collect(),
            machines,
        }
    }

    /// The server wakes after this time, while no time has passed on its tokio clock.
    fn wake_after(&self, server: usize, suspended: Duration) {
        *self.machines[server]
            .lock()
            .expect("no task panics with the lock") += suspended;
    }

    async fn gained(&self, server: usize) -> Term {
        let mut leadership = self.elections[server].leadership();
        let gained = timeout(LONG, leadership.next_term()).await;
        gained
            .expect("it becomes coordinator")
            .expect("the election goes on")
    }
}

/// While a coordinator slept, the others may have elected another.
#[tokio::test(start_paused = true)]
async fn a_term_is_over_at_the_moment_its_machine_wakes() {
    for quorum in [Quorum::Majority, Quorum::None, Quorum::Arbiter] {
        let cluster = Cluster::start(quorum);
        let term = cluster.gained(0).await;
        sleep(Duration::from_secs(3)).await;
        assert!(term.is_valid());
        cluster.wake_after(0, Duration::from_secs(4));
        // No server has sent a message yet, and no task has run.
        assert!(!term.is_valid(), "{quorum:?}");
        let now = tokio::time::Instant::now();
        assert!(term.valid_until().is_none_or(|until| until <= now), "{quorum:?}");
        timeout(LONG, term.lost()).await.expect("it steps down");
        let next = cluster.gained(0).await;
        assert!(next.is_valid() && next.epoch() > term.epoch(), "{quorum:?}");
    }
}

/// A suspension that is shorter than the rest of the lease does no harm.
#[tokio::test(start_paused = true)]
async fn a_short_suspension_is_forgiven() {
    let cluster = Cluster::start(Quorum::Majority);
    let term = cluster.gained(0).await;
    sleep(Duration::from_secs(3)).await;
    let before = term.valid_until().expect("a lease");
    cluster.wake_after(0, Duration::from_millis(100));
    assert!(term.is_valid());
    assert_eq!(term.valid_until(), Some(before - Duration::from_millis(100)));
    sleep(Duration::from_secs(3)).await;
    assert!(term.is_valid(), "it is renewed");
}

/// A server without a coordinator, in a long wait, looks at the clock soon after it wakes.
#[tokio::test(start_paused = true)]
async fn a_deadline_passes_while_the_machine_sleeps() {
    let cluster = Cluster::start(Quorum::None);
    let term = cluster.gained(0).await;
    sleep(Duration::from_secs(3)).await;
    let begun = tokio::time::Instant::now();
    // All machines, as when a user closes a laptop.
    (0..3).for_each(|server| cluster.wake_after(server, Duration::from_secs(3600)));
    timeout(LONG, term.lost()).await.expect("it steps down");
    // Virtual time: the next timer fires after the heartbeat interval.
    assert!(
        begun.elapsed() <= Config::default().heartbeat,
        "{:?}",
        begun.elapsed()
    );
    assert!(cluster.gained(0).await.is_valid());
}
