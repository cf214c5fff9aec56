//! For how long a coordinator may call itself one without being told so again.

use alloc::vec::Vec;
use core::time::Duration;

use rand::RngCore;

use super::rebase::Rebase;
use super::{Elector, Output, State};
use crate::{Config, Epoch, Instant, Quorum};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lease {
    /// Nobody has to agree.
    Unlimited,
    /// A majority has promised to support nobody else until then.
    Supported { until: Instant },
    /// The arbiter has said that there is nobody newer; `asked` is when it was asked again.
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
    /// What a coordinator counts of a promise of the length of the timeout. The rest allows for clocks that
    /// run at different rates: the coordinator's may be a tenth slower.
    pub(crate) fn lease(&self) -> Duration {
        self.timeout - self.timeout / 10
    }
}

impl<R: RngCore> Elector<R> {
    /// Until when this server may act as coordinator without hearing anybody again. `None` if it is not
    /// coordinator, or if it needs nobody's agreement. With [`Quorum::Majority`] no other server becomes
    /// coordinator before that moment, as long as no clock runs more than a tenth slower than another. So hand in a clock
    /// that goes on while the machine is suspended.
    ///
    /// Ask anew for every piece of work: it moves ahead while the others are heard.
    pub fn valid_until(&self) -> Option<Instant> {
        match &self.state {
            State::Leading(leading) => leading.office.lease.until(),
            State::Draining(draining) => draining.office.lease.until(),
            _ => None,
        }
    }

    /// How many servers are more than half of those that vote.
    pub(super) fn majority(&self) -> usize {
        let voters = self.peers.voters() + usize::from(!self.me.observer);
        voters / 2 + 1
    }

    /// Until when a majority supports this server, itself included.
    pub(super) fn supported_until(&mut self) -> Option<Instant> {
        let needed = self.majority() - 1;
        if needed == 0 {
            return Some(self.now + self.config.lease());
        }
        // Kept from one time to the next so that a quiet second allocates nothing.
        let mut supports: Vec<Instant> = core::mem::take(&mut self.supports);
        supports.clear();
        supports.extend(self.peers.supports());
        supports.sort_unstable_by(|a, b| b.cmp(a));
        let since = supports.get(needed - 1).copied();
        self.supports = supports;
        since.map(|since| since + self.config.lease())
    }

    /// Renews the lease as far as it can be; if it has run out, stops being coordinator. True if it has.
    pub(super) fn check_lease(&mut self) -> bool {
        let now = self.now;
        if matches!(
            self.office().map(|office| &office.lease),
            Some(Lease::Supported { .. })
        ) {
            let supported = self.supported_until();
            if let Some(office) = self.office()
                && let Lease::Supported { until } = &mut office.lease
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

    /// Stops being coordinator at once: nobody is handed anything.
    pub(super) fn abandon(&mut self) {
        self.promises.release_own(&self.me.rank);
        match &self.state {
            State::Draining(draining) if draining.leaving => self.enter(State::Left),
            _ => self.search(),
        }
    }

    /// Somebody who is not heard has the office. Each time in a row this server stands back for longer.
    pub(super) fn be_overruled(&mut self) {
        let patience = self.config.claim_retry * 2_u32.pow(self.overruled.min(4));
        self.overruled += 1;
        self.yield_until = self.now + patience;
        self.abandon();
    }

    /// Asks the arbiter once more, unless it still owes an answer.
    pub(super) fn confirm(&mut self) {
        let now = self.now;
        if let Some(office) = self.office()
            && let Lease::Confirmed {
                asked: asked @ None, ..
            } = &mut office.lease
        {
            *asked = Some(now);
            let epoch = office.epoch;
            self.output(Output::Confirm(epoch));
        }
    }

    /// The arbiter has answered an [`Output::Confirm`]: whether `epoch` is still the newest, or nothing if it
    /// could not be reached. Ignored if this server is not coordinator under that epoch any more.
    pub fn handle_confirmation(&mut self, now: Instant, epoch: Epoch, newest: Option<bool>) {
        self.advance(now);
        let lease = self.config.lease();
        let Some(office) = self.office().filter(|office| office.epoch == epoch) else {
            return;
        };
        let Lease::Confirmed { until, asked } = &mut office.lease else {
            return;
        };
        let asked = asked.take();
        match (newest, asked) {
            (Some(true), Some(asked)) => *until = (*until).max(asked + lease),
            (Some(false), _) => self.be_overruled(),
            _ => {}
        }
    }

    /// The lease a coordinator begins with, given since when it has been agreed to. `None` if that is too
    /// long ago.
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
