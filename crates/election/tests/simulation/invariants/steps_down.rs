use std::collections::BTreeMap;

use bellwether_election::Epoch;

use super::{Fact, Invariant, Scene};

/// A coordinator may have been stopped for longer than the timeout, or the resource may have
/// refused it. Then it stops being coordinator in the same step, before it sends any message.
#[derive(Default)]
pub(super) struct StepsDown {
    /// The epoch under which each server must no longer be coordinator.
    over: BTreeMap<usize, Epoch>,
}

impl Invariant for StepsDown {
    fn name(&self) -> &'static str {
        "steps_down"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        let mut holds: Option<(usize, Epoch)> = None;
        for fact in facts {
            match fact {
                Fact::Started { server } => {
                    self.over.remove(server);
                }
                Fact::Called { server, gap, before } => {
                    if let Some(epoch) = before.own_epoch()
                        && *gap > scene.config.timeout
                    {
                        self.over.insert(*server, epoch);
                        holds = Some((*server, epoch));
                    }
                }
                Fact::Refused { server, epoch } => {
                    self.over.insert(*server, *epoch);
                }
                Fact::RoleChanged { server, .. } if holds.is_some_and(|(holder, _)| holder == *server) => {
                    holds = None;
                }
                Fact::Sent { server, body } => {
                    if let Some((_, epoch)) = holds {
                        return Err(format!(
                            "s{server} was stopped and says {body:?} before it gives up epoch {epoch}"
                        ));
                    }
                }
                _ => {}
            }
        }
        for (server, over) in &self.over {
            if scene.servers[*server].role.own_epoch() == Some(*over) {
                return Err(format!(
                    "s{server} still calls itself coordinator of epoch {over}"
                ));
            }
        }
        Ok(())
    }
}
