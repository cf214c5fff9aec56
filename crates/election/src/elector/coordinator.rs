//! The coordinator's role, and its end.

use alloc::vec::Vec;

use rand::RngCore;

use super::candidate::Candidate;
use super::lease::Lease;
use super::peers::best;
use super::rebase::Rebase;
use super::{Elector, State};
use crate::{Body, Config, Epoch, Incumbent, Instant, Member, Quorum, Roster, ServerId, Stamp};

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
    pub(super) tick_at: Instant,
    announce_at: Instant,
    /// Time since which this server has not been fit.
    unfit_since: Option<Instant>,
    /// Time since which a follower has been fit, while this server has not.
    outdone_since: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Draining {
    pub(super) term: TermState,
    pub(super) successor: Option<ServerId>,
    pub(super) tick_at: Instant,
    until: Instant,
    pub(super) leaving: bool,
}

impl TermState {
    fn rebase(&mut self, rebase: &Rebase, revision: u64) {
        self.lease.rebase(rebase);
        // Only one fact matters: the roster is up to date. The peers now count from zero.
        self.roster_revision = self.roster_revision.filter(|known| *known == revision).map(|_| 0);
    }
}

impl Leading {
    /// `revision` is the old revision of the peers.
    pub(super) fn rebase(&mut self, rebase: &Rebase, config: &Config, revision: u64) {
        self.term.rebase(rebase, revision);
        rebase.deadline(&mut self.tick_at);
        rebase.not_before(&mut self.announce_at);
        if let Some(since) = &mut self.unfit_since {
            rebase.since(since, config.unfit_grace);
        }
        if let Some(since) = &mut self.outdone_since {
            rebase.since(since, config.ineligible_timeout);
        }
    }
}

impl Draining {
    /// `revision` is the old revision of the peers.
    pub(super) fn rebase(&mut self, rebase: &Rebase, revision: u64) {
        self.term.rebase(rebase, revision);
        rebase.deadline(&mut self.tick_at);
        rebase.not_before(&mut self.until);
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
            unfit_since: None,
            outdone_since: None,
        }));
        let announcement = self.announcement(epoch);
        self.broadcast(&announcement);
    }

    pub(super) fn announcement(&self, epoch: Epoch) -> Body {
        Body::Coordinator {
            epoch,
            stamp: Stamp::new(self.now),
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
        self.check_fitness();
    }

    fn check_fitness(&mut self) {
        let now = self.now;
        let fit = self.me.fit;
        let successor = if fit { None } else { self.successor() };
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        if fit {
            (leading.unfit_since, leading.outdone_since) = (None, None);
            return;
        }
        let unfit_since = *leading.unfit_since.get_or_insert(now);
        if successor.is_none() {
            leading.outdone_since = None;
        } else {
            let outdone_since = *leading.outdone_since.get_or_insert(now);
            if now.saturating_since(outdone_since) >= self.config.ineligible_timeout {
                return self.drain(successor, false);
            }
        }
        if now.saturating_since(unfit_since) >= self.config.unfit_grace {
            self.rest(self.config.claim_retry);
        }
    }

    /// Returns the best-ranked follower that could take over.
    pub(super) fn successor(&self) -> Option<ServerId> {
        best(self.peers.successors(self.now, self.config.timeout))
    }

    /// Stops accepting work, for `successor` or otherwise for the best-ranked follower.
    pub(super) fn drain(&mut self, successor: Option<ServerId>, leaving: bool) {
        let State::Leading(leading) = &self.state else {
            return;
        };
        let term = leading.term.clone();
        let successor = successor.or_else(|| self.successor());
        let now = self.now;
        self.enter(State::Draining(Draining {
            term,
            successor,
            tick_at: now + self.config.heartbeat,
            until: now + self.config.drain_timeout,
            leaving,
        }));
    }

    pub(super) fn check_draining(&mut self) {
        if self.check_lease() {
            return;
        }
        let now = self.now;
        let State::Draining(draining) = &mut self.state else {
            return;
        };
        if now >= draining.until {
            return self.hand_over();
        }
        if now >= draining.tick_at {
            draining.tick_at = (now + self.config.heartbeat).min(draining.until);
            self.confirm();
        }
    }

    /// Begins the second phase: the work is done, and the successor takes over.
    pub(super) fn hand_over(&mut self) {
        let State::Draining(draining) = &self.state else {
            return;
        };
        let (epoch, leaving) = (draining.term.epoch, draining.leaving);
        // The server's promise to itself ends with its term, so that it can vote for the next
        // coordinator.
        self.promises.release_own(&self.me.rank);
        let releases = epoch.max(self.promises.largest());
        // The named successor may have failed by now.
        let named = draining.successor.clone();
        let still_there = named.filter(|id| {
            let mut there = self.peers.successors(self.now, self.config.timeout);
            there.any(|member| member.rank.id == *id)
        });
        let successor = still_there.or_else(|| self.successor());
        match (&successor, leaving) {
            (_, true) => self.enter(State::Left),
            (Some(peer), false) => {
                let until = self.now + self.config.claim_timeout;
                self.enter(State::Candidate(Candidate::Awaiting {
                    peer: peer.clone(),
                    until,
                }));
            }
            (None, false) => self.enter_search(),
        }
        let word = Body::Handover {
            epoch,
            releases,
            successor: successor.clone(),
        };
        match successor {
            // This message releases each voter from its promise to this server.
            _ if self.config.quorum == Quorum::Majority => self.broadcast(&word),
            Some(peer) => self.send(&peer, word),
            None => {}
        }
        self.check_search();
    }

    pub(super) fn on_heartbeat(&mut self, sender: &Member, epoch: Epoch, roster: u64, echo: Option<Stamp>) {
        let peer = &sender.rank.id;
        let now = self.now;
        let Some(ours) = self.term().map(|term| term.epoch) else {
            let incumbent = self.heard_incumbent();
            return self.send_known(peer, incumbent);
        };
        if ours != epoch {
            let announcement = self.announcement(ours);
            return self.send(peer, announcement);
        }
        if let Some(from) = echo.map(Stamp::instant).filter(|from| *from <= now) {
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
                stamp: Stamp::new(now),
                roster,
            },
        );
    }

    /// Updates the line of succession if any peer has changed, or if a member of the line is
    /// silent.
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
        let mut line: Vec<&Member> = self.peers.successors(now, timeout).collect();
        line.sort_unstable_by(|a, b| b.rank.cmp(&a.rank));
        line.truncate(Roster::LIMIT);
        if term.roster.version == 0 || !term.roster.members.iter().eq(line.iter().copied()) {
            term.roster.version += 1;
            term.roster.members = line.into_iter().cloned().collect();
        }
    }

    pub(super) fn own_incumbency(&self) -> Option<Incumbent> {
        match &self.state {
            State::Leading(Leading { term, .. }) | State::Draining(Draining { term, .. }) => {
                Some(Incumbent {
                    rank: self.me.rank.clone(),
                    epoch: term.epoch,
                })
            }
            _ => None,
        }
    }
}
