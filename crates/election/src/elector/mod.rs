//! The state machine. Its inputs are messages, link hints, grants and the time. Its outputs are
//! messages, claims and changes of role. It reads no clock, does no I/O and allocates no timers.
//!
//! - `events` has a table of events and roles, which names the handler. Requests of the program are
//!   in `requests`.
//! - Each role has a file: `searching`, `candidate`, `follower`, `coordinator` and `draining`. The
//!   follower's `suspicion` finds out if the coordinator has failed.
//! - All roles share the `peers`, the votes given (`vote`), and `epoch_check`, which checks epochs
//!   with the arbiter.

mod candidate;
mod classic;
mod coordinator;
mod counters;
mod draining;
mod epoch_check;
mod events;
mod follower;
mod output;
mod peers;
mod requests;
mod searching;
mod suspicion;
mod time_shift;
mod vote;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rand::RngCore;

use self::candidate::Candidate;
use self::coordinator::Leading;
use self::counters::LostCoordinator;
use self::draining::Draining;
use self::epoch_check::EpochCheck;
use self::follower::Following;
use self::peers::Peers;
use self::searching::Searching;
use self::suspicion::AdaptiveTimeout;
use self::vote::Promises;
use crate::{Body, Config, ConfigError, Coordinator, Epoch, Instant, Member, ServerId};

pub use self::counters::Counters;
pub use self::output::{Claim, Link, Newest, Output, PeerView, ResignError, Role};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Searching(Searching),
    Candidate(Candidate),
    Following(Following),
    Leading(Leading),
    Draining(Draining),
    Left,
}

/// One server's part in the election.
///
/// After each event, call a `handle_…` method, or [`set_eligible`](Self::set_eligible),
/// [`resign`](Self::resign) and the like. Then take every [`Output`]. Then wait until
/// [`poll_timeout`](Self::poll_timeout) for the next event. `now` must never go backwards.
///
/// Equal electors with equal inputs behave alike. A model checker needs that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Elector<R> {
    config: Config,
    rng: R,
    me: Member,
    peers: Peers,
    state: State,
    /// The largest epoch of any coordinator that this server knows.
    seen: Epoch,
    now: Instant,
    /// Time of the claim that the arbiter has not answered yet.
    claimed_at: Option<Instant>,
    /// Time until which a better-ranked follower does not challenge the coordinator, because its
    /// last claim failed.
    no_challenge_before: Instant,
    /// The epoch that this server resigned from, until it is coordinator again.
    resigned_under: Option<Epoch>,
    /// The epoch after that, whose coordinator this server does not challenge.
    resigned_to: Option<Epoch>,
    /// The coordinator that has stepped down by its own word, or whose server has restarted. Other
    /// servers may not know this yet. So this server follows that coordinator again only after a
    /// message from it.
    former_coordinator: Option<Coordinator>,
    /// Times in a row that this server stepped down for a coordinator that it did not hear.
    superseded: u32,
    /// Time until which this server does not campaign, because it stepped down for a newer
    /// coordinator.
    no_campaign_before: Instant,
    promises: Promises,
    epoch_check: EpochCheck,
    adaptive_timeout: AdaptiveTimeout,
    lost: Option<LostCoordinator>,
    counters: Counters,
    /// Grows with every change of [`role`](Self::role) and [`peers`](Self::peers).
    changes: u64,
    outputs: VecDeque<Output>,
    /// Scratch space of `supported_until`.
    supports: Vec<Instant>,
}

impl<R: RngCore> Elector<R> {
    /// Returns a server that has just started and knows no peer's state.
    ///
    /// `me` is this server, whose number should be new for this start. `peers` are the ids of all
    /// other servers, with or without its own.
    ///
    /// # Errors
    /// If `config` cannot work.
    pub fn new(
        config: Config,
        me: Member,
        peers: impl IntoIterator<Item = ServerId>,
        rng: R,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let peers = Peers::new(peers.into_iter().filter(|peer| *peer != me.rank.id));
        let searching = Searching::at_start(now + config.startup_grace, now + config.timeout / 2);
        // Clocks may differ in rate by a tenth, so a promise of another process may last that much
        // longer.
        let no_promise_before = now + config.timeout + config.timeout / 10;
        let mut elector = Self {
            config,
            rng,
            me,
            peers,
            state: State::Searching(searching),
            seen: Epoch::ZERO,
            now,
            claimed_at: None,
            no_challenge_before: now,
            resigned_under: None,
            resigned_to: None,
            former_coordinator: None,
            superseded: 0,
            no_campaign_before: now,
            promises: Promises::none_before(no_promise_before),
            epoch_check: EpochCheck::new(now),
            adaptive_timeout: AdaptiveTimeout::default(),
            lost: None,
            counters: Counters::default(),
            changes: 0,
            outputs: VecDeque::new(),
            supports: Vec::new(),
        };
        elector.counters.elections = 1;
        elector.output(Output::Role(Role::Electing));
        // A transport with links reports each link, and the server then asks again.
        elector.broadcast(&Body::Query);
        elector.check_search();
        Ok(elector)
    }

    /// Returns this server.
    pub fn member(&self) -> &Member {
        &self.me
    }

    /// Returns the current role.
    pub fn role(&self) -> Role {
        match &self.state {
            State::Searching(_) | State::Candidate(_) => Role::Electing,
            State::Following(following) => Role::Follower {
                coordinator: following.coordinator.clone(),
            },
            State::Leading(leading) => Role::Coordinator {
                epoch: leading.term.epoch,
            },
            State::Draining(draining) => Role::Draining {
                epoch: draining.term.epoch,
                successor: draining.successor.clone(),
            },
            State::Left => Role::Left,
        }
    }

    /// Returns the largest epoch of any coordinator that this server knows. It falls only when the
    /// arbiter says that it has not granted that epoch: see [`handle_newest`](Self::handle_newest).
    pub fn seen_epoch(&self) -> Epoch {
        self.seen
    }

    /// Returns the peers, in order of their ids.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.peers.views()
    }

    /// Returns counts of events so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns a number that grows whenever [`role`](Self::role), [`member`](Self::member) or
    /// [`peers`](Self::peers) change. So a caller that shows them need not compare them.
    pub fn revision(&self) -> u64 {
        self.changes + self.peers.revision()
    }

    /// Returns the next action for the caller, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns the coordinator that this server confirms: itself, or the one that it hears.
    pub(super) fn heard_coordinator(&self) -> Option<Coordinator> {
        match &self.state {
            State::Following(following) if self.hears_coordinator(following) => {
                Some(following.coordinator.clone())
            }
            _ => self.as_coordinator(),
        }
    }

    pub(super) fn as_coordinator(&self) -> Option<Coordinator> {
        match &self.state {
            State::Leading(Leading { term, .. }) | State::Draining(Draining { term, .. }) => {
                Some(Coordinator {
                    rank: self.me.rank.clone(),
                    epoch: term.epoch,
                })
            }
            _ => None,
        }
    }

    /// Returns the coordinator that a peer names, unless this server knows that it is coordinator
    /// no more.
    fn current(&self, named: Option<Coordinator>) -> Option<Coordinator> {
        // A rank with this server's id is an earlier incarnation of this server.
        named
            .filter(|coordinator| coordinator.rank.id != self.me.rank.id)
            .filter(|coordinator| self.former_coordinator.as_ref() != Some(coordinator))
    }

    fn enter(&mut self, state: State) {
        let before = self.role();
        let old = core::mem::replace(&mut self.state, state);
        let after = self.role();
        if before != after {
            self.account(&old, &before, &after);
            self.changes += 1;
            self.output(Output::Role(after));
        }
    }

    fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
