use alloc::collections::{BTreeMap, BTreeSet};

use crate::ServerId;

/// The servers that each server can reach.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// The group of every server that is in a named group. All others form one group.
    groups: BTreeMap<ServerId, usize>,
    cuts: BTreeSet<(ServerId, ServerId)>,
    frozen: BTreeSet<ServerId>,
}

impl Paths {
    pub(super) fn partition<G>(&mut self, groups: impl IntoIterator<Item = G>)
    where
        G: IntoIterator<Item = ServerId>,
    {
        let numbered = groups.into_iter().enumerate();
        self.groups = numbered
            .flat_map(|(number, group)| group.into_iter().map(move |id| (id, number)))
            .collect();
    }

    pub(super) fn cut(&mut self, from: ServerId, to: ServerId) {
        self.cuts.insert((from, to));
    }

    pub(super) fn heal(&mut self) {
        self.groups.clear();
        self.cuts.clear();
    }

    pub(super) fn freeze(&mut self, id: ServerId) {
        self.frozen.insert(id);
    }

    pub(super) fn thaw(&mut self, id: &ServerId) {
        self.frozen.remove(id);
    }

    pub(super) fn is_frozen(&self, id: &ServerId) -> bool {
        self.frozen.contains(id)
    }

    pub(super) fn lead(&self, from: &ServerId, to: &ServerId) -> bool {
        self.groups.get(from) == self.groups.get(to)
            && !self.cuts.contains(&(from.clone(), to.clone()))
            && !self.frozen.contains(from)
            && !self.frozen.contains(to)
    }

    /// Returns `true` if the network could accept or refuse a connection: both need messages in
    /// either direction.
    pub(super) fn lead_both_ways(&self, a: &ServerId, b: &ServerId) -> bool {
        self.lead(a, b) && self.lead(b, a)
    }
}
