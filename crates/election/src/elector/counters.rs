//! Counts of an elector's events.

use core::time::Duration;

use rand::RngCore;

use super::{Elector, Role, State};
use crate::{Coordinator, Instant};

/// Counts since the server started. All only grow, except the two durations, which are the newest
/// ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counters {
    /// Times this server was without a coordinator, the start included.
    pub elections: u64,
    /// Times this server became coordinator.
    pub gained: u64,
    /// Times this server ceased to be coordinator. Equal to `gained` or one less.
    pub lost: u64,
    /// Elections that ended with the same coordinator: the suspicion was wrong. A large count means
    /// that the timeout is too short for the network or the load.
    pub flaps: u64,
    /// Times that the arbiter had not granted an epoch that a peer had named.
    pub refuted: u64,
    /// Messages that the transport has received from this server.
    pub sent: u64,
    /// Messages received from peers.
    pub received: u64,
    /// Time from the last message of the coordinator until this server gave it up, the last time.
    pub last_detection: Option<Duration>,
    /// Time from the last message of the coordinator until this server knew another, the last time.
    pub last_failover: Option<Duration>,
}

/// A coordinator without a successor yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LostCoordinator {
    pub(super) coordinator: Coordinator,
    pub(super) heard: Instant,
}

impl<R: RngCore> Elector<R> {
    /// Keeps the counts when the role changes.
    pub(super) fn account(&mut self, old_state: &State, before: &Role, after: &Role) {
        if let (State::Following(following), Role::Electing) = (old_state, after) {
            self.lost = Some(LostCoordinator {
                coordinator: following.coordinator.clone(),
                heard: following.heard(),
            });
        }
        if let (Role::Follower { coordinator: old }, Role::Follower { coordinator: new }) = (before, after)
            && old != new
            && let State::Following(following) = old_state
            && following.is_suspected()
        {
            self.counters.last_failover = Some(self.now.saturating_since(following.heard()));
        }
        let counters = &mut self.counters;
        match (before.own_epoch(), after.own_epoch()) {
            (None, Some(_)) => counters.gained += 1,
            (Some(_), None) => counters.lost += 1,
            _ => {}
        }
        let found = match after {
            Role::Electing => {
                counters.elections += u64::from(*before != Role::Electing);
                return;
            }
            Role::Follower { coordinator } => Some(coordinator),
            _ => None,
        };
        if let Some(lost) = self.lost.take() {
            if found == Some(&lost.coordinator) {
                counters.flaps += 1;
            } else if *after != Role::Left {
                counters.last_failover = Some(self.now.saturating_since(lost.heard));
            }
        }
    }
}
