//! Moves an elector along the time axis, for model checkers. Two electors in the same situation at
//! different times become equal.

use core::time::Duration;

use rand::RngCore;

use super::{Counters, Elector, State};
use crate::{Config, Detection, Instant, Quorum, Timestamp};

/// The distance of the move. Every state moves its own moments.
pub(super) struct TimeShift {
    from: Instant,
    to: Instant,
    /// Largest delay that matters. A longer delay means a pause of any length.
    pause: Duration,
    /// Largest age of a promise that still matters.
    pub(super) promise: Duration,
    /// Largest silence of a peer that still counts as alive.
    pub(super) liveness_timeout: Duration,
}

impl TimeShift {
    fn new(config: &Config, liveness_timeout: Duration, from: Instant, to: Instant) -> Self {
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
            liveness_timeout,
        }
    }

    /// Moves a moment at which this server acts by itself. Its delay matters, up to a pause.
    pub(super) fn deadline(&self, at: &mut Instant) {
        if *at < self.from {
            self.since(at, self.pause);
        } else {
            self.not_before(at);
        }
    }

    /// Moves a moment from which on a state holds. A past moment loses its exact time.
    pub(super) fn not_before(&self, at: &mut Instant) {
        *at = self.to + at.saturating_since(self.from);
    }

    /// Moves an optional moment of the same kind. A past moment becomes `None`.
    pub(super) fn until(&self, until: &mut Option<Instant>) {
        *until = until.filter(|at| *at > self.from);
        if let Some(at) = until {
            self.not_before(at);
        }
    }

    /// Moves a past moment. Beyond the horizon all moments are alike.
    pub(super) fn since(&self, at: &mut Instant, horizon: Duration) {
        let age = self.from.saturating_since(*at).min(horizon);
        *at = Instant::since_origin(self.to.elapsed_since_origin().saturating_sub(age));
    }

    /// Moves a past moment that has no meaning beyond the horizon.
    pub(super) fn within(&self, at: &mut Option<Instant>, horizon: Duration) {
        *at = at.filter(|at| self.from.saturating_since(*at) < horizon);
        if let Some(at) = at {
            self.since(at, horizon);
        }
    }

    pub(super) fn timestamp(&self, timestamp: &mut Timestamp) {
        let mut at = timestamp.instant();
        self.since(&mut at, self.promise);
        *timestamp = Timestamp::new(at);
    }
}

impl<R: RngCore> Elector<R> {
    /// Moves every moment of this elector so that `now` becomes `to`. Makes moments alike that are
    /// too old to matter, and resets the counts. The elector then does at `to` the same as it would
    /// have done at `now`. Electors in the same situation become equal and hash equal.
    ///
    /// For model checkers, which need a finite number of states; a program has no use for it. `now`
    /// must not be before the last moment that the elector has received. `to` must be further from
    /// the origin than three times any duration in the configuration.
    ///
    /// With [`Quorum::Majority`] it also moves the coordinator's timestamps that a follower
    /// returns. So move all clocks alike, and the timestamps in messages too.
    #[doc(hidden)]
    pub fn shift_time(&mut self, now: Instant, to: Instant) {
        let shift = TimeShift::new(&self.config, self.liveness_timeout(), now, to);
        let config = &self.config;
        let revision = self.peers.shift(&shift);
        match &mut self.state {
            State::Searching(searching) => searching.shift(&shift),
            State::Candidate(candidate) => candidate.shift(&shift),
            State::Following(following) => following.shift(&shift, config),
            State::Leading(leading) => leading.shift(&shift, config, revision),
            State::Draining(draining) => draining.shift(&shift, revision),
            State::Left => {}
        }
        self.promises.shift(&shift);
        let named = self.named_epoch();
        self.epoch_check.shift(&shift, named);
        shift.not_before(&mut self.no_challenge_before);
        shift.not_before(&mut self.no_campaign_before);
        if let Some(asked) = &mut self.claimed_at {
            shift.since(asked, shift.promise);
        }
        shift.since(&mut self.now, shift.pause);
        if config.detection == Detection::Fixed {
            self.adaptive_timeout.forget();
        }
        if let Some(lost) = &mut self.lost {
            // The identity of the failed coordinator matters. The time since then is only counted.
            lost.heard = to;
        }
        (self.counters, self.changes) = (Counters::default(), 0);
        self.supports.clear();
    }
}
