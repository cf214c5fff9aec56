use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use core::time::Duration;

use super::time_shift::TimeShift;
use super::{Link, PeerView};
use crate::{Instant, Member, ServerId};

/// This server's knowledge of the other servers. Ordered, so that equal inputs give equal outputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peers {
    peers: BTreeMap<ServerId, Peer>,
    /// Grows with every change of a peer.
    revision: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Peer {
    member: Option<Member>,
    link: Option<Link>,
    heard: Option<Instant>,
    /// Time of the coordinator's last message that it hears the peer.
    confirmed: Option<Instant>,
    /// Set when the peer did not answer, or declined: no request to campaign before this moment.
    passed_over_until: Option<Instant>,
    /// Start of the peer's promise to support this server.
    supported: Option<Instant>,
}

impl Peer {
    /// Returns `true` if messages may reach the peer. A transport without links reports nothing,
    /// which counts as reachable.
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
        self.heard_within(now, span) || is_within(self.confirmed, now, span)
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

    /// Adds a peer. Returns `false` if it was present already.
    pub(super) fn add(&mut self, id: ServerId) -> bool {
        let Entry::Vacant(vacant) = self.peers.entry(id) else {
            return false;
        };
        vacant.insert(Peer::default());
        self.revision += 1;
        true
    }

    /// Removes a peer. Returns `false` if it was not present.
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

    /// Notes a message. Returns `false` if the sender is no peer.
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
                // The promises and failures of the old incarnation do not concern the new one.
                (peer.supported, peer.passed_over_until) = (None, None);
            }
            peer.member = Some(sender.clone());
        }
        self.revision += u64::from(changed || !peer.heard_within(now, timeout));
        peer.heard = Some(now);
        if peer.link == Some(Link::Refused) {
            // The peer sends messages, so the refusal is out of date. The transport reports the
            // link.
            peer.link = None;
            self.revision += 1;
        }
        true
    }

    /// Notes the coordinator's knowledge of a peer, unless this server has heard the peer itself
    /// lately.
    pub(super) fn heard_of(&mut self, now: Instant, timeout: Duration, member: &Member) {
        if let Some(peer) = self.peers.get_mut(&member.rank.id) {
            peer.confirmed = Some(now);
            if !peer.heard_within(now, timeout) && peer.member.as_ref() != Some(member) {
                peer.member = Some(member.clone());
                self.revision += 1;
            }
        }
    }

    /// Sets the state of a link. Returns `false` if there is no such peer.
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

    /// Starts the promise of a peer at this moment.
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

    /// Returns the starts of the promises of all peers with a vote.
    pub(super) fn supports(&self) -> impl Iterator<Item = Instant> + '_ {
        self.voting().filter_map(|peer| peer.supported)
    }

    /// Returns the number of peers with a vote. A peer that was never heard counts: it may be on
    /// the other side of a partition.
    pub(super) fn voters(&self) -> usize {
        self.voting().count()
    }

    fn voting(&self) -> impl Iterator<Item = &Peer> {
        let observes = |peer: &Peer| peer.member.as_ref().is_some_and(|member| member.observer);
        self.peers.values().filter(move |peer| !observes(peer))
    }

    /// Returns `true` if messages may reach the peer, as far as the transport has reported.
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

    /// Returns the peers that a message may reach.
    pub(super) fn reachable(&self) -> impl Iterator<Item = &ServerId> {
        self.reachable_peers().map(|(id, _)| id)
    }

    fn reachable_peers(&self) -> impl Iterator<Item = (&ServerId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| peer.reachable())
    }

    /// Returns the peers that were silent for `span`, except for those that the transport cannot
    /// reach.
    pub(super) fn silent(&self, now: Instant, span: Duration) -> impl Iterator<Item = &ServerId> {
        self.reachable_peers()
            .filter(move |(_, peer)| !peer.heard_within(now, span))
            .map(|(id, _)| id)
    }

    /// Returns the possible witnesses. The first value is `true` if the peer was alive within
    /// `span`.
    pub(super) fn witnesses(&self, now: Instant, span: Duration) -> impl Iterator<Item = (bool, &Member)> {
        self.reachable_peers()
            .filter_map(move |(_, peer)| Some((peer.alive_within(now, span), peer.member.as_ref()?)))
    }

    /// Returns every server that was ever heard of, dead or alive, except those passed over.
    pub(super) fn known(&self, now: Instant) -> impl Iterator<Item = &Member> {
        self.peers
            .values()
            .filter(move |peer| !peer.is_passed_over(now))
            .filter_map(|peer| peer.member.as_ref())
    }

    /// Returns the peers that could campaign: alive within `span`, and not passed over.
    pub(super) fn candidates(&self, now: Instant, span: Duration) -> impl Iterator<Item = &Member> {
        self.reachable_peers()
            .filter(move |(_, peer)| !peer.is_passed_over(now))
            .filter(move |(_, peer)| peer.alive_within(now, span))
            .filter_map(|(_, peer)| peer.member.as_ref())
            .filter(|member| member.can_campaign())
    }

    /// Returns the peers heard within `span` that could take over.
    pub(super) fn successors(&self, now: Instant, span: Duration) -> impl Iterator<Item = &Member> {
        self.reachable_peers()
            .filter(move |(_, peer)| peer.heard_within(now, span))
            .filter_map(|(_, peer)| peer.member.as_ref())
            .filter(|member| member.can_campaign())
    }

    /// Returns the old revision. The revision begins at zero again.
    pub(super) fn shift(&mut self, shift: &TimeShift) -> u64 {
        for peer in self.peers.values_mut() {
            shift.within(&mut peer.heard, shift.liveness_timeout);
            shift.within(&mut peer.confirmed, shift.liveness_timeout);
            shift.until(&mut peer.passed_over_until);
            shift.within(&mut peer.supported, shift.promise);
        }
        core::mem::take(&mut self.revision)
    }
}

/// Returns the member with the largest rank: the whole preference of the Bully algorithm.
pub(super) fn best<'a>(members: impl Iterator<Item = &'a Member>) -> Option<ServerId> {
    let best = members.max_by(|a, b| a.rank.cmp(&b.rank))?;
    Some(best.rank.id.clone())
}

/// Returns the two members with the largest ranks, in order.
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
