use alloc::collections::BTreeMap;
use core::time::Duration;

use super::rebase::Rebase;
use super::{Link, PeerView};
use crate::{Config, Instant, Member, ServerId};

/// What is known of the other servers. Ordered, so that equal inputs give equal outputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peers(BTreeMap<ServerId, Peer>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Peer {
    member: Option<Member>,
    link: Option<Link>,
    heard: Option<Instant>,
    /// Did not answer, or declined: not to be asked to stand before this.
    passed_over_until: Option<Instant>,
}

impl Peer {
    /// A transport that knows no links never says anything about them, so silence counts as reachable.
    fn reachable(&self) -> bool {
        matches!(self.link, None | Some(Link::Up))
    }
}

impl Peers {
    pub(super) fn new(ids: impl Iterator<Item = ServerId>) -> Self {
        Self(ids.map(|id| (id, Peer::default())).collect())
    }

    pub(super) fn views(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.0.iter().map(|(id, peer)| PeerView {
            id: id.clone(),
            member: peer.member.clone(),
            connected: peer.link == Some(Link::Up),
        })
    }

    /// Notes that a message came. False if the sender is no peer.
    pub(super) fn heard(&mut self, now: Instant, sender: &Member) -> bool {
        let Some(peer) = self.0.get_mut(&sender.rank.id) else {
            return false;
        };
        peer.heard = Some(now);
        if peer.link == Some(Link::Refused) {
            // It speaks, so the refusal is out of date; whether there is a link, the transport will say.
            peer.link = None;
        }
        if peer.member.as_ref() != Some(sender) {
            peer.member = Some(sender.clone());
        }
        true
    }

    /// Takes over what another server says of a peer, unless the peer itself was heard lately.
    pub(super) fn heard_of(&mut self, now: Instant, timeout: Duration, member: &Member) {
        if let Some(peer) = self.0.get_mut(&member.rank.id)
            && !is_recent(peer.heard, now, timeout)
            && peer.member.as_ref() != Some(member)
        {
            peer.member = Some(member.clone());
        }
    }

    /// False if there is no such peer.
    pub(super) fn set_link(&mut self, id: &ServerId, link: Link) -> bool {
        let Some(peer) = self.0.get_mut(id) else {
            return false;
        };
        peer.link = Some(link);
        if link == Link::Up {
            peer.passed_over_until = None;
        }
        true
    }

    pub(super) fn pass_over(&mut self, id: &ServerId, until: Instant) {
        if let Some(peer) = self.0.get_mut(id) {
            peer.passed_over_until = Some(until);
        }
    }

    /// Whether messages may reach the peer, as far as the transport has said.
    pub(super) fn is_reachable(&self, id: &ServerId) -> bool {
        self.0.get(id).is_some_and(Peer::reachable)
    }

    pub(super) fn is_refused(&self, id: &ServerId) -> bool {
        self.0
            .get(id)
            .is_some_and(|peer| peer.link == Some(Link::Refused))
    }

    pub(super) fn all_connected(&self) -> bool {
        self.0.values().all(|peer| peer.link == Some(Link::Up))
    }

    /// Peers a message may reach.
    pub(super) fn reachable(&self) -> impl Iterator<Item = &ServerId> {
        self.0
            .iter()
            .filter(|(_, peer)| peer.reachable())
            .map(|(id, _)| id)
    }

    /// Reachable peers that have not been heard lately.
    pub(super) fn silent(&self, now: Instant, timeout: Duration) -> impl Iterator<Item = &ServerId> {
        self.0
            .iter()
            .filter(move |(_, peer)| peer.reachable() && !is_recent(peer.heard, now, timeout))
            .map(|(id, _)| id)
    }

    /// Reachable peers that have been heard at all.
    pub(super) fn known(&self) -> impl Iterator<Item = &Member> {
        self.0
            .values()
            .filter(|peer| peer.reachable())
            .filter_map(|peer| peer.member.as_ref())
    }

    /// Peers that could be asked to stand.
    pub(super) fn candidates(&self, now: Instant) -> impl Iterator<Item = &Member> {
        self.0
            .values()
            .filter(move |peer| peer.reachable() && peer.passed_over_until.is_none_or(|until| until <= now))
            .filter_map(|peer| peer.member.as_ref())
            .filter(|member| member.fit)
    }

    /// Peers heard within the timeout.
    pub(super) fn live(&self, now: Instant, timeout: Duration) -> impl Iterator<Item = &Member> {
        self.0
            .values()
            .filter(move |peer| peer.reachable() && is_recent(peer.heard, now, timeout))
            .filter_map(|peer| peer.member.as_ref())
    }

    pub(super) fn rebase(&mut self, rebase: &Rebase, config: &Config) {
        for peer in self.0.values_mut() {
            rebase.within(&mut peer.heard, config.timeout);
            rebase.until(&mut peer.passed_over_until);
        }
    }
}

/// The one of these with the largest rank: the whole of the Bully algorithm's preference.
pub(super) fn best<'a>(members: impl Iterator<Item = &'a Member>) -> Option<ServerId> {
    let best = members.max_by(|a, b| a.rank.cmp(&b.rank))?;
    Some(best.rank.id.clone())
}

fn is_recent(heard: Option<Instant>, now: Instant, timeout: Duration) -> bool {
    heard.is_some_and(|heard| now.saturating_since(heard) < timeout)
}
