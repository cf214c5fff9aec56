//! What a run has shown, in figures, in words and in a picture.

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
    /// What does all of it again.
    pub replay: String,
    /// What all runs come to.
    pub total: Figures,
    /// The runs.
    pub runs: Vec<RunReport>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// The seed everything was drawn from.
    pub seed: u64,
    /// What does it again.
    pub replay: String,
    /// The bug planted in the servers, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planted: Option<String>,
    /// Its directory, as seen from the report's.
    pub dir: String,
    /// What it comes to.
    pub figures: Figures,
    /// What the checkers found.
    pub findings: Vec<Finding>,
    /// What the harness itself could not do.
    pub troubles: Vec<String>,
    /// How busy the machine was.
    pub machine: Machine,
}

impl Report {
    /// Nothing yet.
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

    /// What did not hold, a line for each: its verdict in capitals, the seed, the invariant, the
    /// workload and why.
    pub fn not_held(&self) -> impl Iterator<Item = String> {
        let findings = self
            .runs
            .iter()
            .flat_map(|run| run.findings.iter().map(|finding| (run.seed, finding)));
        findings.filter_map(|(seed, finding)| words::in_a_line(seed, finding))
    }

    /// How many findings are of this kind: [`Verdict::Violated`] or [`Verdict::Undecided`].
    pub fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        let findings = self.runs.iter().flat_map(|run| &run.findings);
        findings.filter(|finding| is(&finding.verdict)).count()
    }
}
