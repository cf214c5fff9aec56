//! Events of a run other than the clients' commands: each server's time as coordinator, each
//! member's time as MongoDB's primary, and the faults. All times are in microseconds of the run's
//! monotonic clock, as in the history.

mod recorder;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Node};
use crate::plan::Phase;

pub use recorder::{Recorder, SAMPLES};

/// The events, in the order of their beginnings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The end of the plan, when all faults are healed.
    pub ended: u64,
    /// The inflicted faults.
    pub faults: Vec<Ordeal>,
    /// The faults that were not inflicted.
    pub skipped: Vec<Skipped>,
    /// Errors of the suite itself, for people. Faults that it could not heal are healed at the end.
    pub troubles: Vec<String>,
    /// The servers that said to be coordinator.
    pub reigns: Vec<Reign>,
    /// The epochs that servers said to know.
    #[serde(default)]
    pub beliefs: Vec<Belief>,
    /// The members of the replica set that were its primary, as the observer saw it.
    pub primaries: Vec<Primary>,
}

/// A stretch in which no fault began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// Time of its beginning.
    pub began: u64,
    /// Time of its end.
    pub ended: u64,
    /// The faults that lasted all the time.
    pub faults: Vec<&'a Ordeal>,
}

impl Timeline {
    /// Returns the stretches until the plan was over, in order.
    pub fn stretches(&self) -> Vec<Stretch<'_>> {
        let faults = self.faults.iter();
        let mut changes: Vec<u64> = faults
            .flat_map(|ordeal| [ordeal.began, ordeal.ended])
            .chain([0, self.ended])
            .filter(|change| *change <= self.ended)
            .collect();
        changes.sort_unstable();
        let between = |pair: &[u64]| {
            let (began, ended) = (pair[0], pair[1]);
            let faults = self.faults.iter();
            Stretch {
                began,
                ended,
                faults: faults
                    .filter(|ordeal| ordeal.began < ended && ordeal.ended > began)
                    .collect(),
            }
        };
        changes.windows(2).map(between).collect()
    }
}

/// A fault from when it was inflicted to when it was healed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordeal {
    /// Its kind.
    pub fault: Fault,
    /// The phase, which says if the fault was meant to be alone.
    pub phase: Phase,
    /// Time at which it was inflicted.
    pub began: u64,
    /// Time at which it was healed.
    pub ended: u64,
    /// Its victims.
    pub nodes: Vec<Node>,
    /// Description, for people.
    pub what: String,
}

/// A fault of the plan that was not inflicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its kind.
    pub fault: Fault,
    /// Planned time.
    pub at: u64,
    /// Reason why it was not inflicted.
    pub why: Why,
}

/// A reason for which a fault was not inflicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// This machine cannot do it.
    NotPossible,
    /// Its victim had a fault already.
    IllAlready,
    /// The attempt failed: see [`Timeline::troubles`].
    Failed,
}

/// A stretch in which a server said to be coordinator in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reign {
    /// The server's place: 0 is `s1`.
    pub server: usize,
    /// The epoch.
    pub epoch: u64,
    /// Time at which the server first said so.
    pub began: u64,
    /// Time at which the server no longer said so.
    pub ended: u64,
}

/// A stretch in which a server said that an epoch is the newest it knows a coordinator of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    /// The server's place: 0 is `s1`.
    pub server: usize,
    /// The epoch.
    pub epoch: u64,
    /// Time at which the server first said so.
    pub began: u64,
    /// Time at which the server last said so.
    pub ended: u64,
}

/// A stretch in which a member was primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Primary {
    /// Its place: 0 is `m1`.
    pub member: usize,
    /// Time at which the observer first saw it as primary.
    pub began: u64,
    /// Time at which it was no longer primary.
    pub ended: u64,
}
