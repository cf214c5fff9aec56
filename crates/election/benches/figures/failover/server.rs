//! One server of a cluster that is to fail.

use std::io;
use std::time::Duration;

use bellwether_election::{
    Config, Election, LocalArbiter, Member, Number, Quorum, Role, ServerId, Transport,
};

use super::{Standing, monotonic};

pub(super) fn ids(servers: usize) -> io::Result<Vec<ServerId>> {
    let id = |server| format!("s{server}").parse().map_err(io::Error::other);
    (0..servers).map(id).collect()
}

/// Starts an election that tells what it becomes, and when.
pub(super) fn start(
    id: &ServerId,
    ids: &[ServerId],
    quorum: Quorum,
    transport: impl Transport,
    mut report: impl FnMut(Standing, Duration) + Send + 'static,
) -> io::Result<Election> {
    let config = Config {
        quorum,
        ..Config::default()
    };
    let me = Member::new(id.clone(), Number::random());
    let election = Election::start(config, me, ids.iter().cloned(), transport, LocalArbiter);
    let election = election.map_err(io::Error::other)?;
    // Nobody ever holds a tenure, so nothing has to be finished before a hand-over.
    let _ = election.leadership();
    let mut role = election.role();
    tokio::spawn(async move {
        while role.changed().await.is_ok() {
            let standing = match *role.borrow_and_update() {
                Role::Coordinator { epoch } => Standing::Coordinator(epoch),
                Role::Follower { ref coordinator } => Standing::Follower(coordinator.epoch),
                _ => Standing::Neither,
            };
            if let Ok(at) = monotonic() {
                report(standing, at);
            }
        }
    });
    Ok(election)
}

pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
