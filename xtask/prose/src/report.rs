//! Counts violations, and prints rates and places.

use std::collections::BTreeMap;
use std::fmt;

use crate::budget::{Budgets, Excess, Part};
use crate::files::Source;
use crate::rules::{Finding, Measure};

/// Lines of text and violations that were found.
#[derive(Debug, Default)]
pub struct Measured {
    lines: BTreeMap<Part, usize>,
    findings: Vec<Located>,
}

/// A violation with its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The path from the root of the repository.
    pub path: String,
    /// The part whose budget the violation counts against.
    pub part: Part,
    /// The violation.
    pub finding: Finding,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, finding, .. } = self;
        let Finding {
            measure,
            line,
            excerpt,
            suggestion,
        } = finding;
        write!(
            f,
            "{path}:{line}: {}: {excerpt}\n    {suggestion}",
            measure.name()
        )
    }
}

impl Measured {
    pub(crate) fn add_lines(&mut self, part: Part, lines: usize) {
        *self.lines.entry(part).or_default() += lines;
    }

    pub(crate) fn add_finding(&mut self, source: &Source, part: Part, finding: Finding) {
        self.findings.push(Located {
            path: source.path.clone(),
            part,
            finding,
        });
    }

    /// Returns all violations, file by file.
    pub fn findings(&self) -> &[Located] {
        &self.findings
    }

    /// Returns the number of lines of text in `part`. In [`Part::Messages`] each text is one line.
    pub fn lines(&self, part: Part) -> usize {
        self.lines.get(&part).copied().unwrap_or(0)
    }

    /// Returns the number of violations.
    pub fn count(&self, part: Part, measure: Measure) -> usize {
        self.of(part, measure).count()
    }

    /// Returns the violations of one kind in one part.
    pub fn of(&self, part: Part, measure: Measure) -> impl Iterator<Item = &Located> {
        let found = self.findings.iter();
        found.filter(move |found| found.part == part && found.finding.measure == measure)
    }

    /// Returns the violations per 1,000 lines, rounded up; 0 for a part without text.
    pub fn rate(&self, part: Part, measure: Measure) -> u32 {
        let rate = (self.count(part, measure) * 1000).div_ceil(self.lines(part).max(1));
        u32::try_from(rate).unwrap_or(u32::MAX)
    }

    /// Returns a table of all rates, with budgets and aims.
    pub fn table(&self, budgets: &Budgets) -> String {
        let mut table = String::from("violations per 1,000 lines   found   rate budget    aim\n");
        for part in Part::ALL {
            table.push_str(&format!("{}, {} lines\n", part.name(), self.lines(part)));
            for measure in Measure::ALL {
                table.push_str(&format!(
                    "    {:22} {:>7} {:>6} {:>6} {:>6}\n",
                    measure.name(),
                    self.count(part, measure),
                    self.rate(part, measure),
                    budgets.of(part, measure),
                    measure.aim(),
                ));
            }
        }
        table
    }

    /// Returns the places of all violations whose rate exceeds its budget.
    pub fn places(&self, excesses: &[Excess]) -> String {
        let mut places = String::new();
        for excess in excesses {
            for found in self.of(excess.part, excess.measure) {
                places.push_str(&format!("{found}\n"));
            }
        }
        places
    }
}
