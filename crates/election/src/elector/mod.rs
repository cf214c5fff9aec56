//! The state machine. It takes messages, link hints, grants and the time, and yields messages to send, claims
//! to make and changes of role. It reads no clock, does no I/O and allocates no timers.

mod follow;
mod lead;
mod peers;
mod rebase;
mod stand;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rand::RngCore;

use self::follow::Following;
use self::lead::{Draining, Leading};
use self::peers::Peers;
use self::stand::{Searching, Standing};
use crate::{Body, Config, ConfigError, Epoch, Incumbent, Instant, Member, Message, Number, Rank, ServerId};

/// What a server is in the election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It knows of no coordinator.
    Electing,
    /// It follows a coordinator.
    Follower {
        /// Whom it follows.
        coordinator: Incumbent,
    },
    /// It is coordinator.
    Coordinator {
        /// Its fencing token.
        epoch: Epoch,
    },
    /// It is coordinator for the last time: finish the work in hand, start none, then report
    /// [`Elector::drained`].
    Draining {
        /// The epoch that is about to end.
        epoch: Epoch,
        /// Who comes next, if there is anyone.
        successor: Option<ServerId>,
    },
    /// It has left the election and takes no further part.
    Left,
}

/// What the caller is to do. Take them from [`Elector::poll_output`] in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Output {
    /// Send this message. It may be lost; nothing depends on its arrival.
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        message: Message,
    },
    /// Ask the arbiter for an epoch and report with [`Elector::handle_claim`].
    Claim(Claim),
    /// The role has changed.
    Role(Role),
}

/// A request for an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Who asks.
    pub rank: Rank,
    /// The largest epoch the claimant knows of. The one granted must be larger.
    pub above: Epoch,
}

/// What a transport knows about the way to a peer. Hints only: they make the election faster, and it is
/// correct without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Messages can be sent.
    Up,
    /// The connection is lost and the transport is trying again.
    Down,
    /// The connection is lost and the peer's host refused another: nobody listens there any more.
    Refused,
}

/// A peer as the elector sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// The peer's id.
    pub id: ServerId,
    /// What it last said of itself.
    pub member: Option<Member>,
    /// Whether the link to it is up, as far as the transport has said.
    pub connected: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Searching(Searching),
    Standing(Standing),
    Following(Following),
    Leading(Leading),
    Draining(Draining),
    Left,
}

/// One server's part in the election.
///
/// Call a `handle_…` method or [`set_fit`](Self::set_fit), [`resign`](Self::resign) and the like when something
/// happens, then take every [`Output`], then wait until [`poll_timeout`](Self::poll_timeout) for the next
/// thing to happen. `now` must never go backwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Elector<R> {
    config: Config,
    rng: R,
    me: Member,
    peers: Peers,
    state: State,
    /// The largest epoch any coordinator is known to have had.
    seen: Epoch,
    now: Instant,
    /// A claim has been asked for and not been answered yet.
    claim_pending: bool,
    /// Until then a better-ranked follower leaves the coordinator alone, because its last claim failed.
    calm_until: Instant,
    outputs: VecDeque<Output>,
}

impl<R: RngCore> Elector<R> {
    /// A server that has just started and knows nobody's state.
    ///
    /// `peers` are the ids of all other servers. The server is taken to be fit until told otherwise.
    ///
    /// # Errors
    /// If `config` cannot work.
    pub fn new(
        config: Config,
        id: ServerId,
        number: Number,
        peers: impl IntoIterator<Item = ServerId>,
        rng: R,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let peers = Peers::new(peers.into_iter().filter(|peer| *peer != id));
        let until = now + config.startup_grace;
        let mut elector = Self {
            config,
            rng,
            me: Member {
                rank: Rank { number, id },
                fit: true,
            },
            peers,
            state: State::Searching(Searching::at_start(until)),
            seen: Epoch::ZERO,
            now,
            claim_pending: false,
            calm_until: now,
            outputs: VecDeque::new(),
        };
        elector.output(Output::Role(Role::Electing));
        elector.check_search();
        Ok(elector)
    }

    /// This server.
    pub fn member(&self) -> &Member {
        &self.me
    }

    /// The current role.
    pub fn role(&self) -> Role {
        match &self.state {
            State::Searching(_) | State::Standing(_) => Role::Electing,
            State::Following(following) => Role::Follower {
                coordinator: following.incumbent.clone(),
            },
            State::Leading(leading) => Role::Coordinator { epoch: leading.epoch },
            State::Draining(draining) => Role::Draining {
                epoch: draining.epoch,
                successor: draining.successor.clone(),
            },
            State::Left => Role::Left,
        }
    }

    /// The largest epoch any coordinator is known to have had.
    pub fn seen_epoch(&self) -> Epoch {
        self.seen
    }

    /// The peers, in order of their ids.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.peers.views()
    }

    /// The next thing to do, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called if nothing happens before. It may move
    /// after every call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Searching(searching) => Some(searching.until),
            State::Standing(standing) => standing.until(),
            State::Following(following) => Some(following.next_deadline(&self.config)),
            State::Leading(leading) => Some(leading.tick_at),
            State::Draining(draining) => Some(draining.until),
            State::Left => None,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        match &self.state {
            State::Searching(_) => self.check_search(),
            State::Standing(_) => self.check_standing(),
            State::Following(_) => self.check_following(),
            State::Leading(_) => self.check_leading(),
            State::Draining(_) => self.check_draining(),
            State::Left => {}
        }
    }

    /// A message from a peer has arrived. Messages from strangers are ignored.
    pub fn handle_message(&mut self, now: Instant, from: &ServerId, message: Message) {
        self.advance(now);
        let Message { sender, body } = message;
        if matches!(self.state, State::Left) || sender.rank.id != *from || !self.peers.heard(now, &sender) {
            return;
        }
        self.notice_restart(&sender, &body);
        match body {
            Body::Query => self.on_query(&sender),
            Body::Known { incumbent } => self.on_known(&sender, incumbent),
            Body::Election => self.on_election(&sender),
            Body::Answer => self.on_answer(&sender),
            Body::Decline => self.on_decline(&sender),
            Body::Coordinator { epoch } => self.on_coordinator(Incumbent {
                rank: sender.rank,
                epoch,
            }),
            Body::Heartbeat { epoch } => self.on_heartbeat(&sender, epoch),
            Body::HeartbeatAck { epoch, roster } => self.on_heartbeat_ack(&sender, epoch, roster),
            Body::Handover { epoch } => self.on_handover(&sender, epoch),
        }
    }

    /// The transport has something to say about the link to a peer.
    pub fn handle_link(&mut self, now: Instant, peer: &ServerId, link: Link) {
        self.advance(now);
        if !self.peers.set_link(peer, link) {
            return;
        }
        match (&mut self.state, link) {
            (State::Searching(_), Link::Up) => self.send(peer, Body::Query),
            (State::Leading(leading), Link::Up) => {
                let epoch = leading.epoch;
                self.send(peer, Body::Coordinator { epoch });
            }
            (State::Searching(_), _) => self.check_search(),
            (State::Standing(standing), Link::Refused) if standing.waits_for(peer) => self.stand(),
            (State::Following(_), Link::Up | Link::Refused) => self.on_follower_link(peer, link),
            _ => {}
        }
    }

    /// The arbiter has answered a [`Claim`]: an epoch, or nothing if it refused or could not be reached.
    pub fn handle_claim(&mut self, now: Instant, granted: Option<Epoch>) {
        self.advance(now);
        self.claim_pending = false;
        match granted {
            // Also when this server has begun to follow somebody meanwhile: a newer grant has fenced that
            // coordinator off already, so refusing it would leave the cluster without one.
            Some(epoch) if epoch > self.seen && !matches!(self.state, State::Draining(_) | State::Left) => {
                self.lead(epoch);
            }
            _ => self.on_claim_failed(),
        }
    }

    /// Says whether this server could do the coordinator's work now, for example whether it reaches its
    /// database. A server that is not fit does not stand; a coordinator that is not fit hands over to a
    /// follower that is, after [`Config::unfit_patience`], and gives up after [`Config::unfit_grace`].
    pub fn set_fit(&mut self, now: Instant, fit: bool) {
        self.advance(now);
        if self.me.fit == fit {
            return;
        }
        self.me.fit = fit;
        match &self.state {
            State::Standing(Standing::Resting { .. }) if fit => self.search(),
            // So that the others do not stand in the belief that this one cannot.
            State::Searching(_) if fit => self.broadcast(&Body::Query),
            State::Following(_) => self.beat_now(),
            _ => {}
        }
    }

    /// Something the coordinator writes to has refused `epoch` as too old: another server has been granted a
    /// newer one. Steps down at once. Ignored if this server is not coordinator under that epoch.
    pub fn step_down(&mut self, now: Instant, epoch: Epoch) {
        self.advance(now);
        if matches!(&self.state, State::Leading(leading) if leading.epoch == epoch) {
            self.search();
        }
    }

    /// Leaves the election for good. A coordinator drains and hands over first; the role is
    /// [`Role::Left`] when that is done.
    pub fn leave(&mut self, now: Instant) {
        self.advance(now);
        match &mut self.state {
            State::Leading(_) => self.drain(None, true),
            State::Draining(draining) => draining.leaving = true,
            _ => self.enter(State::Left),
        }
    }

    /// Hands the coordinator's office over to the best-ranked follower but stays in the election. Ignored if
    /// this server is not coordinator or no follower could take over.
    ///
    /// Under the classic policy a server with a larger rank takes the office back when it can, so this is for
    /// a coordinator that is about to become unfit.
    pub fn resign(&mut self, now: Instant) {
        self.advance(now);
        if matches!(self.state, State::Leading(_)) && self.successor().is_some() {
            self.drain(None, false);
        }
    }

    /// The work under `epoch` is finished and none will follow: the answer to [`Role::Draining`]. Ignored in
    /// every other role, so that calling it twice does no harm.
    pub fn drained(&mut self, now: Instant, epoch: Epoch) {
        self.advance(now);
        if matches!(&self.state, State::Draining(draining) if draining.epoch == epoch) {
            self.hand_over();
        }
    }

    /// Moves the clock and notices when this process itself was stopped for longer than the timeout. It then
    /// cannot know what it missed, so it distrusts itself before it distrusts the others.
    fn advance(&mut self, now: Instant) {
        let gap = now.saturating_since(self.now);
        self.now = self.now.max(now);
        if gap <= self.config.timeout {
            return;
        }
        match &mut self.state {
            State::Following(following) => following.forgive_silence(now),
            State::Leading(_) => self.search(),
            _ => {}
        }
    }

    fn enter(&mut self, state: State) {
        let before = self.role();
        self.state = state;
        let after = self.role();
        if before != after {
            self.output(Output::Role(after));
        }
    }

    fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn send(&mut self, to: &ServerId, body: Body) {
        let message = Message {
            sender: self.me.clone(),
            body,
        };
        self.output(Output::Send {
            to: to.clone(),
            message,
        });
    }

    fn broadcast(&mut self, body: &Body) {
        let to: Vec<ServerId> = self.peers.reachable().cloned().collect();
        for peer in to {
            self.send(&peer, body.clone());
        }
    }

    /// The coordinator this server vouches for: itself, or the one it hears.
    fn heard_incumbent(&self) -> Option<Incumbent> {
        match &self.state {
            // A link that is lost may be the first sign of the end: no ground to vouch for anybody.
            State::Following(following)
                if following.hears(self.now, &self.config)
                    && self.peers.is_reachable(&following.incumbent.rank.id) =>
            {
                Some(following.incumbent.clone())
            }
            State::Leading(Leading { epoch, .. }) => Some(Incumbent {
                rank: self.me.rank.clone(),
                epoch: *epoch,
            }),
            _ => None,
        }
    }

    fn on_query(&mut self, sender: &Member) {
        let peer = &sender.rank.id;
        if let State::Leading(Leading { epoch, .. }) = self.state {
            return self.send(peer, Body::Coordinator { epoch });
        }
        let incumbent = self.heard_incumbent();
        if let (State::Following(following), Some(_)) = (&mut self.state, &incumbent) {
            following.vouched_to.insert(peer.clone());
        }
        self.send(peer, Body::Known { incumbent });
    }

    fn on_election(&mut self, sender: &Member) {
        let peer = &sender.rank.id;
        match &self.state {
            State::Leading(leading) => {
                let epoch = leading.epoch;
                if sender.fit && sender.rank > self.me.rank {
                    self.drain(Some(peer.clone()), false);
                } else {
                    self.send(peer, Body::Coordinator { epoch });
                }
            }
            State::Draining(_) | State::Left => {}
            State::Following(_) if self.heard_incumbent().is_some() => {
                let incumbent = self.heard_incumbent();
                self.send(peer, Body::Known { incumbent });
            }
            _ if !self.me.fit => self.send(peer, Body::Decline),
            State::Following(_) => {
                // Both have lost it, so nobody needs to be asked any more.
                self.send(peer, Body::Answer);
                self.stand_without();
            }
            State::Standing(Standing::Resting { .. }) => {
                self.send(peer, Body::Answer);
                self.stand();
            }
            State::Searching(_) | State::Standing(_) => self.send(peer, Body::Answer),
        }
    }

    fn on_coordinator(&mut self, incumbent: Incumbent) {
        let ours = match &self.state {
            State::Leading(leading) => Some(Incumbent {
                rank: self.me.rank.clone(),
                epoch: leading.epoch,
            }),
            State::Following(following) => Some(following.incumbent.clone()),
            _ => None,
        };
        match ours {
            Some(ours) if ours == incumbent => self.on_follower_heard(),
            Some(ours) if ours.outranks(&incumbent) => {
                let heard = self.heard_incumbent();
                self.send(&incumbent.rank.id, Body::Known { incumbent: heard });
            }
            None if incumbent.epoch < self.seen => {}
            _ => self.follow(incumbent),
        }
    }
}
