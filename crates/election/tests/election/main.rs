//! Elections as their users run them: on tokio, over the in-memory transport.
//!
//! Time is tokio's paused clock: it jumps to the next timer whenever all tasks wait. So nothing
//! here depends on the speed of the machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod holding;
mod made_up;
mod members;
mod policies;
mod quorum;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bellwether_election::{
    Arbiter, Claim, Config, Election, Epoch, LocalArbiter, Member, Number, Role, ServerId, Term, memory,
};

/// Longer than any wait of the algorithm: a hang becomes a failure.
const LONG: Duration = Duration::from_secs(120);

fn id(id: &str) -> ServerId {
    id.parse().unwrap()
}

/// Grants epochs to a whole cluster, as a database would.
#[derive(Clone, Default)]
struct SharedArbiter {
    newest: Arc<AtomicU64>,
    /// Number of questions for the newest epoch.
    asked: Arc<AtomicU64>,
    unreachable: Arc<AtomicBool>,
}

impl Arbiter for SharedArbiter {
    type Error = &'static str;

    async fn claim(&self, _: Claim) -> Result<Epoch, Self::Error> {
        Ok(Epoch(self.newest.fetch_add(1, Ordering::SeqCst) + 1))
    }

    async fn confirm(&self, epoch: Epoch) -> Result<bool, Self::Error> {
        Ok(self.newest.load(Ordering::SeqCst) == epoch.0)
    }

    async fn newest(&self) -> Result<Option<Epoch>, Self::Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.unreachable.load(Ordering::SeqCst) {
            return Err("unreachable");
        }
        Ok(Some(Epoch(self.newest.load(Ordering::SeqCst))))
    }
}

struct Cluster {
    network: memory::Network,
    arbiter: SharedArbiter,
    config: Config,
    ids: Vec<ServerId>,
}

impl Cluster {
    fn new(config: Config, ids: &[&str]) -> Self {
        Self {
            network: memory::Network::new(),
            arbiter: SharedArbiter::default(),
            config,
            ids: ids.iter().map(|name| id(name)).collect(),
        }
    }

    fn start(&self, me: Member) -> Election {
        let transport = self.network.join(me.rank.id.clone());
        Election::start(
            self.config.clone(),
            me,
            self.ids.clone(),
            transport,
            self.arbiter.clone(),
        )
        .unwrap()
    }
}

fn member(name: &str, number: u64) -> Member {
    Member::new(id(name), Number(number))
}

/// Waits until `election` follows the server of this name.
async fn follows(election: &Election, name: &str) {
    let wanted = id(name);
    until(
        election,
        |role| matches!(role, Role::Follower { coordinator } if coordinator.rank.id == wanted),
    )
    .await;
}

async fn leads(election: &Election) -> Epoch {
    let role = until(election, |role| matches!(role, Role::Coordinator { .. })).await;
    role.own_epoch().unwrap()
}

async fn until(election: &Election, wanted: impl Fn(&Role) -> bool) -> Role {
    let mut role = election.role();
    let reached = tokio::time::timeout(LONG, role.wait_for(|role| wanted(role)))
        .await
        .map(|role| role.unwrap().clone());
    reached.unwrap_or_else(|_| panic!("still {:?}", *election.role().borrow()))
}

async fn gained(election: &Election) -> Term {
    let mut leadership = election.leadership();
    tokio::time::timeout(LONG, leadership.next_term())
        .await
        .unwrap()
        .unwrap()
}
