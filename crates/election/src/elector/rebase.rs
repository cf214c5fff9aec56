//! Moves an elector along the time axis, for model checkers: two electors in the same situation at different
//! times become equal.

use core::time::Duration;

use rand::RngCore;

use super::{Counters, Elector, State};
use crate::{Config, Detection, Instant, Quorum, Stamp};

/// How far to move. Every state moves its own moments with it.
pub(super) struct Rebase {
    from: Instant,
    to: Instant,
    /// Whoever is later than that has been paused, however much later it is.
    pause: Duration,
    /// How old a promise can be and still mean something.
    pub(super) promise: Duration,
    /// How long ago a peer can have been heard and still count as alive.
    pub(super) lately: Duration,
}

impl Rebase {
    fn new(config: &Config, lately: Duration, from: Instant, to: Instant) -> Self {
        let promise = match config.quorum {
            Quorum::None => Duration::ZERO,
            _ => config.timeout,
        };
        let pause = config.timeout + Duration::from_micros(1);
        Self {
            from,
            to,
            pause,
            promise,
            lately,
        }
    }

    /// A moment at which this server acts by itself. How late it is matters, up to a pause.
    pub(super) fn deadline(&self, at: &mut Instant) {
        if *at < self.from {
            self.since(at, self.pause);
        } else {
            self.not_before(at);
        }
    }

    /// A moment from which on something is so. Once it has passed, it does not matter when.
    pub(super) fn not_before(&self, at: &mut Instant) {
        *at = self.to + at.saturating_since(self.from);
    }

    /// The same where no such moment is as good as one that has passed.
    pub(super) fn until(&self, until: &mut Option<Instant>) {
        *until = until.filter(|at| *at > self.from);
        if let Some(at) = until {
            self.not_before(at);
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

    pub(super) fn stamp(&self, stamp: &mut Stamp) {
        let mut at = stamp.instant();
        self.since(&mut at, self.promise);
        *stamp = Stamp::new(at);
    }
}

impl<R: RngCore> Elector<R> {
    /// Moves every moment this elector remembers so that `now` becomes `to`, makes moments that are too long ago
    /// to matter alike, and forgets what only counts things. It then does at `to` what it would have done at
    /// `now`, and electors in the same situation are equal and hash equal.
    ///
    /// For model checkers, which need a finite number of states; a program has no use for it. `now` must not be
    /// before the last moment handed in, and `to` must be further from the origin than three times any duration
    /// in the configuration. With [`Quorum::Majority`] it also moves what a follower sends back of its
    /// coordinator's clock, so all clocks must be moved alike, and the stamps in messages too.
    pub fn rebase(&mut self, now: Instant, to: Instant) {
        let rebase = Rebase::new(&self.config, self.lately(), now, to);
        let config = &self.config;
        let revision = self.peers.rebase(&rebase);
        match &mut self.state {
            State::Searching(searching) => searching.rebase(&rebase),
            State::Standing(standing) => standing.rebase(&rebase),
            State::Following(following) => following.rebase(&rebase, config),
            State::Leading(leading) => leading.rebase(&rebase, config, revision),
            State::Draining(draining) => draining.rebase(&rebase, revision),
            State::Left => {}
        }
        self.promises.rebase(&rebase);
        let named = self.named_epoch();
        self.trust.rebase(&rebase, named);
        rebase.not_before(&mut self.calm_until);
        rebase.not_before(&mut self.yield_until);
        if let Some(asked) = &mut self.claim_asked {
            rebase.since(asked, rebase.promise);
        }
        rebase.since(&mut self.now, rebase.pause);
        if config.detection == Detection::Fixed {
            self.patience.forget();
        }
        if let Some(loss) = &mut self.loss {
            // Whom it has given up matters; since when is only counted.
            loss.heard = to;
        }
        (self.counters, self.changes) = (Counters::default(), 0);
        self.supports.clear();
    }
}
