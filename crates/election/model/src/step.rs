//! What one action does to a cluster, and the invariants that every step must keep.

use std::sync::Arc;
use std::time::Duration;

use bellwether_election::{
    Body, Config, Elector, Epoch, Instant, Link, Member, Message, Number, Output, Preemption, Quorum, Role,
    ServerId, Stamp,
};

use crate::bounds::{Bounds, Clocks, Grants, spend};
use crate::cluster::{Claim, Cluster, Confirmation, Envelope, NoChance, Process, Server};

/// The moment at which every state is: what a server remembers is moved so that now is always this.
pub(crate) const NOW: Instant = Instant::since_origin(Duration::from_secs(3600));

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Deliver(Arc<Envelope>),
    /// It arrives and is still in flight.
    DeliverAndKeep(Arc<Envelope>),
    Lose(Arc<Envelope>),
    Timeout(usize),
    /// All clocks move to the next deadline.
    Tick,
    Sleep(usize),
    Wake(usize),
    Crash(usize),
    Restart(usize, u64),
    Hint(usize, usize, Link),
    /// The arbiter grants; the answer is on its way.
    Grant(usize),
    Answer(usize),
    /// The arbiter refuses, or what it has granted does not reach the server.
    Refuse(usize),
    /// The arbiter says whether the epoch is still the newest; the answer is on its way.
    Confirm(usize),
    AnswerConfirmation(usize),
    LoseConfirmation(usize),
    Write(usize),
    Drained(usize),
    Leave(usize),
    Resign(usize),
    SetFit(usize, bool),
}

pub(crate) fn id(server: usize) -> ServerId {
    let id = ["a", "b", "c", "d"][server];
    id.parse().expect("a letter is an id")
}

pub(crate) fn index(id: &ServerId) -> usize {
    usize::from(id.as_str().as_bytes()[0] - b'a')
}

/// The way the world around the electors works.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    clocks: Clocks,
    grants: Grants,
    /// The transport knows links and speaks of them.
    pub(crate) links: bool,
    /// No two servers may be coordinator in the same epoch.
    unique_epochs: bool,
    /// It must be the best server that becomes coordinator.
    pub(crate) best_wins: bool,
}

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let majority = bounds.quorum == Quorum::Majority;
        // Stamps are on the clock of one server and travel to another.
        assert!(
            !majority || bounds.clocks == Clocks::Common,
            "a lease says nothing without a clock"
        );
        Self {
            config: bounds.config(),
            clocks: bounds.clocks,
            grants: bounds.arbiter,
            links: bounds.budget.hints > 0,
            unique_epochs: bounds.arbiter == Grants::Durable || (majority && bounds.budget.restarts == 0),
            best_wins: bounds.preemption == Preemption::Always && bounds.budget.resignations == 0,
        }
    }

    pub(crate) fn with_common_clocks(&self) -> Self {
        Self {
            clocks: Clocks::Common,
            ..self.clone()
        }
    }

    pub(crate) fn start(&self, cluster: &mut Cluster, server: usize, number: u64) {
        let ids = (0..cluster.servers.len()).map(id);
        let me = Member::new(id(server), Number(number));
        let elector = Elector::new(self.config.clone(), me, ids, NoChance, NOW);
        let mut elector = elector.expect("the configuration is valid");
        let held = cluster.servers[server].held;
        cluster.network.reconnect(server);
        cluster.servers[server] = Server {
            process: None,
            claim: None,
            confirmation: None,
            held,
            known: Epoch::ZERO,
            asleep: false,
        };
        // The first output says what the role is, so nothing came before it.
        let outputs = std::iter::from_fn(|| elector.poll_output()).collect();
        Step {
            world: self,
            cluster,
            server,
            was: None,
            granted: None,
        }
        .carry_out(&mut elector, outputs);
        elector.rebase(NOW, NOW);
        cluster.servers[server].process = Some(Process::new(elector));
    }

    pub(crate) fn act(&self, cluster: &mut Cluster, action: &Action) {
        cluster.broken = None;
        match action {
            Action::Deliver(envelope) => {
                cluster.network.remove(envelope);
                self.deliver(cluster, envelope);
            }
            Action::DeliverAndKeep(envelope) => {
                spend(&mut cluster.left.duplicates);
                self.deliver(cluster, envelope);
            }
            Action::Lose(envelope) => {
                spend(&mut cluster.left.losses);
                cluster.network.remove(envelope);
            }
            Action::Timeout(server) => {
                if self.clocks == Clocks::Own {
                    spend(&mut cluster.left.timeouts);
                }
                self.handle_at(
                    cluster,
                    *server,
                    deadline(cluster, *server),
                    None,
                    |elector, now| {
                        elector.handle_timeout(now);
                    },
                );
            }
            Action::Tick => {
                spend(&mut cluster.left.timeouts);
                tick(self, cluster);
            }
            Action::Sleep(server) => {
                spend(&mut cluster.left.pauses);
                cluster.servers[*server].asleep = true;
            }
            Action::Wake(server) => cluster.servers[*server].asleep = false,
            Action::Crash(server) => {
                spend(&mut cluster.left.crashes);
                self.gone(cluster, *server);
            }
            Action::Restart(server, number) => {
                spend(&mut cluster.left.restarts);
                self.start(cluster, *server, *number);
            }
            Action::Hint(server, peer, link) => {
                spend(&mut cluster.left.hints);
                self.handle(cluster, *server, |elector, now| {
                    elector.handle_link(now, &id(*peer), *link)
                });
            }
            Action::Grant(server) => {
                spend(&mut cluster.left.grants);
                self.grant(cluster, *server);
            }
            Action::Answer(server) => {
                if let Some(Claim::Granted(epoch)) = cluster.servers[*server].claim.take() {
                    self.handle_at(cluster, *server, NOW, Some(epoch), |elector, now| {
                        elector.handle_claim(now, Some(epoch));
                    });
                }
            }
            Action::Refuse(server) => {
                spend(&mut cluster.left.refusals);
                cluster.servers[*server].claim = None;
                self.handle(cluster, *server, |elector, now| elector.handle_claim(now, None));
            }
            Action::Confirm(server) => {
                let newest = cluster.granted;
                let confirmation = &mut cluster.servers[*server].confirmation;
                if let Some(Confirmation::Asked(epoch)) = *confirmation {
                    *confirmation = Some(Confirmation::Said(epoch, epoch == newest));
                }
            }
            Action::AnswerConfirmation(server) => {
                if let Some(Confirmation::Said(epoch, newest)) = cluster.servers[*server].confirmation.take()
                {
                    self.handle(cluster, *server, |elector, now| {
                        elector.handle_confirmation(now, epoch, Some(newest));
                    });
                }
            }
            Action::LoseConfirmation(server) => {
                spend(&mut cluster.left.refusals);
                let confirmation = cluster.servers[*server].confirmation.take();
                if let Some(Confirmation::Asked(epoch) | Confirmation::Said(epoch, _)) = confirmation {
                    self.handle(cluster, *server, |elector, now| {
                        elector.handle_confirmation(now, epoch, None)
                    });
                }
            }
            Action::Write(server) => {
                spend(&mut cluster.left.writes);
                self.write(cluster, *server);
            }
            Action::Drained(server) => {
                if let Some(epoch) = cluster.servers[*server].writes_under() {
                    self.handle(cluster, *server, |elector, now| elector.drained(now, epoch));
                }
            }
            Action::Leave(server) => {
                spend(&mut cluster.left.leaves);
                self.handle(cluster, *server, |elector, now| elector.leave(now));
            }
            Action::Resign(server) => {
                spend(&mut cluster.left.resignations);
                self.handle(cluster, *server, |elector, now| {
                    // Refused where nobody could take over.
                    let _ = elector.resign(now);
                });
            }
            Action::SetFit(server, fit) => {
                spend(&mut cluster.left.fitness);
                self.handle(cluster, *server, |elector, now| elector.set_fit(now, *fit));
            }
        }
        check_epochs_apart(self, cluster);
    }

    fn deliver(&self, cluster: &mut Cluster, envelope: &Envelope) {
        self.handle(cluster, envelope.to, |elector, now| {
            elector.handle_message(now, &id(envelope.from), envelope.message.clone());
        });
    }

    fn grant(&self, cluster: &mut Cluster, server: usize) {
        let Some(Claim::Asked { above }) = cluster.servers[server].claim else {
            return;
        };
        let epoch = match self.grants {
            Grants::Durable => cluster.granted.next(),
            Grants::Local => above.next(),
        };
        cluster.granted = cluster.granted.max(epoch);
        cluster.servers[server].claim = Some(Claim::Granted(epoch));
    }

    /// The resource keeps the newest epoch it has seen and refuses older ones.
    fn write(&self, cluster: &mut Cluster, server: usize) {
        let Some(epoch) = cluster.servers[server].writes_under() else {
            return;
        };
        match cluster.written {
            Some((newest, _)) if epoch < newest => {
                self.handle(cluster, server, |elector, now| elector.step_down(now, epoch));
            }
            // One epoch, two writers: the fence cannot tell them apart.
            Some((newest, writer)) if epoch == newest && writer != server => cluster.broken = Some("fenced"),
            _ => cluster.written = Some((epoch, server)),
        }
    }

    /// The process has ended. What was on its way to it may still meet its successor.
    fn gone(&self, cluster: &mut Cluster, server: usize) {
        let gone = &mut cluster.servers[server];
        (gone.process, gone.claim, gone.confirmation, gone.asleep) = (None, None, None, false);
        gone.known = Epoch::ZERO;
        if cluster.left.restarts == 0 {
            cluster.network.forget_reader(server);
        }
    }

    fn handle(
        &self,
        cluster: &mut Cluster,
        server: usize,
        event: impl FnOnce(&mut Elector<NoChance>, Instant),
    ) {
        self.handle_at(cluster, server, NOW, None, event);
    }

    fn handle_at(
        &self,
        cluster: &mut Cluster,
        server: usize,
        mut now: Instant,
        granted: Option<Epoch>,
        event: impl FnOnce(&mut Elector<NoChance>, Instant),
    ) {
        let Some(mut elector) = cluster.servers[server].elector().cloned() else {
            return;
        };
        if self.clocks == Clocks::Own && std::mem::take(&mut cluster.servers[server].asleep) {
            now = now.max(NOW + self.config.timeout + Duration::from_millis(1));
        }
        let was = elector.role();
        event(&mut elector, now);
        let outputs = std::iter::from_fn(|| elector.poll_output()).collect();
        Step {
            world: self,
            cluster,
            server,
            was: Some(was),
            granted,
        }
        .carry_out(&mut elector, outputs);
        elector.rebase(now, NOW);
        if elector.role() == Role::Left {
            self.gone(cluster, server);
        } else {
            cluster.servers[server].process = Some(Process::new(elector));
        }
    }
}

/// When the server next has something to do by itself. Not before now.
pub(crate) fn deadline(cluster: &Cluster, server: usize) -> Instant {
    let deadline = cluster.servers[server].elector().and_then(Elector::poll_timeout);
    deadline.unwrap_or(NOW).max(NOW)
}

/// Moves all clocks to the earliest deadline of a server that is awake.
pub(crate) fn tick(world: &World, cluster: &mut Cluster) {
    let awake = cluster.servers.iter().filter(|server| !server.asleep);
    let next = awake.filter_map(|server| server.elector()?.poll_timeout()).min();
    let Some(now) = next.map(|next| next.max(NOW)) else {
        return;
    };
    for server in &mut cluster.servers {
        if let Some(mut elector) = server.elector().cloned() {
            elector.rebase(now, NOW);
            server.process = Some(Process::new(elector));
        }
    }
    if world.config.quorum == Quorum::Majority {
        let (passed, horizon) = (now.saturating_since(NOW), world.config.timeout);
        cluster.network.rewrite(|body| age(body, passed, horizon));
    }
}

/// Moves a stamp into the past. Beyond the horizon all are alike.
fn age(body: &mut Body, passed: Duration, horizon: Duration) {
    let (Body::Coordinator { stamp, .. }
    | Body::HeartbeatAck { stamp, .. }
    | Body::Heartbeat {
        echo: Some(stamp), ..
    }) = body
    else {
        return;
    };
    let oldest = micros(NOW.elapsed_since_origin().saturating_sub(horizon));
    stamp.0 = stamp.0.saturating_sub(micros(passed)).max(oldest);
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("an hour is a small number")
}

/// `epoch_unique`, as anyone would see it who looks at all servers at once.
fn check_epochs_apart(world: &World, cluster: &mut Cluster) {
    if !world.unique_epochs {
        return;
    }
    let held: Vec<Epoch> = cluster.servers.iter().filter_map(Server::writes_under).collect();
    if held
        .iter()
        .enumerate()
        .any(|(i, epoch)| held[..i].contains(epoch))
    {
        cluster.broken = Some("epoch_unique");
    }
}

/// One server's outputs.
struct Step<'a> {
    world: &'a World,
    cluster: &'a mut Cluster,
    server: usize,
    /// The role so far.
    was: Option<Role>,
    /// The epoch that this step hands to the server.
    granted: Option<Epoch>,
}

impl Step<'_> {
    fn carry_out(mut self, elector: &mut Elector<NoChance>, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send { to, message } => self.send(index(&to), message),
                Output::Claim(claim) => self.claim(claim.above),
                Output::Confirm(epoch) => {
                    self.cluster.servers[self.server].confirmation = Some(Confirmation::Asked(epoch));
                }
                Output::Role(role) => self.role(role),
                other => panic!("the model does not know {other:?}"),
            }
        }
        if self.was != Some(elector.role()) {
            self.broken("roles_alternate");
        }
    }

    fn send(&mut self, to: usize, mut message: Message) {
        // Every message is sent now, and now is always the same.
        if let Body::Coordinator { stamp, .. } | Body::HeartbeatAck { stamp, .. } = &mut message.body {
            *stamp = Stamp(micros(NOW.elapsed_since_origin()));
        }
        let can_arrive = self.cluster.servers[to].process.is_some() || self.cluster.left.restarts > 0;
        if can_arrive {
            self.cluster.network.send(self.server, to, message);
        }
    }

    fn claim(&mut self, above: Epoch) {
        let claim = &mut self.cluster.servers[self.server].claim;
        if claim.is_some() {
            self.broken("one_claim");
        } else {
            *claim = Some(Claim::Asked { above });
        }
    }

    fn role(&mut self, role: Role) {
        let had = self.was.as_ref().and_then(Role::office);
        let server = &self.cluster.servers[self.server];
        let (held_before, known) = (server.held, server.known);
        match &role {
            Role::Coordinator { epoch } => {
                if had.is_some() {
                    self.broken("roles_alternate");
                }
                // Only what the arbiter hands over makes a coordinator, and only once.
                if self.granted.take() != Some(*epoch) {
                    self.broken("epoch_unique");
                }
                if *epoch <= known || (self.world.grants == Grants::Durable && *epoch <= held_before) {
                    self.broken("epoch_grows");
                }
            }
            Role::Draining { epoch, .. } if had != Some(*epoch) => self.broken("roles_alternate"),
            Role::Follower { coordinator } if coordinator.epoch < known => self.broken("epoch_grows"),
            _ => {}
        }
        if self.was.as_ref() == Some(&role) || self.was == Some(Role::Left) {
            self.broken("roles_alternate");
        }
        let server = &mut self.cluster.servers[self.server];
        match &role {
            Role::Coordinator { epoch } => {
                server.held = server.held.max(*epoch);
                server.known = server.known.max(*epoch);
            }
            Role::Follower { coordinator } => server.known = server.known.max(coordinator.epoch),
            _ => {}
        }
        self.was = Some(role);
    }

    fn broken(&mut self, invariant: &'static str) {
        self.cluster.broken = Some(invariant);
    }
}
