//! `converges`: wherever the faults have led, once they stop the best server becomes coordinator.
//!
//! Without faults a cluster is deterministic, so it runs until it returns to an earlier state. In
//! all states of this cycle, the servers must agree.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;

use bellwether_election::{Link, Quorum, Role};

use crate::action::Action;
use crate::bounds::{ANY, Budget};
use crate::cluster::{Claim, Cluster, Confirmation, Question};
use crate::hash_of;
use crate::process::Process;
use crate::time::NOW;
use crate::world::{World, deadline};

/// More deadlines than any election has. In a cluster that goes on for longer, servers become
/// coordinator again and again.
const LONGEST: usize = 1_000;

/// More messages than any question, answer and consequence has, each sent when the one before
/// arrives.
const LONGEST_EXCHANGE: usize = 40;

/// Highest number of lines of a story.
const LONGEST_STORY: usize = 60;

/// Hashes of situations from which a cluster left alone is known to converge.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashSet<u64>>);

impl Known {
    fn contains(&self, situation: u64) -> bool {
        self.0
            .lock()
            .expect("no task panics with the lock")
            .contains(&situation)
    }

    fn add(&self, situations: impl IntoIterator<Item = u64>) {
        self.0
            .lock()
            .expect("no task panics with the lock")
            .extend(situations);
    }
}

/// The failure of a cluster that is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It never agrees, or does not keep the agreement.
    Disagreement,
    /// Every message leads to another, without time passing: a storm at the speed of the links.
    Storm,
    Broken(&'static str),
}

/// Returns `true` if `cluster` converges when messages arrive at once, claims are granted and
/// nothing else happens. It must do so both when the messages now in flight arrive and when they
/// are lost.
pub(crate) fn converges(world: &World, cluster: &Cluster, known: &Known) -> bool {
    let arriving = left_alone(world, cluster.clone(), known, &mut Silent).is_ok();
    arriving && (cluster.network.is_empty() || left_alone(world, lost(cluster), known, &mut Silent).is_ok())
}

fn lost(cluster: &Cluster) -> Cluster {
    let mut lost = cluster.clone();
    lost.network.clear();
    lost
}

/// Returns the events in a cluster that is left alone and does not converge, and the broken
/// invariant.
pub(crate) fn story(world: &World, cluster: &Cluster) -> Option<(&'static str, String)> {
    let beginnings = [("arrive", cluster.clone()), ("are lost", lost(cluster))];
    beginnings.into_iter().find_map(|(beginning, cluster)| {
        let mut lines = Lines(Vec::new());
        let failure = left_alone(world, cluster, &Known::default(), &mut lines).err()?;
        let invariant = match failure {
            Failure::Broken(invariant) => invariant,
            Failure::Disagreement | Failure::Storm => "converges",
        };
        let shown = lines.0[..lines.0.len().min(LONGEST_STORY)].join("\n");
        Some((
            invariant,
            format!("left alone, when all messages in flight {beginning}:\n{shown}\n   … {failure:?}"),
        ))
    })
}

/// Receives the events.
trait Witness {
    fn see(&mut self, what: fmt::Arguments<'_>);
}

struct Silent;

impl Witness for Silent {
    fn see(&mut self, _: fmt::Arguments<'_>) {}
}

struct Lines(Vec<String>);

impl Witness for Lines {
    fn see(&mut self, what: fmt::Arguments<'_>) {
        self.0.push(format!("     {what}"));
    }
}

/// Returns the state in which a cluster without faults comes to rest.
pub(crate) fn settled(world: &World, cluster: Cluster) -> Result<Cluster, Failure> {
    left_alone(world, cluster, &Known::default(), &mut Silent)
}

/// Returns a state in which all servers agree and will go on to agree.
fn left_alone(
    world: &World,
    mut cluster: Cluster,
    known: &Known,
    witness: &mut impl Witness,
) -> Result<Cluster, Failure> {
    let world = &world.with_common_clocks();
    cluster.left = Budget {
        grants: ANY,
        ..Budget::default()
    };
    for server in &mut cluster.servers {
        server.asleep = false;
    }
    tell_of_links(world, &mut cluster);
    let (mut passed, mut agreed) = (HashMap::new(), Vec::new());
    for turn in 0..LONGEST {
        settle(world, &mut cluster, witness)?;
        let situation = hash_of(&situation(&cluster));
        if known.contains(situation) {
            known.add(passed.into_keys());
            return Ok(cluster);
        }
        if let Some(first) = passed.insert(situation, turn) {
            if !agreed[first..].iter().all(|agreed| *agreed) {
                return Err(Failure::Disagreement);
            }
            known.add(passed.into_keys());
            return Ok(cluster);
        }
        agreed.push(agrees(world, &cluster));
        world.tick(&mut cluster);
        for server in 0..cluster.servers.len() {
            if cluster.servers[server].process.is_some() && deadline(&cluster, server) <= NOW {
                act(world, &mut cluster, &Action::Timeout(server), witness)?;
            }
        }
    }
    Err(Failure::Disagreement)
}

/// Returns everything that decides the future, when no message is in flight and no claim pending.
fn situation(cluster: &Cluster) -> Vec<Option<&Process>> {
    cluster
        .servers
        .iter()
        .map(|server| server.process.as_ref())
        .collect()
}

/// Carries out everything that takes no time.
fn settle(world: &World, cluster: &mut Cluster, witness: &mut impl Witness) -> Result<(), Failure> {
    for _ in 0..LONGEST_EXCHANGE {
        let mut actions: Vec<Action> = cluster.network.iter().cloned().map(Action::Deliver).collect();
        for (i, server) in cluster.servers.iter().enumerate() {
            match server.claim {
                Some(Claim::Asked { .. }) => actions.extend([Action::Grant(i), Action::Answer(i)]),
                Some(Claim::Granted(_)) => actions.push(Action::Answer(i)),
                None => {}
            }
            match server.confirmation {
                Some(Confirmation::Asked(_)) => {
                    actions.extend([Action::Confirm(i), Action::AnswerConfirmation(i)]);
                }
                Some(Confirmation::Said(..)) => actions.push(Action::AnswerConfirmation(i)),
                None => {}
            }
            match server.question {
                Some(Question::Asked(_)) => actions.extend([Action::LookUp(i), Action::AnswerQuestion(i)]),
                Some(Question::Said(..)) => actions.push(Action::AnswerQuestion(i)),
                None => {}
            }
            if matches!(server.role(), Some(Role::Draining { .. })) {
                actions.push(Action::Drained(i));
            }
        }
        if actions.is_empty() {
            return Ok(());
        }
        for action in actions {
            act(world, cluster, &action, witness)?;
        }
    }
    Err(Failure::Storm)
}

fn act(
    world: &World,
    cluster: &mut Cluster,
    action: &Action,
    witness: &mut impl Witness,
) -> Result<(), Failure> {
    witness.see(format_args!("{action:?}"));
    world.act(cluster, action);
    cluster
        .broken
        .map_or(Ok(()), |invariant| Err(Failure::Broken(invariant)))
}

/// Reports the true state of all links, if the transport reports links.
fn tell_of_links(world: &World, cluster: &mut Cluster) {
    if !world.links {
        return;
    }
    for server in 0..cluster.servers.len() {
        for peer in (0..cluster.servers.len()).filter(|peer| *peer != server) {
            let runs = cluster.servers[peer].process.is_some();
            let link = if runs { Link::Up } else { Link::Refused };
            world.act(cluster, &Action::Hint(server, peer, link));
        }
    }
}

/// Returns `true` if all servers follow one eligible server, and, if `best_wins`, the best one.
/// Without an eligible server, or without the majority it needs, no server may be coordinator.
fn agrees(world: &World, cluster: &Cluster) -> bool {
    let running: Vec<&Process> = cluster
        .servers
        .iter()
        .filter_map(|server| server.process.as_ref())
        .collect();
    let able = running
        .iter()
        .map(|process| process.member())
        .filter(|member| member.can_campaign());
    let best = able.max_by(|a, b| a.rank.cmp(&b.rank));
    let enough = world.config.quorum != Quorum::Majority || running.len() > cluster.servers.len() / 2;
    let Some(best) = best.filter(|_| enough) else {
        return running.iter().all(|process| process.role().own_epoch().is_none());
    };
    let offices = running.iter().filter_map(|process| match process.role() {
        Role::Coordinator { epoch } => Some((process.member(), *epoch)),
        _ => None,
    });
    let [(coordinator, epoch)] = offices.collect::<Vec<_>>()[..] else {
        return false;
    };
    coordinator.can_campaign()
        && (coordinator.rank == best.rank || !world.best_wins)
        && running.iter().all(|process| match process.role() {
            Role::Coordinator { .. } => true,
            Role::Follower {
                coordinator: followed,
            } => followed.rank == coordinator.rank && followed.epoch == epoch,
            _ => false,
        })
}
