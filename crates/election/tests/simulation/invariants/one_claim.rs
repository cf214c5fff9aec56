use std::collections::BTreeSet;

use bellwether_election::Epoch;

use super::{Fact, Invariant, Scene};

/// A server has at most one claim in progress: a second grant would only end the term of the first.
/// Also, it has at most one request to the arbiter to confirm an epoch.
#[derive(Default)]
pub(super) struct OneClaim {
    out: BTreeSet<usize>,
    confirming: BTreeSet<(usize, Epoch)>,
}

impl Invariant for OneClaim {
    fn name(&self) -> &'static str {
        "one_claim"
    }

    fn check(&mut self, _: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::Started { server } => {
                    self.out.remove(server);
                    self.confirming.retain(|(of, _)| of != server);
                }
                Fact::ClaimAnswered { server } => {
                    self.out.remove(server);
                }
                Fact::ConfirmAnswered { server, epoch } => {
                    self.confirming.remove(&(*server, *epoch));
                }
                Fact::Confirming { server, epoch } if !self.confirming.insert((*server, *epoch)) => {
                    return Err(format!(
                        "s{server} asks about epoch {epoch} again before it was answered"
                    ));
                }
                Fact::Claimed { server } if !self.out.insert(*server) => {
                    return Err(format!("s{server} claims again before it was answered"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
