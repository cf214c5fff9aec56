//! The rules that every step must keep, checked while a server's outputs are carried out.

use std::sync::Arc;

use bellwether_election::{Epoch, Newest, Role};

use crate::bounds::Grants;
use crate::cluster::{Claim, Cluster, Confirmation, Question, Server};
use crate::network::Envelope;
use crate::process::{Process, Reaction, Want};
use crate::world::World;

/// Checks `epoch_unique` and `granted_epochs_only`, by a look at all servers at once.
pub(crate) fn check(world: &World, cluster: &mut Cluster) {
    let granted = cluster.granted;
    let believes = |server: &Server| {
        server
            .process
            .as_ref()
            .is_some_and(|process| process.seen() > granted)
    };
    let asks = |server: &Server| server.question.is_some() || server.unanswered;
    if world.grants == Grants::Durable
        && cluster
            .servers
            .iter()
            .any(|server| believes(server) && !asks(server))
    {
        cluster.broken = Some("granted_epochs_only");
    }
    if !world.unique_epochs {
        return;
    }
    let held: Vec<Epoch> = cluster.servers.iter().filter_map(Server::own_epoch).collect();
    if held
        .iter()
        .enumerate()
        .any(|(i, epoch)| held[..i].contains(epoch))
    {
        cluster.broken = Some("epoch_unique");
    }
}

/// One server's outputs.
pub(crate) struct Step<'a> {
    world: &'a World,
    cluster: &'a mut Cluster,
    server: usize,
    /// The role so far.
    was: Option<Role>,
    /// The epoch that this step hands to the server.
    granted: Option<Epoch>,
}

impl<'a> Step<'a> {
    pub(crate) fn of(
        world: &'a World,
        cluster: &'a mut Cluster,
        server: usize,
        granted: Option<Epoch>,
    ) -> Self {
        let was = cluster.servers[server].role().cloned();
        Self {
            world,
            cluster,
            server,
            was,
            granted,
        }
    }

    pub(crate) fn carry_out(mut self, reaction: &Reaction) {
        for want in &reaction.wants {
            match want {
                Want::Send(envelope) => self.send(envelope),
                Want::Claim { above } => self.claim(*above),
                Want::Confirm(epoch) => {
                    self.cluster.servers[self.server].confirmation = Some(Confirmation::Asked(*epoch));
                }
                Want::AskNewest => self.ask(reaction.process.seen()),
                Want::Be(role) => self.role(role),
            }
        }
        if self.was.as_ref() != Some(reaction.process.role()) {
            self.broken("roles_alternate");
        }
        self.cluster.servers[self.server].process = Some(reaction.process.clone());
    }

    fn send(&mut self, envelope: &Arc<Envelope>) {
        let can_arrive =
            self.cluster.servers[envelope.to].process.is_some() || self.cluster.left.restarts > 0;
        if can_arrive {
            self.cluster.network.send(Arc::clone(envelope));
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

    fn ask(&mut self, seen: Epoch) {
        let server = &mut self.cluster.servers[self.server];
        server.unanswered = false;
        if server.question.replace(Question::Asked(seen)).is_some() {
            self.broken("one_claim");
        }
    }

    fn role(&mut self, role: &Role) {
        let had = self.was.as_ref().and_then(Role::own_epoch);
        let server = &self.cluster.servers[self.server];
        let (held_before, known) = (server.held, server.known);
        match role {
            Role::Coordinator { epoch } => {
                if had.is_some() {
                    self.broken("roles_alternate");
                }
                // Only a grant of the arbiter makes a coordinator, and only once.
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
        if self.was.as_ref() == Some(role) || self.was == Some(Role::Left) {
            self.broken("roles_alternate");
        }
        let server = &mut self.cluster.servers[self.server];
        match role {
            Role::Coordinator { epoch } => {
                server.held = server.held.max(*epoch);
                server.known = server.known.max(*epoch);
            }
            Role::Follower { coordinator } => server.known = server.known.max(coordinator.epoch),
            _ => {}
        }
        self.was = Some(role.clone());
    }

    fn broken(&mut self, invariant: &'static str) {
        self.cluster.broken = Some(invariant);
    }
}

/// Notes that the arbiter's answer has reached the server, which knew the epoch `asked` when it
/// asked. From then on it knows whether that epoch was made up. It may keep an epoch that was
/// granted since.
pub(crate) fn answered(cluster: &mut Cluster, server: usize, asked: Epoch, newest: Newest) {
    let granted = cluster.granted;
    let answered = &mut cluster.servers[server];
    let seen = answered.process.as_ref().map(Process::seen);
    match newest {
        Newest::Epoch(newest) if seen == Some(asked) && asked > newest.max(granted) => {
            cluster.broken = Some("granted_epochs_only");
        }
        Newest::Unreachable => answered.unanswered = answered.question.is_none(),
        _ => {}
    }
}
