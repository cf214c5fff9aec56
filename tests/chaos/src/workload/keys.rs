use core::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use rand::rngs::SmallRng;

use crate::history::Workload;

/// Number of objects of a workload that are in use at a time.
const AT_A_TIME: u64 = 2;
/// Approximate number of commands on an object. It is small enough for the checker of
/// linearizability to decide.
const COMMANDS: u64 = 250;

/// The objects of one workload. They are replaced by fresh ones from time to time.
#[derive(Debug)]
pub(super) struct Keys {
    workload: Workload,
    drawn: AtomicU64,
}

impl Keys {
    pub(super) fn new(workload: Workload) -> Self {
        let drawn = AtomicU64::new(0);
        Self { workload, drawn }
    }

    /// Returns an object in use.
    pub(super) fn draw(&self, rng: &mut SmallRng) -> String {
        let generation = self.drawn.fetch_add(1, Ordering::Relaxed) / (AT_A_TIME * COMMANDS);
        let letter = match self.workload {
            Workload::Register => 'r',
            Workload::Append => 'l',
            Workload::Set => 's',
            Workload::Bank => 'b',
            Workload::Duplicates => 'd',
            Workload::Counter => 'c',
            Workload::BadNeighbours => 'n',
        };
        format!("{letter}{generation}.{}", rng.random_range(0..AT_A_TIME))
    }
}
