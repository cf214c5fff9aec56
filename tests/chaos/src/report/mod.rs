//! The results of a run, in figures, in words and in a picture.

mod figures;
mod gaps;
mod machine;
mod percentiles;
mod picture;
#[cfg(test)]
mod tests;
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

pub use figures::{FaultFigures, Figures, Operations, executed};
pub use gaps::{Gaps, gaps};
pub use machine::{Machine, MachineWatch};
pub use picture::draw;

use crate::check::{Finding, Verdict};

/// Several runs, each with a cluster of its own.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The command that repeats all runs.
    pub replay: String,
    /// The figures of all runs together.
    pub total: Figures,
    /// The runs.
    pub runs: Vec<RunReport>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// The seed everything was drawn from.
    pub seed: u64,
    /// The command that repeats the run.
    pub replay: String,
    /// The bug planted in the servers, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planted: Option<String>,
    /// Its directory, as seen from the report's.
    pub dir: String,
    /// The figures of the run.
    pub figures: Figures,
    /// The findings of the checkers.
    pub findings: Vec<Finding>,
    /// Errors of the chaos suite itself.
    pub troubles: Vec<String>,
    /// The load of the machine.
    pub machine: Machine,
}

impl Report {
    /// Makes an empty report.
    pub fn new(replay: String) -> Self {
        Self {
            replay,
            ..Self::default()
        }
    }

    /// Adds a run, whose directory has this name, seen from the report's.
    pub fn add(&mut self, dir: String, run: RunReport) {
        self.total.add(&run.figures);
        self.runs.push(RunReport { dir, ..run });
    }

    /// Writes `report.json` and `report.md`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        for (name, content) in [("report.json", json), ("report.md", self.to_string().into())] {
            let path = dir.join(name);
            fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// Returns a line for each finding that did not hold: its verdict in capitals, the seed, the
    /// invariant, the workload and the reason.
    pub fn not_held(&self) -> impl Iterator<Item = String> {
        let findings = self
            .runs
            .iter()
            .flat_map(|run| run.findings.iter().map(|finding| (run.seed, finding)));
        findings.filter_map(|(seed, finding)| words::in_a_line(seed, finding))
    }

    /// Returns the number of findings of this kind: [`Verdict::Violated`] or
    /// [`Verdict::Undecided`].
    pub fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        let findings = self.runs.iter().flat_map(|run| &run.findings);
        findings.filter(|finding| is(&finding.verdict)).count()
    }
}
