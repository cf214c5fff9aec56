use std::collections::BTreeSet;

use bellwether_election::{Epoch, Role};

use super::{Fact, Invariant, Scene};

/// No server is coordinator under an epoch that the arbiter did not grant to that very process.
#[derive(Default)]
pub(super) struct Granted {
    grants: BTreeSet<(Epoch, usize, u64)>,
}

impl Invariant for Granted {
    fn name(&self) -> &'static str {
        "granted"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::Granted {
                    server,
                    process,
                    epoch,
                } => {
                    self.grants.insert((*epoch, *server, *process));
                }
                Fact::RoleChanged {
                    server,
                    role: Role::Coordinator { epoch },
                } => {
                    let process = scene.servers[*server].process;
                    if !self.grants.contains(&(*epoch, *server, process)) {
                        return Err(format!("s{server} was never granted epoch {epoch}"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
