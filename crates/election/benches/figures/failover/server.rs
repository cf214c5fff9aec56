//! One server of a cluster that gets a fault.

use std::io;
use std::time::Duration;

use bellwether_election::{
    Config, Election, LocalArbiter, Member, Number, Quorum, Role, ServerId, Transport,
};

use super::{Candidate, monotonic};

pub(super) fn ids(servers: usize) -> io::Result<Vec<ServerId>> {
    let id = |server| format!("s{server}").parse().map_err(io::Error::other);
    (0..servers).map(id).collect()
}

/// Starts an election that reports each change of its role, and the time.
pub(super) fn start(
    id: &ServerId,
    ids: &[ServerId],
    quorum: Quorum,
    transport: impl Transport,
    mut report: impl FnMut(Candidate, Duration) + Send + 'static,
) -> io::Result<Election> {
    let config = Config {
        quorum,
        ..Config::default()
    };
    let me = Member::new(id.clone(), Number::random());
    let election = Election::start(config, me, ids.iter().cloned(), transport, LocalArbiter);
    let election = election.map_err(io::Error::other)?;
    // No part of this program ever holds a term, so no work must finish before a handover.
    let _ = election.leadership();
    let mut role = election.role();
    tokio::spawn(async move {
        while role.changed().await.is_ok() {
            let candidate = match *role.borrow_and_update() {
                Role::Coordinator { epoch } => Candidate::Coordinator(epoch),
                Role::Follower { ref coordinator } => Candidate::Follower(coordinator.epoch),
                _ => Candidate::Neither,
            };
            if let Ok(at) = monotonic() {
                report(candidate, at);
            }
        }
    });
    Ok(election)
}

pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
