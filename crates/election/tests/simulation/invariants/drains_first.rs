use std::collections::BTreeMap;

use bellwether_election::{Body, Epoch, Role};

use super::{Fact, Invariant, Scene};
use crate::clock::{Micros, micros};

/// A coordinator hands over only when its work is finished, or when the time for the work is over.
#[derive(Default)]
pub(super) struct DrainsFirst {
    draining: BTreeMap<usize, Draining>,
}

struct Draining {
    epoch: Epoch,
    since: Micros,
    finished: bool,
}

impl Invariant for DrainsFirst {
    fn name(&self) -> &'static str {
        "drains_first"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::Started { server } => {
                    self.draining.remove(server);
                }
                Fact::RoleChanged {
                    server,
                    role: Role::Draining { epoch, .. },
                } => {
                    let draining = Draining {
                        epoch: *epoch,
                        since: scene.at,
                        finished: false,
                    };
                    self.draining.insert(*server, draining);
                }
                Fact::Drained { server, epoch } => {
                    if let Some(draining) = self.draining.get_mut(server) {
                        draining.finished |= draining.epoch == *epoch;
                    }
                }
                Fact::Sent {
                    server,
                    body: Body::Handover { epoch, .. },
                } => {
                    let Some(draining) = self.draining.get(server) else {
                        return Err(format!("s{server} hands over epoch {epoch} and never drained"));
                    };
                    // The slowest clock takes so much longer, the fastest so much less.
                    let time_limit = micros(scene.config.drain_timeout) / 100 * 95;
                    let in_time = scene.at - draining.since >= time_limit;
                    if draining.epoch != *epoch || !(draining.finished || in_time) {
                        return Err(format!("s{server} hands over epoch {epoch} with work unfinished"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
