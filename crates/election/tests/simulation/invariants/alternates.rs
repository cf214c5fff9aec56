use std::collections::BTreeMap;

use bellwether_election::Role;

use super::{Fact, Invariant, Scene};

/// Gained and lost strictly alternate. A term begins with `Coordinator`, may go on as `Draining`
/// under the same epoch, and ends with any other role before the next begins. No role is reported
/// twice, none is left unreported.
#[derive(Default)]
pub(super) struct Alternates {
    reported: BTreeMap<usize, Role>,
}

impl Invariant for Alternates {
    fn name(&self) -> &'static str {
        "alternates"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::Started { server } | Fact::Stopped { server } => {
                    self.reported.remove(server);
                }
                Fact::RoleChanged { server, role } => {
                    let before = self.reported.insert(*server, role.clone());
                    let allowed = match (&before, role) {
                        (Some(before), role) if before == role => false,
                        (Some(Role::Left), _) => false,
                        (None, role) => *role == Role::Electing,
                        (
                            Some(Role::Coordinator { .. } | Role::Draining { .. }),
                            Role::Coordinator { .. },
                        ) => false,
                        (Some(Role::Coordinator { epoch: held }), Role::Draining { epoch, .. }) => {
                            held == epoch
                        }
                        (_, Role::Draining { .. }) => false,
                        _ => true,
                    };
                    if !allowed {
                        return Err(format!("s{server} was {before:?} and is {role:?}"));
                    }
                }
                _ => {}
            }
        }
        for (index, server) in scene.servers.iter().enumerate() {
            if let Some(elector) = &server.elector
                && self.reported.get(&index) != Some(&elector.role())
            {
                return Err(format!(
                    "s{index} is {:?} and reported {:?}",
                    elector.role(),
                    self.reported.get(&index)
                ));
            }
        }
        Ok(())
    }
}
