use std::collections::BTreeMap;

use bellwether_election::{Epoch, Newest, Role};

use super::{Fact, Invariant, Scene};
use crate::arbiter::Memory;

/// A later grant is larger, across any restarts. The knowledge of a server never falls back:
/// neither the largest epoch it has seen, nor the epoch it leads or follows. The only exception is
/// an epoch that the arbiter says it has not granted.
pub(super) struct EpochGrows {
    memory: Memory,
    granted: Epoch,
    /// The largest epoch each server held, in all its lives.
    held: BTreeMap<usize, Epoch>,
    /// The largest epoch each process led or followed.
    known: BTreeMap<usize, Epoch>,
    seen: BTreeMap<usize, Epoch>,
}

impl EpochGrows {
    pub(super) fn new(memory: Memory) -> Self {
        Self {
            memory,
            granted: Epoch::ZERO,
            held: BTreeMap::new(),
            known: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    fn on_role(&mut self, server: usize, role: &Role) -> Result<(), String> {
        let epoch = match role {
            Role::Coordinator { epoch } => {
                let held = self.held.entry(server).or_default();
                if *epoch <= *held && self.memory == Memory::Durable {
                    return Err(format!("s{server} had epoch {held} and begins {epoch}"));
                }
                *held = *epoch;
                *epoch
            }
            Role::Follower { coordinator } => coordinator.epoch,
            _ => return Ok(()),
        };
        let known = self.known.entry(server).or_default();
        if epoch < *known {
            return Err(format!("s{server} knew epoch {known} and falls back to {epoch}"));
        }
        *known = epoch;
        Ok(())
    }
}

impl Invariant for EpochGrows {
    fn name(&self) -> &'static str {
        "epoch_grows"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::Granted { server, epoch, .. } if self.memory == Memory::Durable => {
                    if *epoch <= self.granted {
                        return Err(format!(
                            "epoch {epoch} is granted to s{server} after {}",
                            self.granted
                        ));
                    }
                    self.granted = *epoch;
                }
                Fact::Started { server } => {
                    self.known.remove(server);
                    self.seen.remove(server);
                }
                Fact::NewestAnswered {
                    server,
                    newest: Newest::Epoch(newest),
                } => {
                    for known in [&mut self.known, &mut self.seen] {
                        known
                            .entry(*server)
                            .and_modify(|known| *known = (*known).min(*newest));
                    }
                }
                Fact::RoleChanged { server, role } => self.on_role(*server, role)?,
                _ => {}
            }
        }
        for (index, server) in scene.servers.iter().enumerate() {
            if let Some(elector) = &server.elector {
                let seen = self.seen.entry(index).or_default();
                if elector.seen_epoch() < *seen {
                    return Err(format!(
                        "s{index} had seen epoch {seen} and forgot it for {}",
                        elector.seen_epoch()
                    ));
                }
                *seen = elector.seen_epoch();
            }
        }
        Ok(())
    }
}
