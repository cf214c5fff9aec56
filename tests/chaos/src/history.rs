//! What clients asked and what they were told, as it is written to disk: one JSON object a line.

use bellwether_client::{CommandId, Outcome};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a client does all day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Reads, writes and compare-and-sets of one document each.
    Register,
    /// Appends to lists, and reads of them.
    Append,
    /// Inserts of unique ids, and reads of all.
    Set,
    /// Transfers between accounts as atomic lists, and reads of all accounts.
    Bank,
    /// The same command with the same id from two clients at once.
    Duplicates,
    /// `$inc`, and reads.
    Counter,
}

/// One command of one client: a call and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The client, unique in the run.
    pub client: u32,
    /// What it was for.
    pub workload: Workload,
    /// The command's id, if it came to one.
    pub id: Option<CommandId>,
    /// What was asked, in the workload's own terms.
    pub asked: Value,
    /// When the client called, in microseconds of the run's monotonic clock.
    pub began: u64,
    /// When it was told; in the same unit.
    pub ended: u64,
    /// What it was told became of the command.
    pub outcome: Outcome,
    /// What it was told in the workload's own terms, if the command was executed.
    pub told: Value,
    /// The epoch of the execution.
    pub epoch: Option<u64>,
    /// Whether the answer was the stored one of an earlier try.
    pub replayed: bool,
    /// The server that answered.
    pub server: Option<String>,
    /// Why it was not executed, or nobody knows: for people.
    pub failure: Option<String>,
}
