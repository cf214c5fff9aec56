use bellwether_election::Epoch;

use super::{Fact, Invariant, Scene};
use crate::resource::Fencing;

/// Nothing commits under an epoch once a larger one was granted. If the resource learns of epochs
/// only from writes, nothing commits once a larger one has written.
pub(super) struct Fenced {
    fencing: Fencing,
    newest: Epoch,
}

impl Fenced {
    pub(super) fn new(fencing: Fencing) -> Self {
        Self {
            fencing,
            newest: Epoch::ZERO,
        }
    }
}

impl Invariant for Fenced {
    fn name(&self) -> &'static str {
        "fenced"
    }

    fn check(&mut self, _: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            match fact {
                Fact::Granted { epoch, .. } if self.fencing == Fencing::AtGrant => {
                    self.newest = self.newest.max(*epoch);
                }
                Fact::Committed { server, epoch } => {
                    if *epoch < self.newest {
                        return Err(format!(
                            "s{server} commits under epoch {epoch}, and {} is newer",
                            self.newest
                        ));
                    }
                    self.newest = *epoch;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
