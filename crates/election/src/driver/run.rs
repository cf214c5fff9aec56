//! The task that an election runs in.

use alloc::sync::Arc;
use core::time::Duration;

use rand::rngs::SmallRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{Instrument, debug, info, warn};

use super::clock::Clock;
use super::leadership::Terms;
use super::{FastView, View};
use crate::{
    Arbiter, Counters, Elector, Epoch, Event, Instant, Newest, Output, ResignError, Role, ServerId, Transport,
};

#[derive(Debug)]
pub(super) enum Request {
    SetEligible(bool),
    AddPeer(ServerId),
    RemovePeer(ServerId),
    StepDown(Epoch),
    Drained(Epoch),
    /// The answer is the epoch that ends.
    Resign(oneshot::Sender<Result<Epoch, ResignError>>),
    Leave,
}

/// A question to the arbiter, and its answer; `None` if the arbiter was unreachable.
enum ArbiterAnswer {
    Claim(Option<Epoch>),
    Confirm(Epoch, Option<bool>),
    Newest(Newest),
}

/// Channels that publish the state of the election.
pub(super) struct Publishers {
    pub(super) role: watch::Sender<Role>,
    pub(super) view: watch::Sender<View>,
    pub(super) fast_view: watch::Sender<FastView>,
}

/// Times of the configuration that the driver needs.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    /// Longest sleep of the driver. Its timers stop while the machine is suspended. So the driver
    /// looks at the clock within this time after the machine wakes.
    pub(super) heartbeat: Duration,
    /// An elector steps down after a longer time without a call.
    pub(super) timeout: Duration,
}

pub(super) struct Driver<T, A> {
    elector: Elector<SmallRng>,
    transport: T,
    arbiter: Arc<A>,
    claims: JoinSet<ArbiterAnswer>,
    confirmations: JoinSet<ArbiterAnswer>,
    newest_queries: JoinSet<ArbiterAnswer>,
    clock: Clock,
    timing: Timing,
    publishers: Publishers,
    published_revision: u64,
    /// The last moment that the elector has received.
    last_call: Instant,
    terms: Arc<Terms>,
}

impl<T: Transport, A: Arbiter> Driver<T, A> {
    pub(super) fn new(
        elector: Elector<SmallRng>,
        transport: T,
        arbiter: A,
        clock: Clock,
        timing: Timing,
        publishers: Publishers,
        terms: Arc<Terms>,
    ) -> Self {
        Self {
            published_revision: elector.revision(),
            last_call: Instant::default(),
            elector,
            transport,
            arbiter: Arc::new(arbiter),
            claims: JoinSet::new(),
            confirmations: JoinSet::new(),
            newest_queries: JoinSet::new(),
            clock,
            timing,
            publishers,
            terms,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        loop {
            self.perform_outputs();
            if self.elector.role() == Role::Left {
                return;
            }
            let longest = self.clock.now() + self.timing.heartbeat;
            let deadline = self.elector.poll_timeout();
            let wake = self
                .clock
                .on_tokio(deadline.map_or(longest, |at| at.min(longest)));
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(request) => self.on_request(request),
                    None => return,
                },
                event = self.transport.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => {
                        warn!("the transport has ended, and the election with it");
                        return;
                    }
                },
                Some(answer) = self.claims.join_next() => {
                    self.on_arbiter_answer(answer.unwrap_or(ArbiterAnswer::Claim(None)));
                }
                Some(answer) = self.confirmations.join_next() => {
                    let epoch = self.elector.role().own_epoch().unwrap_or_default();
                    self.on_arbiter_answer(answer.unwrap_or(ArbiterAnswer::Confirm(epoch, None)));
                }
                Some(answer) = self.newest_queries.join_next() => {
                    self.on_arbiter_answer(answer.unwrap_or(ArbiterAnswer::Newest(Newest::Unreachable)));
                }
                () = sleep_until(wake) => {
                    if deadline.is_some_and(|at| at <= self.clock.now()) {
                        let now = self.read_clock();
                        self.elector.handle_timeout(now);
                    }
                }
            }
        }
    }

    /// Returns the time for the elector.
    fn read_clock(&mut self) -> Instant {
        self.last_call = self.clock.now();
        self.last_call
    }

    fn on_request(&mut self, request: Request) {
        let now = self.read_clock();
        match request {
            Request::SetEligible(eligible) => self.elector.set_eligible(now, eligible),
            Request::AddPeer(id) => self.elector.add_peer(now, id),
            Request::RemovePeer(id) => self.elector.remove_peer(now, &id),
            Request::StepDown(epoch) => self.elector.step_down(now, epoch),
            Request::Drained(epoch) => self.elector.drained(now, epoch),
            Request::Resign(reply) => {
                // The caller may have stopped waiting for the answer.
                let resigned = self.elector.resign(now);
                let epoch = self.elector.role().own_epoch().unwrap_or_default();
                let _ = reply.send(resigned.map(|()| epoch));
            }
            Request::Leave => self.elector.leave(now),
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = self.read_clock();
        match event {
            Event::Message { from, message } => self.elector.handle_message(now, &from, message),
            Event::Link { peer, link } => {
                debug!(%peer, ?link, "link");
                self.elector.handle_link(now, &peer, link);
            }
        }
    }

    fn on_arbiter_answer(&mut self, answer: ArbiterAnswer) {
        let now = self.read_clock();
        match answer {
            ArbiterAnswer::Claim(granted) => self.elector.handle_claim(now, granted),
            ArbiterAnswer::Confirm(epoch, newest) => self.elector.handle_confirmation(now, epoch, newest),
            ArbiterAnswer::Newest(newest) => self.on_newest(now, newest),
        }
    }

    fn on_newest(&mut self, now: Instant, newest: Newest) {
        let (believed, refuted) = (self.elector.seen_epoch(), self.elector.counters().refuted);
        self.elector.handle_newest(now, newest);
        if let Newest::Epoch(newest) = newest
            && self.elector.counters().refuted > refuted
        {
            warn!(%believed, %newest, "a peer named an epoch that the arbiter has not granted: it is forgotten");
        }
    }

    fn perform_outputs(&mut self) {
        while let Some(output) = self.elector.poll_output() {
            match output {
                Output::Send { to, message } => self.transport.send(&to, message),
                Output::Claim(claim) => {
                    let arbiter = Arc::clone(&self.arbiter);
                    let granted = async move {
                        let granted = arbiter.claim(claim).await;
                        ArbiterAnswer::Claim(
                            granted
                                .inspect_err(|error| warn!(%error, "no epoch granted"))
                                .ok(),
                        )
                    };
                    self.claims.spawn(granted.in_current_span());
                }
                Output::Confirm(epoch) => {
                    let arbiter = Arc::clone(&self.arbiter);
                    let confirmed = async move {
                        let newest = arbiter.confirm(epoch).await;
                        let newest = newest
                            .inspect_err(|error| warn!(%error, "epoch not confirmed"))
                            .ok();
                        ArbiterAnswer::Confirm(epoch, newest)
                    };
                    self.confirmations.spawn(confirmed.in_current_span());
                }
                Output::AskNewest => {
                    let arbiter = Arc::clone(&self.arbiter);
                    let newest = async move {
                        match arbiter.newest().await {
                            Ok(Some(epoch)) => ArbiterAnswer::Newest(Newest::Epoch(epoch)),
                            Ok(None) => ArbiterAnswer::Newest(Newest::NotRecorded),
                            Err(error) => {
                                warn!(%error, "cannot ask whether an epoch was granted");
                                ArbiterAnswer::Newest(Newest::Unreachable)
                            }
                        }
                    };
                    self.newest_queries.spawn(newest.in_current_span());
                }
                Output::Role(role) => self.on_role(role),
            }
        }
        self.publishers.fast_view.send_replace(FastView {
            valid_until: self.elector.valid_until(),
            trusted_until: self.last_call + self.timing.timeout,
            counters: self.elector.counters(),
        });
        let revision = self.elector.revision();
        if self.published_revision != revision {
            self.published_revision = revision;
            self.publishers.view.send_replace(view_of(&self.elector));
        }
    }

    fn on_role(&mut self, role: Role) {
        announce(&role, &self.elector.counters());
        if let Role::Draining { epoch, .. } = role
            && self.terms.is_idle(epoch)
        {
            let now = self.read_clock();
            self.elector.drained(now, epoch);
        }
        self.publishers.role.send_if_modified(|current| {
            let changed = *current != role;
            *current = role;
            changed
        });
    }
}

fn announce(role: &Role, counters: &Counters) {
    let elections = counters.elections;
    match role {
        Role::Electing => {
            let detection = counters.last_detection;
            info!(elections, ?detection, "no coordinator known");
        }
        Role::Follower { coordinator } => {
            let failover = counters.last_failover;
            let coordinator_id = &coordinator.rank.id;
            info!(coordinator = %coordinator_id, epoch = %coordinator.epoch, elections, ?failover, "following");
        }
        Role::Coordinator { epoch } => {
            let failover = counters.last_failover;
            info!(%epoch, elections, ?failover, "coordinator");
        }
        Role::Draining { epoch, successor } => {
            let successor = successor.as_ref().map_or("none", ServerId::as_str);
            info!(%epoch, successor, "handing over");
        }
        Role::Left => info!("left the election"),
    }
}

pub(super) fn view_of<R: rand::RngCore>(elector: &Elector<R>) -> View {
    View {
        member: elector.member().clone(),
        role: elector.role(),
        epoch: elector.seen_epoch(),
        peers: elector.peers().collect(),
    }
}
