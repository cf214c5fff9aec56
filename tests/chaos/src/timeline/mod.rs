//! What happened in a run besides the clients' commands: who said to be coordinator, who was
//! MongoDB's primary, which faults there were. All times are in microseconds of the run's monotonic
//! clock, as in the history.

mod recorder;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Node};
use crate::plan::Phase;

pub use recorder::{Recorder, SAMPLES};

/// What happened, in the order in which it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// When the plan was over and everything was being healed.
    pub ended: u64,
    /// The faults there were.
    pub faults: Vec<Ordeal>,
    /// The faults there were not.
    pub skipped: Vec<Skipped>,
    /// What the harness itself could not do, for people. What it could not heal it tries again at
    /// the end.
    pub troubles: Vec<String>,
    /// Which servers said to be coordinator.
    pub reigns: Vec<Reign>,
    /// Which epochs servers said to know.
    #[serde(default)]
    pub beliefs: Vec<Belief>,
    /// Which members of the replica set were its primary, as the observer saw it.
    pub primaries: Vec<Primary>,
}

/// A stretch in which faults neither came nor went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// When it began.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// The faults that lasted all the time.
    pub faults: Vec<&'a Ordeal>,
}

impl Timeline {
    /// The stretches until the plan was over, in order.
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
    /// Whether it was meant to be alone.
    pub phase: Phase,
    /// When it was inflicted.
    pub began: u64,
    /// When it was healed.
    pub ended: u64,
    /// Whom it met.
    pub nodes: Vec<Node>,
    /// What it was, for people.
    pub what: String,
}

/// A fault of the plan that was not inflicted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its kind.
    pub fault: Fault,
    /// When it should have been.
    pub at: u64,
    /// Why it was not.
    pub why: Why,
}

/// Why there was no fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// This machine cannot do it.
    NotPossible,
    /// Whom it should have met was ill already.
    IllAlready,
    /// It was tried, and did not come about: see [`Timeline::troubles`].
    Failed,
}

/// A stretch in which a server said to be coordinator in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reign {
    /// The server's place: 0 is `s1`.
    pub server: usize,
    /// The epoch.
    pub epoch: u64,
    /// When it first said so.
    pub began: u64,
    /// When it no longer did.
    pub ended: u64,
}

/// A stretch in which a server said that an epoch is the newest it knows a coordinator of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    /// The server's place: 0 is `s1`.
    pub server: usize,
    /// The epoch.
    pub epoch: u64,
    /// When it first said so.
    pub began: u64,
    /// When it last did.
    pub ended: u64,
}

/// A stretch in which a member was primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Primary {
    /// Its place: 0 is `m1`.
    pub member: usize,
    /// When it was first seen to be primary.
    pub began: u64,
    /// When it no longer was.
    pub ended: u64,
}
