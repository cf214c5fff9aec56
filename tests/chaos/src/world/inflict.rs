use anyhow::{Context, Result, ensure};
use bellwether_testkit::{Member, Process};
use bson::doc;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::cure::{Cure, Open};
use super::spoil::spoil;
use super::{Inflicted, World, disk};
use crate::fault::{Fault, Node};

/// Smallest and largest jump of a wall clock, in seconds.
const JUMP: (i32, i32) = (1, 3600);

impl World {
    /// Inflicts a fault of this kind; its victims and its strength are drawn from the seed. Does
    /// not wait for its effects.
    ///
    /// Returns `None` if its victim has a fault already, or if MongoDB would lose its majority by a
    /// fault of another kind.
    ///
    /// # Errors
    /// If the fault is not [possible](World::possible) here, or the system or a member refuses a
    /// step.
    pub async fn inflict(&mut self, fault: Fault, seed: u64) -> Result<Option<Inflicted>> {
        ensure!(self.possible().contains(&fault), "{fault} is not possible here");
        let mut lot = StdRng::seed_from_u64(seed);
        let Some(nodes) = self.victims(fault, &mut lot).await else {
            return Ok(None);
        };
        let done = self.strike(fault, &nodes, &mut lot).await;
        let (what, cure) = done.with_context(|| format!("inflicting {fault} with the seed {seed}"))?;
        let id = self.next;
        self.next += 1;
        let open = Open {
            fault,
            nodes: nodes.clone(),
            cure,
        };
        self.open.insert(id, open);
        Ok(Some(Inflicted {
            fault,
            nodes,
            what,
            id,
        }))
    }

    /// Inflicts the fault on these nodes, and returns its description and its cure.
    async fn strike(&mut self, fault: Fault, nodes: &[Node], lot: &mut StdRng) -> Result<(String, Cure)> {
        let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        let names = names.join(" and ");
        match fault {
            Fault::ServerKill | Fault::MongodKill | Fault::MongodMajorityKill => {
                for node in nodes {
                    self.process(*node)?.strike()?;
                }
                let are = if nodes.len() == 1 { "is" } else { "are" };
                Ok((format!("{names} {are} killed"), Cure::Start(nodes.to_vec())))
            }
            Fault::ServerPause | Fault::MongodPause => {
                for node in nodes {
                    self.process(*node)?.pause()?;
                }
                Ok((format!("{names} is paused"), Cure::Resume(nodes.to_vec())))
            }
            Fault::ServerStop => {
                for node in nodes {
                    self.process(*node)?.terminate()?;
                }
                Ok((format!("{names} is told to end"), Cure::Start(nodes.to_vec())))
            }
            Fault::ClockJump => {
                let jump = lot.random_range(JUMP.0..=JUMP.1) * if lot.random() { 1 } else { -1 };
                self.set_clocks(nodes, jump)?;
                Ok((
                    format!("the clock of {names} jumps by {jump:+} s"),
                    Cure::PutRight(nodes.to_vec()),
                ))
            }
            Fault::DiskStall => {
                for node in nodes {
                    disk::stall(self.member(*node)?, true).await?;
                }
                Ok((
                    format!("the disk of {names} takes no more writes"),
                    Cure::Unstall(nodes.to_vec()),
                ))
            }
            Fault::StepDown => {
                for node in nodes {
                    let admin = self.member(*node)?.direct.database("admin");
                    // The primary waits until another member has caught up. This program waits
                    // neither for that nor for the answer.
                    tokio::spawn(async move {
                        let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 };
                        admin.run_command(command).await
                    });
                }
                Ok((format!("{names} is told to step down"), Cure::None))
            }
            Fault::Unstoppable => {
                let mut works = false;
                for node in nodes {
                    works |= self.burn(*node, lot.random()).await?;
                }
                Ok(if works {
                    (
                        format!("{names} works on an update that it does not interrupt"),
                        Cure::Start(nodes.to_vec()),
                    )
                } else {
                    (
                        format!("the servers refuse an update that {names} does not interrupt"),
                        Cure::None,
                    )
                })
            }
            Fault::CutPeers
            | Fault::CutPair
            | Fault::CutOneWay
            | Fault::CutMongodb
            | Fault::CutClients
            | Fault::Isolate
            | Fault::CutMember
            | Fault::LoseReplies
            | Fault::Delay
            | Fault::Loss => {
                let network = self.network.as_ref().context("there is no network")?;
                let spoiled = spoil(fault, nodes, &self.nodes(), lot).context("no fault of the network")?;
                Ok((
                    spoiled.what,
                    Cure::Forget(network.add(spoiled.effect, spoiled.links)),
                ))
            }
        }
    }

    /// Sets servers' clocks off by this number of seconds.
    pub(super) fn set_clocks(&self, servers: &[Node], seconds: i32) -> Result<()> {
        let clocks = self.clocks.as_ref().context("there is no libfaketime")?;
        for node in servers {
            let Node::Server(place) = node else {
                continue;
            };
            clocks.set(*place, seconds)?;
        }
        Ok(())
    }

    pub(super) fn member(&self, node: Node) -> Result<&Member> {
        let member = match node {
            Node::Mongod(place) => self.replica_set.members.get(place),
            Node::Server(_) | Node::Clients(_) => None,
        };
        member.with_context(|| format!("{node} is no member"))
    }

    /// Returns the process of a server or a member.
    pub(super) fn process(&mut self, node: Node) -> Result<&mut Process> {
        let process = match node {
            Node::Server(place) => self
                .cluster
                .servers
                .get_mut(place)
                .map(|server| &mut server.process),
            Node::Mongod(place) => self
                .replica_set
                .members
                .get_mut(place)
                .map(|member| &mut member.process),
            Node::Clients(_) => None,
        };
        process.with_context(|| format!("{node} is no process"))
    }
}
