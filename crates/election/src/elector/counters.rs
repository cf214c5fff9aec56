//! What has happened to an elector so far, in numbers.

use core::time::Duration;

use rand::RngCore;

use super::{Elector, Role, State};
use crate::{Incumbent, Instant};

/// Counts since the server started. All only grow, except the two durations, which are the newest ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counters {
    /// Times this server was without a coordinator, the start included.
    pub elections: u64,
    /// Times this server became coordinator.
    pub gained: u64,
    /// Times this server ceased to be coordinator. Equal to `gained` or one less.
    pub lost: u64,
    /// Elections that ended with the coordinator they began with: it was doubted for nothing. Many of them
    /// mean that the timeout is too short for the network or the load.
    pub flaps: u64,
    /// Times the arbiter had not granted an epoch that a peer had named.
    pub refuted: u64,
    /// Messages handed to the transport.
    pub sent: u64,
    /// Messages received from peers.
    pub received: u64,
    /// The last time a coordinator was given up: from its last word until then.
    pub last_detection: Option<Duration>,
    /// The last time a coordinator was replaced: from its last word until this server knew another.
    pub last_failover: Option<Duration>,
}

/// A coordinator that was given up and has not been replaced yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Loss {
    pub(super) incumbent: Incumbent,
    pub(super) heard: Instant,
}

impl<R: RngCore> Elector<R> {
    /// Keeps the counts when the role changes.
    pub(super) fn account(&mut self, old_state: &State, before: &Role, after: &Role) {
        if let (State::Following(following), Role::Electing) = (old_state, after) {
            self.loss = Some(Loss {
                incumbent: following.incumbent.clone(),
                heard: following.heard(),
            });
        }
        if let (Role::Follower { coordinator: old }, Role::Follower { coordinator: new }) = (before, after)
            && old != new
            && let State::Following(following) = old_state
            && following.is_doubted()
        {
            self.counters.last_failover = Some(self.now.saturating_since(following.heard()));
        }
        let counters = &mut self.counters;
        match (before.office(), after.office()) {
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
        if let Some(loss) = self.loss.take() {
            if found == Some(&loss.incumbent) {
                counters.flaps += 1;
            } else if *after != Role::Left {
                counters.last_failover = Some(self.now.saturating_since(loss.heard));
            }
        }
    }
}
