use anyhow::{Context, Result};

use super::{Inflicted, World, disk};
use crate::fault::{Fault, Node};
use crate::network::RuleId;

/// What is in force, and what ends it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) fault: Fault,
    /// Whom it met.
    pub(super) nodes: Vec<Node>,
    pub(super) cure: Cure,
}

impl Open {
    /// Whether no further fault may meet this node meanwhile. On bad links everything else may happen as well, and who
    /// has stepped down is well.
    pub(super) fn makes_ill(&self, node: Node) -> bool {
        let mild = matches!(self.fault, Fault::Delay | Fault::Loss | Fault::StepDown);
        !mild && self.nodes.contains(&node)
    }
}

/// What ends a fault.
#[derive(Clone, Debug)]
pub(super) enum Cure {
    /// It ends by itself.
    None,
    /// Their processes are started again.
    Start(Vec<Node>),
    /// Its process goes on.
    Resume(Node),
    /// The network forgets this rule.
    Forget(RuleId),
    /// The server's clock is put right.
    PutRight(usize),
    /// The member's disk takes writes again.
    Unstall(usize),
}

impl World {
    /// Ends a fault; does not wait until its effects have ended.
    ///
    /// # Errors
    /// If a process does not start, or cannot be told.
    pub async fn heal(&mut self, inflicted: Inflicted) -> Result<()> {
        let healed = self.heal_open(inflicted.id).await;
        healed.with_context(|| format!("healing {}: {}", inflicted.fault, inflicted.what))
    }

    /// Ends all faults that are in force, and waits until all members follow a primary and all servers agree on a
    /// coordinator.
    ///
    /// # Errors
    /// If a process does not start, one has ended by itself, or they do not come to agree: a finding, mostly.
    pub async fn heal_all(&mut self) -> Result<()> {
        let all: Vec<u64> = self.open.keys().copied().collect();
        for id in all {
            self.heal_open(id).await?;
        }
        self.replica_set.all_follow().await?;
        self.cluster.all_agree().await?;
        Ok(())
    }

    async fn heal_open(&mut self, id: u64) -> Result<()> {
        let Some(open) = self.open.get(&id) else {
            return Ok(());
        };
        match open.cure.clone() {
            Cure::None => {}
            Cure::Start(nodes) => {
                for node in nodes {
                    self.process(node)?.restart()?;
                }
            }
            Cure::Resume(node) => self.process(node)?.resume()?,
            Cure::Forget(rule) => {
                if let Some(network) = &self.network {
                    network.remove(rule);
                }
            }
            Cure::PutRight(place) => {
                if let Some(clocks) = &self.clocks {
                    clocks.set(place, 0)?;
                }
            }
            Cure::Unstall(place) => disk::stall(&self.replica_set.members[place], false).await?,
        }
        // Only now: what could not be healed is tried again with all others.
        self.open.remove(&id);
        Ok(())
    }
}
