use anyhow::{Context, Result, ensure};
use bellwether_tests::Process;
use bson::doc;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::cure::{Cure, Open};
use super::spoil::spoil;
use super::{Inflicted, World, disk};
use crate::fault::{Fault, Node};

/// How far a wall clock jumps at least and at most, in seconds.
const JUMP: (i32, i32) = (1, 3600);

/// What was done.
struct Done {
    nodes: Vec<Node>,
    what: String,
    cure: Cure,
}

impl World {
    /// Inflicts a fault of this kind; whom it meets and how hard is drawn from the seed. Does not wait for its effects.
    ///
    /// `None` if whom it would meet is ill already, or MongoDB would lose its majority by it, unless that is the fault.
    ///
    /// # Errors
    /// If the fault is not [possible](World::possible) here, or the system or a member refuses what is to be done.
    pub async fn inflict(&mut self, fault: Fault, seed: u64) -> Result<Option<Inflicted>> {
        ensure!(self.possible().contains(&fault), "{fault} is not possible here");
        let mut lot = StdRng::seed_from_u64(seed);
        let done = self.strike(fault, &mut lot).await;
        let done = done.with_context(|| format!("inflicting {fault} with the seed {seed}"))?;
        Ok(done.map(|Done { nodes, what, cure }| {
            let id = self.next;
            self.next += 1;
            let nodes_of_it = nodes.clone();
            self.open.insert(
                id,
                Open {
                    fault,
                    nodes: nodes_of_it,
                    cure,
                },
            );
            Inflicted {
                fault,
                nodes,
                what,
                id,
            }
        }))
    }

    async fn strike(&mut self, fault: Fault, lot: &mut StdRng) -> Result<Option<Done>> {
        let servers = self.cluster.servers.len();
        match fault {
            Fault::ServerKill | Fault::ServerPause | Fault::ServerStop | Fault::ClockJump => {
                let Some(victim) = self.draw_server(lot).await else {
                    return Ok(None);
                };
                self.strike_server(fault, victim, lot).map(Some)
            }
            Fault::MongodKill
            | Fault::MongodPause
            | Fault::StepDown
            | Fault::MongodMajorityKill
            | Fault::DiskStall => {
                let Some(victim) = self.draw_member(lot).await else {
                    return Ok(None);
                };
                self.strike_member(fault, victim, lot).await.map(Some)
            }
            Fault::CutPeers
            | Fault::CutOneWay
            | Fault::CutMongodb
            | Fault::CutClients
            | Fault::Isolate
            | Fault::LoseReplies => {
                let Some(victim) = self.draw_server(lot).await else {
                    return Ok(None);
                };
                Ok(self.strike_links(fault, &[Node::Server(victim)], lot))
            }
            Fault::CutPair => {
                let Some(victim) = self.draw_server(lot).await else {
                    return Ok(None);
                };
                let others: Vec<usize> = (0..servers).filter(|place| *place != victim).collect();
                if others.is_empty() {
                    return Ok(None);
                }
                let other = Node::Server(others[lot.random_range(0..others.len())]);
                if self.is_ill(other) {
                    return Ok(None);
                }
                Ok(self.strike_links(fault, &[Node::Server(victim), other], lot))
            }
            Fault::CutMember => {
                let Some(victim) = self.draw_member(lot).await else {
                    return Ok(None);
                };
                Ok(self.strike_links(fault, &[Node::Mongod(victim)], lot))
            }
            Fault::Delay | Fault::Loss => {
                if self.open.values().any(|open| open.fault == fault) {
                    return Ok(None);
                }
                let mut nodes = self.nodes();
                nodes.shuffle(lot);
                nodes.truncate(lot.random_range(1..=nodes.len().div_ceil(2)));
                nodes.sort_unstable();
                Ok(self.strike_links(fault, &nodes, lot))
            }
        }
    }

    fn strike_server(&mut self, fault: Fault, place: usize, lot: &mut StdRng) -> Result<Done> {
        let node = Node::Server(place);
        let server = &mut self.cluster.servers[place];
        let (process, id) = (&mut server.process, &server.id);
        let (what, cure) = match fault {
            Fault::ServerPause => {
                process.pause()?;
                (format!("{id} is paused"), Cure::Resume(node))
            }
            Fault::ServerStop => {
                process.terminate()?;
                (format!("{id} is told to end"), Cure::Start(vec![node]))
            }
            Fault::ClockJump => {
                let clocks = self.clocks.as_ref().context("there is no libfaketime")?;
                let jump = lot.random_range(JUMP.0..=JUMP.1) * if lot.random() { 1 } else { -1 };
                clocks.set(place, jump)?;
                (
                    format!("the clock of {id} jumps by {jump:+} s"),
                    Cure::PutRight(place),
                )
            }
            _ => {
                process.strike()?;
                (format!("{id} is killed"), Cure::Start(vec![node]))
            }
        };
        let nodes = vec![node];
        Ok(Done { nodes, what, cure })
    }

    async fn strike_member(&mut self, fault: Fault, place: usize, lot: &mut StdRng) -> Result<Done> {
        let node = Node::Mongod(place);
        let member = &mut self.replica_set.members[place];
        let mut nodes = vec![node];
        let (what, cure) = match fault {
            Fault::MongodPause => {
                member.process.pause()?;
                (format!("{node} is paused"), Cure::Resume(node))
            }
            Fault::StepDown => return Ok(self.step_down(place).await),
            Fault::DiskStall => {
                disk::stall(member, true).await?;
                (
                    format!("the disk of {node} takes no more writes"),
                    Cure::Unstall(place),
                )
            }
            Fault::MongodMajorityKill => {
                let members = self.replica_set.members.len();
                let mut others: Vec<usize> = (0..members).filter(|other| *other != place).collect();
                others.shuffle(lot);
                others.truncate(members / 2);
                nodes.extend(others.into_iter().map(Node::Mongod));
                for node in &nodes {
                    self.process(*node)?.strike()?;
                }
                let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
                (
                    format!("{} are killed", names.join(" and ")),
                    Cure::Start(nodes.clone()),
                )
            }
            _ => {
                member.process.strike()?;
                (format!("{node} is killed"), Cure::Start(vec![node]))
            }
        };
        Ok(Done { nodes, what, cure })
    }

    /// Asks the primary to step down, whichever that is now; without one, the member that was drawn, which then refuses.
    async fn step_down(&self, drawn: usize) -> Done {
        let place = self.primary().await.unwrap_or(drawn);
        let admin = self.replica_set.members[place].direct.database("admin");
        // It waits until another member has caught up; nobody waits for that, or for its answer.
        tokio::spawn(async move {
            let command = doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 };
            admin.run_command(command).await
        });
        let node = Node::Mongod(place);
        Done {
            nodes: vec![node],
            what: format!("{node} is told to step down"),
            cure: Cure::None,
        }
    }

    fn strike_links(&self, fault: Fault, victims: &[Node], lot: &mut StdRng) -> Option<Done> {
        let spoiled = spoil(fault, victims, &self.nodes(), lot)?;
        let rule = self.network.as_ref()?.add(spoiled.effect, spoiled.links);
        Some(Done {
            nodes: victims.to_vec(),
            what: spoiled.what,
            cure: Cure::Forget(rule),
        })
    }

    /// The process of a server or a member.
    pub(super) fn process(&mut self, node: Node) -> Result<&mut Process> {
        match node {
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
        }
        .with_context(|| format!("{node} is no process"))
    }
}
