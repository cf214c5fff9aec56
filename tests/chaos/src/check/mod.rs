//! The checkers. Each is a pure function of the answers to clients, the data at the end, and the
//! history of the ledger. No checker depends on how the servers work.
//!
//! A command of unknown outcome may never have been executed. Or it was executed once, at any time
//! after the first call sent it, even after the end of the run.

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

/// Number of examples that are given of one violation.
const EXAMPLES: usize = 5;

/// Result of a checker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the check in the design, or `set`, `bank`, `replies_equal`, `fence_written`,
    /// `not_denied`, `faulty_refused` or `bystanders_execute`.
    pub invariant: String,
    /// The workload that was checked, if not all were.
    pub workload: Option<Workload>,
    /// The verdict on the invariant.
    pub verdict: Verdict,
    /// Number of checked commands, or of checked grants of epochs.
    pub checked: u64,
}

/// A verdict on an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds, in everything that was checked.
    Held,
    /// It does not hold; examples, for people.
    Violated(String),
    /// The checker cannot decide; the reason.
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

/// Gathers the violations of one finding.
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
