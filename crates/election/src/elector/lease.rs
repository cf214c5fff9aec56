//! The lease: the time for which a coordinator may act without another confirmation.

use alloc::vec::Vec;
use core::time::Duration;

use rand::RngCore;

use super::rebase::Rebase;
use super::{Elector, Output, State};
use crate::{Config, Epoch, Instant, Quorum};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lease {
    /// No server must agree.
    Unlimited,
    /// A majority has promised to support no other server until then.
    Supported { until: Instant },
    /// The arbiter has confirmed the epoch. `asked` is the time of the next question.
    Confirmed { until: Instant, asked: Option<Instant> },
}

impl Lease {
    pub(super) fn until(&self) -> Option<Instant> {
        match self {
            Self::Unlimited => None,
            Self::Supported { until } | Self::Confirmed { until, .. } => Some(*until),
        }
    }

    pub(super) fn rebase(&mut self, rebase: &Rebase) {
        match self {
            Self::Unlimited => {}
            Self::Supported { until } => rebase.deadline(until),
            Self::Confirmed { until, asked } => {
                rebase.deadline(until);
                if let Some(asked) = asked {
                    rebase.since(asked, rebase.promise);
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

impl<R: RngCore> Elector<R> {
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

    /// Returns the number of servers that are more than half of the voters.
    pub(super) fn majority(&self) -> usize {
        let voters = self.peers.voters() + usize::from(!self.me.observer);
        voters / 2 + 1
    }

    /// Returns the moment until which a majority supports this server, itself included.
    pub(super) fn supported_until(&mut self) -> Option<Instant> {
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
            self.abandon();
        }
        lapsed
    }

    /// Steps down at once, without a handover.
    pub(super) fn abandon(&mut self) {
        self.promises.release_own(&self.me.rank);
        match &self.state {
            State::Draining(draining) if draining.leaving => self.enter(State::Left),
            _ => self.search(),
        }
    }

    /// Steps down for a coordinator that this server does not hear. Waits longer before the next
    /// campaign each time in a row.
    pub(super) fn step_down_superseded(&mut self) {
        let adaptive_timeout = self.config.claim_retry * 2_u32.pow(self.superseded.min(4));
        self.superseded += 1;
        self.yield_until = self.now + adaptive_timeout;
        self.abandon();
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
}
