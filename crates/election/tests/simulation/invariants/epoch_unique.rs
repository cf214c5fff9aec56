use std::collections::BTreeMap;

use bellwether_election::{Epoch, Role};

use super::{Fact, Invariant, Scene};

/// No two servers are ever coordinator in one epoch. A server is coordinator in an epoch only once,
/// also across its incarnations.
#[derive(Default)]
pub(super) struct EpochUnique {
    holders: BTreeMap<Epoch, (usize, u64)>,
}

impl Invariant for EpochUnique {
    fn name(&self) -> &'static str {
        "epoch_unique"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            if let Fact::RoleChanged {
                server,
                role: Role::Coordinator { epoch },
            } = fact
            {
                let process = scene.servers[*server].process;
                if let Some((other, before)) = self.holders.insert(*epoch, (*server, process)) {
                    return Err(format!(
                        "epoch {epoch} was held by s{other} (process {before}) and is now by s{server} (process {process})"
                    ));
                }
            }
        }
        Ok(())
    }
}
