use bellwether_election::Quorum;

use super::{Fact, Invariant, Scene};
use crate::world::Setup;

/// If coordinators hold leases, no two hold one at the same real time: the old one stops first, and
/// only then another may begin. That is so with a majority. It is also so with an arbiter that
/// grants nothing for a while after it has granted or confirmed an epoch. In these modes every
/// coordinator does hold a lease.
pub(super) struct SelfDemotes {
    leases: bool,
    exclusive: bool,
}

impl SelfDemotes {
    pub(super) fn new(setup: &Setup) -> Self {
        let quorum = setup.config.quorum;
        Self {
            leases: quorum != Quorum::None,
            exclusive: quorum == Quorum::Majority || (quorum == Quorum::Arbiter && setup.patient_arbiter),
        }
    }
}

impl Invariant for SelfDemotes {
    fn name(&self) -> &'static str {
        "self_demotes"
    }

    fn check(&mut self, scene: &Scene<'_>, _: &[Fact]) -> Result<(), String> {
        if !self.leases {
            return Ok(());
        }
        let mut holder = None;
        for (index, server) in scene.servers.iter().enumerate() {
            let lease_end = server.lease_end();
            if lease_end.is_none() && server.role.own_epoch().is_some() {
                return Err(format!("s{index} is {:?} without a lease", server.role));
            }
            if lease_end.is_none_or(|end| end <= scene.at) {
                continue;
            }
            if let Some(other) = holder.replace(index)
                && self.exclusive
            {
                return Err(format!(
                    "s{other} ({:?}) and s{index} ({:?}) both hold a lease",
                    scene.servers[other].role, server.role
                ));
            }
        }
        Ok(())
    }
}
