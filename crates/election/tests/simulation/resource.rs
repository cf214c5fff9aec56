//! The resource that the coordinator writes to.

use bellwether_election::Epoch;

/// A store that refuses a coordinator that has been replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource {
    /// The largest epoch it knows of.
    fence: Epoch,
    /// The way in which it learns of epochs.
    fencing: Fencing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fencing {
    /// It is the arbiter's own store: a grant moves the fence, and from then on nothing older
    /// commits.
    AtGrant,
    /// It sees only writes: the first write of an epoch moves the fence.
    AtWrite,
}

impl Resource {
    pub(crate) fn new(fencing: Fencing) -> Self {
        Self {
            fence: Epoch::ZERO,
            fencing,
        }
    }

    pub(crate) fn on_grant(&mut self, epoch: Epoch) {
        if self.fencing == Fencing::AtGrant {
            self.fence = self.fence.max(epoch);
        }
    }

    /// Returns `true` if the write is committed.
    pub(crate) fn write(&mut self, epoch: Epoch) -> bool {
        if epoch < self.fence {
            return false;
        }
        self.fence = epoch;
        true
    }
}
