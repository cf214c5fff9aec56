//! The coordinator's role: its roster of followers, and its lease, the time for which it may act
//! without another confirmation.

use alloc::vec::Vec;
use core::time::Duration;

use rand::RngCore;

use super::draining::Draining;
use super::peers::best;
use super::time_shift::TimeShift;
use super::{Elector, Output, State};
use crate::{
    Body, Config, Coordinator, Epoch, Instant, Link, Member, Preemption, Quorum, Roster, ServerId, Timestamp,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lease {
    /// No server must agree.
    Unlimited,
    /// A majority has promised to support no other server until then.
    Supported { until: Instant },
    /// The arbiter has confirmed the epoch. `asked` is the time of the next question.
    Confirmed { until: Instant, asked: Option<Instant> },
}

/// State of a coordinator, until its last moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TermState {
    pub(super) epoch: Epoch,
    pub(super) lease: Lease,
    roster: Roster,
    /// Revision of the peers at the time of the roster.
    roster_revision: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leading {
    pub(super) term: TermState,
    tick_at: Instant,
    announce_at: Instant,
    /// Time since which this server has not been eligible.
    ineligible_since: Option<Instant>,
    /// Time since which a follower has been eligible, while this server has not.
    successor_since: Option<Instant>,
}

impl Lease {
    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Unlimited => None,
            Self::Supported { until } | Self::Confirmed { until, .. } => Some(*until),
        }
    }

    pub(super) fn shift(&mut self, shift: &TimeShift) {
        match self {
            Self::Unlimited => {}
            Self::Supported { until } => shift.deadline(until),
            Self::Confirmed { until, asked } => {
                shift.deadline(until);
                if let Some(asked) = asked {
                    shift.since(asked, shift.promise);
                }
            }
        }
    }
}

impl Config {
    /// The part of a promise that a coordinator uses. The rest allows for clocks of different
    /// rates: the coordinator's may be a tenth slower.
    pub(crate) fn lease(&self) -> Duration {
        self.timeout - self.timeout / 10
    }
}

impl TermState {
    pub(super) fn shift(&mut self, shift: &TimeShift, revision: u64) {
        self.lease.shift(shift);
        // Only one fact matters: the roster is up to date. The peers now count from zero.
        self.roster_revision = self.roster_revision.filter(|known| *known == revision).map(|_| 0);
    }
}

impl Leading {
    pub(super) fn deadline(&self) -> Instant {
        self.term
            .lease
            .until()
            .map_or(self.tick_at, |until| until.min(self.tick_at))
    }

    /// `revision` is the old revision of the peers.
    pub(super) fn shift(&mut self, shift: &TimeShift, config: &Config, revision: u64) {
        self.term.shift(shift, revision);
        shift.deadline(&mut self.tick_at);
        shift.not_before(&mut self.announce_at);
        if let Some(since) = &mut self.ineligible_since {
            shift.since(since, config.ineligible_grace);
        }
        if let Some(since) = &mut self.successor_since {
            shift.since(since, config.ineligible_timeout);
        }
    }
}

impl<R: RngCore> Elector<R> {
    pub(super) fn become_coordinator(&mut self, epoch: Epoch, lease: Lease) {
        self.seen = epoch;
        self.resigned_under = None;
        let roster = Roster {
            version: 0,
            members: [].into(),
        };
        let term = TermState {
            epoch,
            lease,
            roster,
            roster_revision: None,
        };
        let now = self.now;
        self.enter(State::Leading(Leading {
            term,
            tick_at: now + self.config.heartbeat,
            announce_at: now + self.config.timeout,
            ineligible_since: None,
            successor_since: None,
        }));
        let announcement = self.announcement(epoch);
        self.broadcast(&announcement);
    }

    pub(super) fn announcement(&self, epoch: Epoch) -> Body {
        Body::Coordinator {
            epoch,
            sent_at: Timestamp::new(self.now),
        }
    }

    /// Returns the state of this server's term as coordinator, while it drains too.
    pub(super) fn term(&mut self) -> Option<&mut TermState> {
        match &mut self.state {
            State::Leading(leading) => Some(&mut leading.term),
            State::Draining(draining) => Some(&mut draining.term),
            _ => None,
        }
    }

    /// Renews the lease. At each heartbeat interval, announces this server to silent peers, and
    /// checks if it is still eligible.
    pub(super) fn check_leading(&mut self) {
        if self.check_lease() {
            return;
        }
        let now = self.now;
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        if now < leading.tick_at {
            return;
        }
        leading.tick_at = now + self.config.heartbeat;
        if now >= leading.announce_at {
            // Announces itself to all silent peers. They may have missed the announcement, or may
            // come back after a crash. On transports without links they may also be another
            // coordinator, after a partition.
            leading.announce_at = now + self.config.probe;
            let epoch = leading.term.epoch;
            let silent: Vec<ServerId> = self.peers.silent(now, self.config.timeout).cloned().collect();
            let announcement = self.announcement(epoch);
            for peer in silent {
                self.send(&peer, announcement.clone());
            }
        }
        self.refresh_roster();
        self.confirm();
        self.check_eligibility();
    }

    fn check_eligibility(&mut self) {
        let now = self.now;
        let eligible = self.me.eligible;
        let successor = if eligible { None } else { self.successor() };
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        if eligible {
            (leading.ineligible_since, leading.successor_since) = (None, None);
            return;
        }
        let ineligible_since = *leading.ineligible_since.get_or_insert(now);
        if successor.is_none() {
            leading.successor_since = None;
        } else {
            let successor_since = *leading.successor_since.get_or_insert(now);
            if now.saturating_since(successor_since) >= self.config.ineligible_timeout {
                return self.drain(successor, false);
            }
        }
        if now.saturating_since(ineligible_since) >= self.config.ineligible_grace {
            self.back_off(self.config.claim_retry);
        }
    }

    /// Returns the best-ranked follower that could take over.
    pub(super) fn successor(&self) -> Option<ServerId> {
        best(self.peers.successors(self.now, self.config.timeout))
    }

    /// Returns the first lease of a coordinator, from the time of the agreement. `None` if that is
    /// too long ago.
    pub(super) fn first_lease(&self, since: Instant) -> Option<Lease> {
        let until = since + self.config.lease();
        match self.config.quorum {
            Quorum::None => Some(Lease::Unlimited),
            _ if until <= self.now => None,
            Quorum::Majority => Some(Lease::Supported { until }),
            Quorum::Arbiter => Some(Lease::Confirmed { until, asked: None }),
        }
    }

    /// Returns the moment until which this server may act as coordinator without another message.
    /// `None` if it is not coordinator, or needs no agreement.
    ///
    /// With [`Quorum::Majority`] no other server becomes coordinator before that moment, as long as
    /// no clock runs more than a tenth slower than another. So use a clock that counts the time
    /// during which the machine is suspended.
    ///
    /// Call this again for every piece of work: the moment moves forward while the server hears the
    /// others.
    pub fn valid_until(&self) -> Option<Instant> {
        match &self.state {
            State::Leading(leading) => leading.term.lease.until(),
            State::Draining(draining) => draining.term.lease.until(),
            _ => None,
        }
    }

    /// Renews the lease as far as possible. Steps down and returns `true` if the lease has expired.
    pub(super) fn check_lease(&mut self) -> bool {
        let now = self.now;
        if matches!(self.term().map(|term| &term.lease), Some(Lease::Supported { .. })) {
            let supported = self.supported_until();
            if let Some(term) = self.term()
                && let Lease::Supported { until } = &mut term.lease
            {
                *until = supported.unwrap_or(now);
            }
        }
        let lapsed = self.valid_until().is_some_and(|until| until <= now);
        if lapsed {
            self.end_term();
        }
        lapsed
    }

    /// Returns the moment until which a majority supports this server, itself included.
    fn supported_until(&mut self) -> Option<Instant> {
        let needed = self.majority() - 1;
        if needed == 0 {
            return Some(self.now + self.config.lease());
        }
        // Kept between calls, so that a quiet second allocates nothing.
        let mut supports: Vec<Instant> = core::mem::take(&mut self.supports);
        supports.clear();
        supports.extend(self.peers.supports());
        supports.sort_unstable_by(|a, b| b.cmp(a));
        let since = supports.get(needed - 1).copied();
        self.supports = supports;
        since.map(|since| since + self.config.lease())
    }

    /// Returns the number of servers that are more than half of the voters.
    pub(super) fn majority(&self) -> usize {
        let voters = self.peers.voters() + usize::from(!self.me.observer);
        voters / 2 + 1
    }

    /// Asks the arbiter once more, unless an answer is outstanding.
    pub(super) fn confirm(&mut self) {
        let now = self.now;
        if let Some(term) = self.term()
            && let Lease::Confirmed {
                asked: asked @ None, ..
            } = &mut term.lease
        {
            *asked = Some(now);
            let epoch = term.epoch;
            self.output(Output::Confirm(epoch));
        }
    }

    /// Handles the arbiter's answer to an [`Output::Confirm`]: `true` if `epoch` is still the
    /// newest, or `None` if the arbiter was unreachable. Ignored if this server is not coordinator
    /// under that epoch any more.
    pub fn handle_confirmation(&mut self, now: Instant, epoch: Epoch, newest: Option<bool>) {
        self.advance(now);
        let lease = self.config.lease();
        let Some(term) = self.term().filter(|term| term.epoch == epoch) else {
            return;
        };
        let Lease::Confirmed { until, asked } = &mut term.lease else {
            return;
        };
        let asked = asked.take();
        match (newest, asked) {
            (Some(true), Some(asked)) => *until = (*until).max(asked + lease),
            (Some(false), _) => self.step_down_superseded(),
            _ => {}
        }
    }

    /// Steps down for a coordinator that this server does not hear. Waits longer before the next
    /// campaign each time in a row.
    pub(super) fn step_down_superseded(&mut self) {
        let delay = self.config.claim_retry * 2_u32.pow(self.superseded.min(4));
        self.superseded += 1;
        self.no_campaign_before = self.now + delay;
        self.end_term();
    }

    /// Steps down at once, without a handover.
    pub(super) fn end_term(&mut self) {
        self.promises.release_own(&self.me.rank);
        match &self.state {
            State::Draining(draining) if draining.leaving => self.enter(State::Left),
            _ => self.search(),
        }
    }

    /// Tells a peer that this server is coordinator.
    pub(super) fn announce_to(&mut self, peer: &ServerId) {
        if let Some(epoch) = self.term().map(|term| term.epoch) {
            let announcement = self.announcement(epoch);
            self.send(peer, announcement);
        }
    }

    /// Follows a newer coordinator that a peer names.
    pub(super) fn on_known_as_coordinator(&mut self, coordinator: Option<Coordinator>, epoch: Epoch) {
        let Some(ours) = self.as_coordinator() else {
            return;
        };
        match self.current(coordinator) {
            Some(coordinator) if coordinator.outranks(&ours) => self.become_follower(coordinator, None),
            // There has been a newer coordinator, so the data store accepts nothing from this
            // server.
            _ if epoch > ours.epoch => {
                self.seen = epoch;
                self.end_term();
            }
            _ => {}
        }
    }

    /// Hands over to the sender, if the policy lets its larger rank preempt this server.
    pub(super) fn on_election_as_coordinator(&mut self, sender: &Member) {
        let better = sender.can_campaign() && sender.rank > self.me.rank;
        if better && self.config.preemption != Preemption::Never {
            self.drain(Some(sender.rank.id.clone()), false);
        } else {
            self.announce_to(sender.id());
        }
    }

    /// Handles the announcement of another coordinator.
    pub(super) fn on_coordinator_as_coordinator(&mut self, coordinator: Coordinator, sent_at: Timestamp) {
        match self.as_coordinator() {
            Some(ours) if ours.outranks(&coordinator) => {
                self.send_known(&coordinator.rank.id, Some(ours));
            }
            _ => self.become_follower(coordinator, Some(sent_at)),
        }
    }

    pub(super) fn on_link_as_coordinator(&mut self, peer: &ServerId, link: Link) {
        if link == Link::Up {
            self.announce_to(peer);
        }
    }

    /// Renews the sender's support, and answers with the roster if the sender lacks it.
    pub(super) fn on_heartbeat_as_coordinator(
        &mut self,
        peer: &ServerId,
        epoch: Epoch,
        roster: u64,
        echo: Option<Timestamp>,
    ) {
        let now = self.now;
        if self.term().map(|term| term.epoch) != Some(epoch) {
            return self.announce_to(peer);
        }
        if let Some(from) = echo.map(Timestamp::instant).filter(|from| *from <= now) {
            self.peers.support(peer, from);
        }
        self.refresh_roster();
        let Some(term) = self.term() else {
            return;
        };
        let changed = term.roster.version != roster;
        let roster = changed.then(|| term.roster.clone());
        self.send(
            peer,
            Body::HeartbeatAck {
                epoch,
                sent_at: Timestamp::new(now),
                roster,
            },
        );
    }

    /// Updates the roster if any peer has changed, or if a member of the roster is silent.
    fn refresh_roster(&mut self) {
        let (now, timeout, revision) = (self.now, self.config.timeout, self.peers.revision());
        let (State::Leading(Leading { term, .. }) | State::Draining(Draining { term, .. })) = &mut self.state
        else {
            return;
        };
        let heard = |member: &Member| self.peers.is_heard(&member.rank.id, now, timeout);
        if term.roster_revision == Some(revision) && term.roster.members.iter().all(heard) {
            return;
        }
        term.roster_revision = Some(revision);
        let mut successors: Vec<&Member> = self.peers.successors(now, timeout).collect();
        successors.sort_unstable_by(|a, b| b.rank.cmp(&a.rank));
        successors.truncate(Roster::LIMIT);
        if term.roster.version == 0 || !term.roster.members.iter().eq(successors.iter().copied()) {
            term.roster.version += 1;
            term.roster.members = successors.into_iter().cloned().collect();
        }
    }
}
