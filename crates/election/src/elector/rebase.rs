//! Moves an elector along the time axis, for model checkers: two electors in the same situation at different
//! times become equal.

use core::time::Duration;

use super::{Elector, State};
use crate::Instant;

/// How far to move. Every state moves its own moments with it.
pub(super) struct Rebase {
    from: Instant,
    to: Instant,
}

impl Rebase {
    /// A moment that is waited for. One that has passed is due, however long ago it passed.
    pub(super) fn deadline(&self, at: &mut Instant) {
        *at = self.to + at.saturating_since(self.from);
    }

    /// A moment that is waited for and means nothing once it has passed.
    pub(super) fn until(&self, until: &mut Option<Instant>) {
        *until = until.filter(|at| *at > self.from);
        if let Some(at) = until {
            self.deadline(at);
        }
    }

    /// A moment in the past. Beyond the horizon all moments are alike.
    pub(super) fn since(&self, at: &mut Instant, horizon: Duration) {
        let age = self.from.saturating_since(*at).min(horizon);
        *at = Instant::since_origin(self.to.elapsed_since_origin().saturating_sub(age));
    }

    /// A moment in the past that means nothing beyond the horizon.
    pub(super) fn within(&self, at: &mut Option<Instant>, horizon: Duration) {
        *at = at.filter(|at| self.from.saturating_since(*at) < horizon);
        if let Some(at) = at {
            self.since(at, horizon);
        }
    }
}

impl<R> Elector<R> {
    /// Moves every moment this elector remembers so that `now` becomes `to`, and makes moments that are too
    /// long ago to matter alike. It then does at `to` what it would have done at `now`, and electors in the
    /// same situation are equal and hash equal.
    ///
    /// For model checkers, which need a finite number of states; a program has no use for it. `now` must not be
    /// before the last moment handed in, and `to` must be further from the origin than any duration in the
    /// configuration.
    pub fn rebase(&mut self, now: Instant, to: Instant) {
        let (config, rebase) = (&self.config, Rebase { from: now, to });
        match &mut self.state {
            State::Searching(searching) => searching.rebase(&rebase),
            State::Standing(standing) => standing.rebase(&rebase),
            State::Following(following) => following.rebase(&rebase, config),
            State::Leading(leading) => leading.rebase(&rebase, config),
            State::Draining(draining) => draining.rebase(&rebase),
            State::Left => {}
        }
        self.peers.rebase(&rebase, config);
        rebase.deadline(&mut self.calm_until);
        // A gap counts as a pause once it is longer than the timeout.
        rebase.since(&mut self.now, config.timeout + Duration::from_nanos(1));
    }
}
