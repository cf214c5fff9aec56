//! The plan: the faults and their times. It is drawn before anything starts, only from the seed and
//! the flags.

mod draw;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// The shortest time for one fault and the calm after it, where faults come one by one.
pub const SHORTEST_TURN: Duration = Duration::from_secs(5);

/// Which faults a run has, and how close they come.
#[derive(Clone, Debug, Args)]
pub struct Schedule {
    /// Time for which clients work and faults happen, such as 120s, 10min or 1h
    #[arg(long, default_value = "120s", value_name = "TIME")]
    pub length: humantime::Duration,
    /// The kinds of faults; all but unstoppable unless given
    #[arg(long, value_delimiter = ',', value_name = "FAULT,…")]
    pub faults: Vec<Fault>,
    /// Faults one by one, with calm between them, or several at once; first the one and then the
    /// other unless given
    #[arg(long, value_enum)]
    pub phase: Option<Phase>,
    /// Duration of each fault; drawn unless given
    #[arg(long, value_name = "TIME")]
    pub each: Option<humantime::Duration>,
    /// The mean time from one fault to the next, where several happen at once
    #[arg(long, default_value = "3s", value_name = "TIME")]
    pub every: humantime::Duration,
    /// The highest number of faults at once, where several happen at once
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    pub overlap: usize,
}

/// The order of the faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Each kind alone, with calm after it.
    OneByOne,
    /// Several kinds at once, with a calm stretch now and then.
    Mixed,
}

/// All faults of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The seed it was drawn from, and from which clients and network draw as well.
    pub seed: u64,
    /// Time during which clients work, in milliseconds. The last fault is healed before it ends.
    pub length_ms: u64,
    /// In the order in which they begin.
    pub steps: Vec<Step>,
}

/// One fault: inflicted, and healed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Time at which it is inflicted, in milliseconds since the clients began.
    pub at_ms: u64,
    /// Duration until it is healed, in milliseconds.
    pub lasts_ms: u64,
    /// Its kind.
    pub fault: Fault,
    /// The phase, which says if the fault should be alone.
    pub phase: Phase,
    /// Seed for its victims and its strength.
    pub seed: u64,
}

impl Plan {
    /// Draws a plan: the same for the same seed and schedule.
    ///
    /// # Errors
    /// If the time does not suffice for all kinds one by one, or nothing may overlap nothing; the
    /// error names the next step.
    pub fn draw(seed: u64, schedule: &Schedule) -> Result<Self> {
        ensure!(
            schedule.overlap > 0,
            "--overlap 0 leaves no fault: give 1 or more"
        );
        ensure!(
            !schedule.every.is_zero(),
            "--every 0s never ends: give 100ms or more"
        );
        draw::plan(seed, schedule)
    }

    /// Returns the time during which clients work.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.length_ms)
    }
}

impl Step {
    /// Returns the time at which the fault is inflicted, since the clients began.
    pub fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }

    /// Returns the duration of the fault.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }

    fn end_ms(&self) -> u64 {
        self.at_ms + self.lasts_ms
    }
}

impl Schedule {
    /// Returns the kinds, each once.
    pub fn kinds(&self) -> Vec<Fault> {
        let mut kinds = if self.faults.is_empty() {
            Fault::usual()
        } else {
            self.faults.clone()
        };
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}
