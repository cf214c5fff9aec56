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
use super::{View, Vitals};
use crate::{
    Arbiter, Counters, Elector, Epoch, Event, Instant, Newest, Output, ResignError, Role, ServerId, Transport,
};

#[derive(Debug)]
pub(super) enum Request {
    SetFit(bool),
    AddPeer(ServerId),
    RemovePeer(ServerId),
    StepDown(Epoch),
    Drained(Epoch),
    /// The answer is the epoch that ends.
    Resign(oneshot::Sender<Result<Epoch, ResignError>>),
    Leave,
}

/// A question to the arbiter, and its answer; `None` if the arbiter was unreachable.
enum Answer {
    Claim(Option<Epoch>),
    Confirm(Epoch, Option<bool>),
    Newest(Newest),
}

/// Channels that publish the state of the election.
pub(super) struct Told {
    pub(super) role: watch::Sender<Role>,
    pub(super) view: watch::Sender<View>,
    pub(super) vitals: watch::Sender<Vitals>,
}

/// The rhythm of the election.
#[derive(Clone, Copy)]
pub(super) struct Pace {
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
    claims: JoinSet<Answer>,
    confirmations: JoinSet<Answer>,
    questions: JoinSet<Answer>,
    clock: Clock,
    pace: Pace,
    told: Told,
    viewed: u64,
    /// The last moment that the elector has received.
    called: Instant,
    terms: Arc<Terms>,
}

impl<T: Transport, A: Arbiter> Driver<T, A> {
    pub(super) fn new(
        elector: Elector<SmallRng>,
        transport: T,
        arbiter: A,
        clock: Clock,
        pace: Pace,
        told: Told,
        terms: Arc<Terms>,
    ) -> Self {
        Self {
            viewed: elector.revision(),
            called: Instant::default(),
            elector,
            transport,
            arbiter: Arc::new(arbiter),
            claims: JoinSet::new(),
            confirmations: JoinSet::new(),
            questions: JoinSet::new(),
            clock,
            pace,
            told,
            terms,
        }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        loop {
            self.carry_out();
            if self.elector.role() == Role::Left {
                return;
            }
            let longest = self.clock.now() + self.pace.heartbeat;
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
                    self.on_answer(answer.unwrap_or(Answer::Claim(None)));
                }
                Some(answer) = self.confirmations.join_next() => {
                    let epoch = self.elector.role().own_epoch().unwrap_or_default();
                    self.on_answer(answer.unwrap_or(Answer::Confirm(epoch, None)));
                }
                Some(answer) = self.questions.join_next() => {
                    self.on_answer(answer.unwrap_or(Answer::Newest(Newest::Unreachable)));
                }
                () = sleep_until(wake) => {
                    if deadline.is_some_and(|at| at <= self.clock.now()) {
                        let now = self.tell_time();
                        self.elector.handle_timeout(now);
                    }
                }
            }
        }
    }

    /// Returns the time for the elector.
    fn tell_time(&mut self) -> Instant {
        self.called = self.clock.now();
        self.called
    }

    fn on_request(&mut self, request: Request) {
        let now = self.tell_time();
        match request {
            Request::SetFit(fit) => self.elector.set_eligible(now, fit),
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
        let now = self.tell_time();
        match event {
            Event::Message { from, message } => self.elector.handle_message(now, &from, message),
            Event::Link { peer, link } => {
                debug!(%peer, ?link, "link");
                self.elector.handle_link(now, &peer, link);
            }
        }
    }

    fn on_answer(&mut self, answer: Answer) {
        let now = self.tell_time();
        match answer {
            Answer::Claim(granted) => self.elector.handle_claim(now, granted),
            Answer::Confirm(epoch, newest) => self.elector.handle_confirmation(now, epoch, newest),
            Answer::Newest(newest) => self.on_newest(now, newest),
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

    fn carry_out(&mut self) {
        while let Some(output) = self.elector.poll_output() {
            match output {
                Output::Send { to, message } => self.transport.send(&to, message),
                Output::Claim(claim) => {
                    let arbiter = Arc::clone(&self.arbiter);
                    let granted = async move {
                        let granted = arbiter.claim(claim).await;
                        Answer::Claim(
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
                        Answer::Confirm(epoch, newest)
                    };
                    self.confirmations.spawn(confirmed.in_current_span());
                }
                Output::AskNewest => {
                    let arbiter = Arc::clone(&self.arbiter);
                    let newest = async move {
                        match arbiter.newest().await {
                            Ok(Some(epoch)) => Answer::Newest(Newest::Epoch(epoch)),
                            Ok(None) => Answer::Newest(Newest::NotRecorded),
                            Err(error) => {
                                warn!(%error, "cannot ask whether an epoch was granted");
                                Answer::Newest(Newest::Unreachable)
                            }
                        }
                    };
                    self.questions.spawn(newest.in_current_span());
                }
                Output::Role(role) => self.on_role(role),
            }
        }
        self.told.vitals.send_replace(Vitals {
            valid_until: self.elector.valid_until(),
            trusted_until: self.called + self.pace.timeout,
            counters: self.elector.counters(),
        });
        let revision = self.elector.revision();
        if self.viewed != revision {
            self.viewed = revision;
            self.told.view.send_replace(view_of(&self.elector));
        }
    }

    fn on_role(&mut self, role: Role) {
        announce(&role, &self.elector.counters());
        if let Role::Draining { epoch, .. } = role
            && self.terms.nobody_works(epoch)
        {
            let now = self.tell_time();
            self.elector.drained(now, epoch);
        }
        self.told.role.send_if_modified(|current| {
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
            let successor = successor.as_ref().map_or("nobody", ServerId::as_str);
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
