//! The cluster as a model that stateright can explore.

use bellwether_election::{Body, Epoch, Link, Quorum, Role};
use stateright::{Model, Property};

use crate::action::Action;
use crate::bounds::{ANY, Bounds, Clocks, Start};
use crate::cluster::{Claim, Cluster, Confirmation, Question, Server};
use crate::heal::{self, Known, converges, settled};
use crate::network::Network;
use crate::process::Process;
use crate::time::NOW;
use crate::world::World;

pub(crate) struct ElectionModel {
    bounds: Bounds,
    world: World,
    known: Known,
}

impl ElectionModel {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let world = World::new(&bounds);
        Self {
            bounds,
            world,
            known: Known::default(),
        }
    }

    fn cold(&self) -> Cluster {
        let mut cluster = Cluster {
            servers: vec![Server::NONE; self.bounds.numbers.len()],
            network: Network::new(self.bounds.order),
            granted: Epoch::ZERO,
            written: None,
            left: self.bounds.budget,
            broken: None,
        };
        for (server, number) in self.bounds.numbers.iter().enumerate() {
            if !self.bounds.absent.contains(&server) {
                self.world.start(&mut cluster, server, *number);
            }
        }
        cluster
    }

    /// Returns the invariant that is broken in or after this state, and a description if the state
    /// does not show it.
    pub(crate) fn what_breaks(&self, cluster: &Cluster, property: &'static str) -> (&'static str, String) {
        let story = heal::story(&self.world, cluster).filter(|_| property == "converges");
        story.unwrap_or((property, String::new()))
    }

    fn settled(&self) -> Cluster {
        let mut cluster = settled(&self.world, self.cold()).expect("a cluster without faults converges");
        cluster.left = self.bounds.budget;
        cluster
    }

    fn messages(&self, cluster: &Cluster, actions: &mut Vec<Action>) {
        for envelope in cluster.network.arriving() {
            let server = &cluster.servers[envelope.to];
            if server.process.is_some() && self.runs(server) {
                actions.push(Action::Deliver(envelope.clone()));
                if cluster.left.duplicates > 0 {
                    actions.push(Action::DeliverAndKeep(envelope.clone()));
                }
            }
            if cluster.left.losses > 0 {
                actions.push(Action::Lose(envelope.clone()));
            }
        }
    }

    /// Returns `true` if a server takes part in events now. On clocks of their own, the first event
    /// wakes the server.
    fn runs(&self, server: &Server) -> bool {
        self.bounds.clocks == Clocks::Own || !server.asleep
    }

    fn time(&self, cluster: &Cluster, actions: &mut Vec<Action>) {
        let mut due = false;
        for (i, server) in cluster.servers.iter().enumerate() {
            let Some(at) = server.process.as_ref().and_then(Process::deadline) else {
                continue;
            };
            let may = match self.bounds.clocks {
                Clocks::Own => cluster.left.timeouts > 0,
                Clocks::Common => !server.asleep && at <= NOW,
            };
            if may {
                actions.push(Action::Timeout(i));
                due = true;
            }
        }
        if self.bounds.clocks == Clocks::Own {
            return;
        }
        if self.bounds.budget.stalls != ANY {
            let reader = |to: usize| cluster.servers[to].process.is_some() && !cluster.servers[to].asleep;
            let prompt: Vec<(usize, usize)> =
                cluster.network.prompt().filter(|(_, to)| reader(*to)).collect();
            due |= !prompt.is_empty();
            if cluster.left.stalls > 0 {
                actions.extend(prompt.into_iter().map(|(from, to)| Action::Stall(from, to)));
            }
        }
        if !due && cluster.left.timeouts > 0 {
            actions.push(Action::Tick);
        }
    }

    fn processes(&self, cluster: &Cluster, actions: &mut Vec<Action>) {
        let left = &cluster.left;
        for (i, server) in cluster.servers.iter().enumerate() {
            let Some(process) = &server.process else {
                if left.restarts > 0 {
                    actions.extend(
                        self.bounds
                            .redrawn
                            .iter()
                            .map(|number| Action::Restart(i, *number)),
                    );
                }
                continue;
            };
            if left.crashes > 0 {
                actions.push(Action::Crash(i));
            }
            if server.asleep && self.bounds.clocks == Clocks::Common {
                actions.push(Action::Wake(i));
            }
            if !server.asleep && left.pauses > 0 {
                actions.push(Action::Sleep(i));
            }
            if !self.runs(server) {
                continue;
            }
            match server.claim {
                Some(Claim::Asked { .. }) if left.grants > 0 => actions.push(Action::Grant(i)),
                Some(Claim::Granted(_)) => actions.push(Action::Answer(i)),
                _ => {}
            }
            if server.claim.is_some() && left.refusals > 0 {
                actions.push(Action::Refuse(i));
            }
            match server.confirmation {
                Some(Confirmation::Asked(_)) => actions.push(Action::Confirm(i)),
                Some(Confirmation::Said(..)) => actions.push(Action::AnswerConfirmation(i)),
                None => {}
            }
            if server.confirmation.is_some() && left.refusals > 0 {
                actions.push(Action::LoseConfirmation(i));
            }
            match server.question {
                Some(Question::Asked(_)) => actions.push(Action::LookUp(i)),
                Some(Question::Said(..)) => actions.push(Action::AnswerQuestion(i)),
                None => {}
            }
            if server.question.is_some() && left.refusals > 0 {
                actions.push(Action::LoseAnswer(i));
            }
            let role = process.role();
            if left.writes > 0 && server.own_epoch().is_some() {
                actions.push(Action::Write(i));
            }
            if matches!(role, Role::Draining { .. }) {
                actions.push(Action::Drained(i));
            }
            if left.leaves > 0 {
                actions.push(Action::Leave(i));
            }
            if left.resignations > 0 && matches!(role, Role::Coordinator { .. }) {
                actions.push(Action::Resign(i));
            }
            if left.eligibility > 0 {
                actions.push(Action::SetEligible(i, !process.member().eligible));
            }
            self.lies(cluster, i, actions);
            self.hints(cluster, i, actions);
        }
    }

    /// Adds the false messages. The epoch after the newest may be granted later, the other never
    /// is.
    fn lies(&self, cluster: &Cluster, to: usize, actions: &mut Vec<Action>) {
        if cluster.left.lies == 0 {
            return;
        }
        let liars =
            (0..cluster.servers.len()).filter(|from| *from != to && cluster.servers[*from].process.is_some());
        for from in liars {
            for epoch in [cluster.granted.next(), Epoch(u64::MAX)] {
                actions.push(Action::Lie(from, to, epoch));
            }
        }
    }

    fn hints(&self, cluster: &Cluster, server: usize, actions: &mut Vec<Action>) {
        if cluster.left.hints == 0 {
            return;
        }
        for peer in (0..cluster.servers.len()).filter(|peer| *peer != server) {
            let runs = cluster.servers[peer].process.is_some();
            for link in [Link::Up, Link::Down, Link::Refused] {
                let truth = match link {
                    Link::Up => runs,
                    Link::Down => true,
                    Link::Refused => !runs,
                };
                if truth || self.bounds.false_hints {
                    actions.push(Action::Hint(server, peer, link));
                }
            }
        }
    }
}

/// Returns `true` if it may still act as coordinator. A server that sleeps has not noticed the end
/// of its lease, and does nothing.
fn acts(server: &Server) -> bool {
    let lease = server.process.as_ref().and_then(Process::valid_until);
    server.own_epoch().is_some() && lease.is_none_or(|until| until > NOW)
}

fn believers(cluster: &Cluster) -> usize {
    cluster.servers.iter().filter_map(Server::own_epoch).count()
}

impl Model for ElectionModel {
    type State = Cluster;
    type Action = Action;

    fn init_states(&self) -> Vec<Cluster> {
        let mut cluster = match self.bounds.start {
            Start::Cold => self.cold(),
            Start::Settled => self.settled(),
        };
        for server in self.bounds.asleep {
            cluster.servers[*server].asleep = true;
        }
        vec![cluster]
    }

    fn actions(&self, cluster: &Cluster, actions: &mut Vec<Action>) {
        self.messages(cluster, actions);
        self.time(cluster, actions);
        self.processes(cluster, actions);
    }

    fn next_state(&self, cluster: &Cluster, action: Action) -> Option<Cluster> {
        let mut next = cluster.clone();
        self.world.act(&mut next, &action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("epoch_unique", |_, cluster: &Cluster| {
                cluster.broken != Some("epoch_unique")
            }),
            Property::always("epoch_grows", |_, cluster: &Cluster| {
                cluster.broken != Some("epoch_grows")
            }),
            Property::always("fenced", |_, cluster: &Cluster| cluster.broken != Some("fenced")),
            Property::always("roles_alternate", |_, cluster: &Cluster| {
                cluster.broken != Some("roles_alternate")
            }),
            Property::always("granted_epochs_only", |_, cluster: &Cluster| {
                cluster.broken != Some("granted_epochs_only")
            }),
            Property::always("one_claim", |_, cluster: &Cluster| {
                cluster.broken != Some("one_claim")
            }),
            Property::always("converges", |model: &Self, cluster: &Cluster| {
                converges(&model.world, cluster, &model.known)
            }),
            // The run must have met this state, or it proves little.
            Property::sometimes("a server is coordinator", |_, cluster: &Cluster| {
                believers(cluster) > 0
            }),
        ];
        if self.bounds.quorum == Quorum::Majority {
            properties.push(Property::always("one_coordinator", |_, cluster: &Cluster| {
                cluster.servers.iter().filter(|server| acts(server)).count() <= 1
            }));
        }
        if self.bounds.budget.lies > 0 {
            properties.push(Property::sometimes(
                "an epoch is believed that was made up",
                |_, cluster: &Cluster| {
                    let seen = |server: &Server| server.process.as_ref().map(Process::seen);
                    cluster
                        .servers
                        .iter()
                        .any(|server| seen(server) > Some(cluster.granted))
                },
            ));
        }
        if self.bounds.shows_two {
            properties.push(Property::sometimes(
                "two believe that they are",
                |_, cluster: &Cluster| believers(cluster) > 1,
            ));
        }
        if self.bounds.budget.writes > 1 {
            properties.push(Property::sometimes(
                "a write will be refused",
                |_, cluster: &Cluster| {
                    let newest = cluster.written.map_or(Epoch::ZERO, |(epoch, _)| epoch);
                    cluster
                        .servers
                        .iter()
                        .filter_map(Server::own_epoch)
                        .any(|epoch| epoch < newest)
                },
            ));
        }
        if self.bounds.budget.leaves + self.bounds.budget.resignations > 0 {
            properties.push(Property::sometimes(
                "a term is handed over",
                |_, cluster: &Cluster| {
                    let mut bodies = cluster.network.iter().map(|envelope| &envelope.message.body);
                    bodies.any(|body| matches!(body, Body::Handover { .. }))
                },
            ));
        }
        properties
    }
}
