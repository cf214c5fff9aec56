use std::time::Duration;

use anyhow::{Context, Result};
use bellwether_testkit::wait_until;
use bson::{Document, doc};
use mongodb::options::{Acknowledgment, CollectionOptions, WriteConcern};

use super::{Inflicted, World, disk};
use crate::fault::{Fault, Node};
use crate::network::RuleId;

/// Time limit for the members to get a write, until it is tried again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// A fault in force, and its cure.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) fault: Fault,
    /// Its victims.
    pub(super) nodes: Vec<Node>,
    pub(super) cure: Cure,
}

impl Open {
    /// Returns `true` if no further fault may meet this node meanwhile. During faults of links,
    /// other faults may happen as well, and a member that has stepped down is healthy.
    pub(super) fn makes_ill(&self, node: Node) -> bool {
        let mild = matches!(self.fault, Fault::Delay | Fault::Loss | Fault::StepDown);
        !mild && self.nodes.contains(&node)
    }
}

/// The way to end a fault.
#[derive(Clone, Debug)]
pub(super) enum Cure {
    /// It ends by itself.
    None,
    /// Their processes are killed if they still run, and started again.
    Start(Vec<Node>),
    /// Their processes go on.
    Resume(Vec<Node>),
    /// The network forgets this rule.
    Forget(RuleId),
    /// The servers' clocks are set right.
    PutRight(Vec<Node>),
    /// The members' disks take writes again.
    Unstall(Vec<Node>),
}

impl World {
    /// Ends a fault; does not wait until its effects have ended.
    ///
    /// # Errors
    /// If a process does not start, or a signal or request to it fails.
    pub async fn heal(&mut self, inflicted: Inflicted) -> Result<()> {
        let healed = self.heal_open(inflicted.id).await;
        healed.with_context(|| format!("healing {}: {}", inflicted.fault, inflicted.what))
    }

    /// Ends all faults in force. Then waits until all members have the data of the one primary, and
    /// all servers agree on a coordinator.
    ///
    /// # Errors
    /// If a process does not start, one has ended by itself, or the servers do not agree: a
    /// finding, mostly.
    pub async fn heal_all(&mut self) -> Result<()> {
        let all: Vec<u64> = self.open.keys().copied().collect();
        for id in all {
            self.heal_open(id).await?;
        }
        self.members_agree().await?;
        self.cluster.all_agree().await?;
        Ok(())
    }

    /// Waits until a write is with all members. Their own answers are not enough: a member that was
    /// cut off may still believe for a while that it is primary.
    async fn members_agree(&self) -> Result<()> {
        let members = u32::try_from(self.replica_set.members.len())?;
        let everywhere = WriteConcern::builder()
            .w(Acknowledgment::Nodes(members))
            .w_timeout(WRITE_TIMEOUT)
            .build();
        let options = CollectionOptions::builder().write_concern(everywhere).build();
        let healings = self
            .database()
            .database("chaos")
            .collection_with_options::<Document>("healings", options);
        wait_until("a write to be with all members of the replica set", async || {
            let update = healings.update_one(doc! { "_id": 1 }, doc! { "$inc": { "count": 1 } });
            update.upsert(true).await?;
            Ok(())
        })
        .await
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
            Cure::Resume(nodes) => {
                for node in nodes {
                    self.process(node)?.resume()?;
                }
            }
            Cure::Forget(rule) => {
                if let Some(network) = &self.network {
                    network.remove(rule);
                }
            }
            Cure::PutRight(nodes) => self.set_clocks(&nodes, 0)?,
            Cure::Unstall(nodes) => {
                for node in nodes {
                    disk::stall(self.member(node)?, false).await?;
                }
            }
        }
        // Only now: after an error, the fault stays open and is healed again with all others.
        self.open.remove(&id);
        Ok(())
    }
}
