//! The checkers. Each is a pure function of what clients were told, what was in the data in the
//! end, and what the ledger has gone through; none knows how the servers work.
//!
//! A command nobody could say the outcome of may have been executed once at any time after it was
//! first sent, also after the end of the run, or never.

mod bank;
mod calls;
mod denied;
mod durable;
mod epochs;
mod exactly_once;
mod faulty_refused;
mod linearizable;
mod replies;
mod search;
mod set;

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::final_state::FinalState;
use crate::history::{Entry, Workload};
use crate::ledger::Ledger;
use crate::replay::Replay;
use calls::Calls;

pub use epochs::granted_epochs_only;

/// How many examples of one violation are told.
const EXAMPLES: usize = 5;

/// What a checker found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked, by its name in the design, or `set`, `bank`, `replies_equal`,
    /// `fence_written`, `not_denied`, `faulty_refused` or `bystanders_execute`.
    pub invariant: String,
    /// In what it was checked, if not in everything.
    pub workload: Option<Workload>,
    /// Whether it holds.
    pub verdict: Verdict,
    /// How much was checked: commands, or grants of epochs.
    pub checked: u64,
}

/// Whether an invariant holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does, in all that was checked.
    Held,
    /// It does not; examples, for people.
    Violated(String),
    /// Nobody knows, and why.
    Undecided(String),
}

/// Judges a run. The checker of linearizability spends `limit` on one object at most.
pub fn all(
    entries: &[Entry],
    state: &FinalState,
    replays: &[Replay],
    ledger: &Ledger,
    limit: Duration,
) -> Vec<Finding> {
    let calls = Calls::gather(entries);
    let mut findings = exactly_once::check(&calls, state);
    findings.extend(durable::check(&calls, state, ledger));
    findings.extend(linearizable::check(&calls, state, limit));
    findings.extend(set::check(&calls, state));
    findings.extend(bank::check(&calls, state));
    findings.extend(faulty_refused::check(&calls, entries));
    findings.push(replies::check(&calls, entries, replays));
    findings.push(denied::check(&calls, state, ledger));
    findings.extend(epochs::check(entries, ledger));
    findings
}

/// Gathers what is wrong, for one finding.
#[derive(Debug, Default)]
pub(crate) struct Wrongs {
    examples: Vec<String>,
    count: u64,
}

impl Wrongs {
    pub(crate) fn add(&mut self, wrong: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(wrong());
        }
        self.count += 1;
    }

    pub(crate) fn unless(&mut self, right: bool, wrong: impl FnOnce() -> String) {
        if !right {
            self.add(wrong);
        }
    }

    pub(crate) fn finding(self, invariant: &str, workload: Option<Workload>, checked: usize) -> Finding {
        let verdict = if self.count == 0 {
            Verdict::Held
        } else {
            Verdict::Violated(format!("{} times: {}", self.count, self.examples.join("; ")))
        };
        Finding {
            invariant: invariant.into(),
            workload,
            verdict,
            checked: checked as u64,
        }
    }
}

#[cfg(test)]
mod tests;
