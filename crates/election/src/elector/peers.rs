use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use core::time::Duration;

use super::rebase::Rebase;
use super::{Link, PeerView};
use crate::{Instant, Member, ServerId};

/// What is known of the other servers. Ordered, so that equal inputs give equal outputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peers {
    peers: BTreeMap<ServerId, Peer>,
    /// Grows whenever what is known of a peer has changed.
    revision: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Peer {
    member: Option<Member>,
    link: Option<Link>,
    heard: Option<Instant>,
    /// When the coordinator last said that it hears it.
    vouched: Option<Instant>,
    /// Did not answer, or declined: not to be asked to stand before this.
    passed_over_until: Option<Instant>,
    /// From when its promise to support this server runs.
    supported: Option<Instant>,
}

impl Peer {
    /// A transport that knows no links never says anything about them, so silence counts as reachable.
    fn reachable(&self) -> bool {
        matches!(self.link, None | Some(Link::Up))
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        self.passed_over_until.is_some_and(|until| until > now)
    }

    fn heard_within(&self, now: Instant, span: Duration) -> bool {
        is_within(self.heard, now, span)
    }

    fn alive_within(&self, now: Instant, span: Duration) -> bool {
        self.heard_within(now, span) || is_within(self.vouched, now, span)
    }
}

fn is_within(moment: Option<Instant>, now: Instant, span: Duration) -> bool {
    moment.is_some_and(|moment| now.saturating_since(moment) < span)
}

impl Peers {
    pub(super) fn new(ids: impl Iterator<Item = ServerId>) -> Self {
        Self {
            peers: ids.map(|id| (id, Peer::default())).collect(),
            revision: 0,
        }
    }

    /// False if it was there already.
    pub(super) fn add(&mut self, id: ServerId) -> bool {
        let Entry::Vacant(vacant) = self.peers.entry(id) else {
            return false;
        };
        vacant.insert(Peer::default());
        self.revision += 1;
        true
    }

    /// False if it was not there.
    pub(super) fn remove(&mut self, id: &ServerId) -> bool {
        let removed = self.peers.remove(id).is_some();
        self.revision += u64::from(removed);
        removed
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn views(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.peers.iter().map(|(id, peer)| PeerView {
            id: id.clone(),
            member: peer.member.clone(),
            connected: peer.link == Some(Link::Up),
        })
    }

    /// Notes that a message came. False if the sender is no peer.
    pub(super) fn heard(&mut self, now: Instant, timeout: Duration, sender: &Member) -> bool {
        let Some(peer) = self.peers.get_mut(&sender.rank.id) else {
            return false;
        };
        let changed = peer.member.as_ref() != Some(sender);
        if changed {
            let restarted = peer
                .member
                .as_ref()
                .is_some_and(|member| member.rank != sender.rank);
            if restarted {
                // Another incarnation: what the old one promised or failed at is not its doing.
                (peer.supported, peer.passed_over_until) = (None, None);
            }
            peer.member = Some(sender.clone());
        }
        self.revision += u64::from(changed || !peer.heard_within(now, timeout));
        peer.heard = Some(now);
        if peer.link == Some(Link::Refused) {
            // It speaks, so the refusal is out of date; whether there is a link, the transport will say.
            peer.link = None;
            self.revision += 1;
        }
        true
    }

    /// Takes over what the coordinator says of a peer, unless the peer itself was heard lately.
    pub(super) fn heard_of(&mut self, now: Instant, timeout: Duration, member: &Member) {
        if let Some(peer) = self.peers.get_mut(&member.rank.id) {
            peer.vouched = Some(now);
            if !peer.heard_within(now, timeout) && peer.member.as_ref() != Some(member) {
                peer.member = Some(member.clone());
                self.revision += 1;
            }
        }
    }

    /// False if there is no such peer.
    pub(super) fn set_link(&mut self, id: &ServerId, link: Link) -> bool {
        let Some(peer) = self.peers.get_mut(id) else {
            return false;
        };
        if link == Link::Up {
            peer.passed_over_until = None;
        }
        self.revision += u64::from(peer.link != Some(link));
        peer.link = Some(link);
        true
    }

    pub(super) fn pass_over(&mut self, id: &ServerId, until: Instant) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.passed_over_until = Some(until);
        }
    }

    /// A peer's promise runs from this moment on.
    pub(super) fn support(&mut self, id: &ServerId, from: Instant) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.supported = peer.supported.max(Some(from));
        }
    }

    pub(super) fn forget_support(&mut self) {
        for peer in self.peers.values_mut() {
            peer.supported = None;
        }
    }

    /// From when the promises of the peers that have a vote run.
    pub(super) fn supports(&self) -> impl Iterator<Item = Instant> + '_ {
        self.voting().filter_map(|peer| peer.supported)
    }

    /// How many peers have a vote. One that was never heard counts: it may be on the other side.
    pub(super) fn voters(&self) -> usize {
        self.voting().count()
    }

    fn voting(&self) -> impl Iterator<Item = &Peer> {
        let observes = |peer: &Peer| peer.member.as_ref().is_some_and(|member| member.observer);
        self.peers.values().filter(move |peer| !observes(peer))
    }

    /// Whether messages may reach the peer, as far as the transport has said.
    pub(super) fn is_reachable(&self, id: &ServerId) -> bool {
        self.peers.get(id).is_some_and(Peer::reachable)
    }

    pub(super) fn is_refused(&self, id: &ServerId) -> bool {
        self.peers
            .get(id)
            .is_some_and(|peer| peer.link == Some(Link::Refused))
    }

    pub(super) fn is_heard(&self, id: &ServerId, now: Instant, span: Duration) -> bool {
        self.peers
            .get(id)
            .is_some_and(|peer| peer.heard_within(now, span))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &ServerId> {
        self.peers.keys()
    }

    /// Peers a message may reach.
    pub(super) fn reachable(&self) -> impl Iterator<Item = &ServerId> {
        self.reachable_peers().map(|(id, _)| id)
    }

    fn reachable_peers(&self) -> impl Iterator<Item = (&ServerId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| peer.reachable())
    }

    /// Peers that have not been heard within `span`, except those that the transport says nobody can reach.
    pub(super) fn silent(&self, now: Instant, span: Duration) -> impl Iterator<Item = &ServerId> {
        self.reachable_peers()
            .filter(move |(_, peer)| !peer.heard_within(now, span))
            .map(|(id, _)| id)
    }

    /// Whoever might say whether it hears the coordinator, and whether it is known to have been alive lately.
    pub(super) fn witnesses(&self, now: Instant, span: Duration) -> impl Iterator<Item = (bool, &Member)> {
        self.reachable_peers()
            .filter_map(move |(_, peer)| Some((peer.alive_within(now, span), peer.member.as_ref()?)))
    }

    /// Every server ever heard of, dead or alive, except those passed over.
    pub(super) fn known(&self, now: Instant) -> impl Iterator<Item = &Member> {
        self.peers
            .values()
            .filter(move |peer| !peer.is_passed_over(now))
            .filter_map(|peer| peer.member.as_ref())
    }

    /// Peers that could be asked to stand: alive within `span`, and not passed over.
    pub(super) fn candidates(&self, now: Instant, span: Duration) -> impl Iterator<Item = &Member> {
        self.reachable_peers()
            .filter(move |(_, peer)| !peer.is_passed_over(now))
            .filter(move |(_, peer)| peer.alive_within(now, span))
            .filter_map(|(_, peer)| peer.member.as_ref())
            .filter(|member| member.stands())
    }

    /// Peers heard within `span` that could take over.
    pub(super) fn successors(&self, now: Instant, span: Duration) -> impl Iterator<Item = &Member> {
        self.reachable_peers()
            .filter(move |(_, peer)| peer.heard_within(now, span))
            .filter_map(|(_, peer)| peer.member.as_ref())
            .filter(|member| member.stands())
    }

    /// Returns what the revision was; it begins at zero again.
    pub(super) fn rebase(&mut self, rebase: &Rebase) -> u64 {
        for peer in self.peers.values_mut() {
            rebase.within(&mut peer.heard, rebase.lately);
            rebase.within(&mut peer.vouched, rebase.lately);
            rebase.until(&mut peer.passed_over_until);
            rebase.within(&mut peer.supported, rebase.promise);
        }
        core::mem::take(&mut self.revision)
    }
}

/// The one of these with the largest rank: the whole of the Bully algorithm's preference.
pub(super) fn best<'a>(members: impl Iterator<Item = &'a Member>) -> Option<ServerId> {
    let best = members.max_by(|a, b| a.rank.cmp(&b.rank))?;
    Some(best.rank.id.clone())
}

/// The two of these with the largest ranks, in order.
pub(super) fn best_two<'a>(
    members: impl Iterator<Item = &'a Member>,
) -> (Option<&'a Member>, Option<&'a Member>) {
    members.fold((None, None), |(first, second), member| {
        let beats = |other: Option<&Member>| other.is_none_or(|other| member.rank > other.rank);
        if beats(first) {
            (Some(member), first)
        } else if beats(second) {
            (first, Some(member))
        } else {
            (first, second)
        }
    })
}
