use std::collections::BTreeSet;

use super::{Fact, Invariant, Scene};

/// A server has at most one claim out: a second grant would only end the tenure of the first.
#[derive(Default)]
pub(super) struct OneClaim {
    out: BTreeSet<usize>,
}

impl Invariant for OneClaim {
    fn name(&self) -> &'static str {
        "one_claim"
    }

    fn check(&mut self, _: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::Started { server } | Fact::ClaimAnswered { server } => {
                    self.out.remove(server);
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
