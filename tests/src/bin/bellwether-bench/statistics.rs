use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The results of several rounds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Returns the spread of at least one value; of none, only zeros.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (values.first(), values.last()) else {
            return Self {
                median: 0.0,
                least: 0.0,
                most: 0.0,
            };
        };
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Self { median, least, most }
    }

    /// Returns `median (least–most)`, each written by `number`.
    pub(crate) fn show(self, number: impl Fn(f64) -> String) -> String {
        let Self { median, least, most } = self;
        format!("{} ({}–{})", number(median), number(least), number(most))
    }
}

/// Times of which one wants the middle and the end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    /// In milliseconds, as are the others.
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let place = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(place).map_or(0.0, |time| millis(*time))
        };
        Self {
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
        }
    }

    /// Returns the medians of several rounds, and the largest of all.
    pub(crate) fn over_rounds(rounds: &[Self]) -> Self {
        Self {
            p50: Spread::of(rounds.iter().map(|round| round.p50)).median,
            p95: Spread::of(rounds.iter().map(|round| round.p95)).median,
            p99: Spread::of(rounds.iter().map(|round| round.p99)).median,
            max: Spread::of(rounds.iter().map(|round| round.max)).most,
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, max, .. } = self;
        write!(f, "{p50:.1} | {p99:.1} | {max:.1}")
    }
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
