//! The budgets: for each part of the repository, the highest rate of each violation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::report::Measured;
use crate::rules::Measure;

/// A part of the repository with budgets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Comments in crates, clients and the page.
    Product,
    /// Comments in tests, benchmarks and the project's own commands.
    Tools,
    /// Markdown files.
    Documents,
    /// Error, log and help texts of the product.
    Messages,
}

impl Part {
    /// All parts, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Product, Self::Tools, Self::Documents, Self::Messages];

    /// Returns the name in `budgets.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Tools => "tools",
            Self::Documents => "documents",
            Self::Messages => "messages",
        }
    }
}

/// The highest rates, in violations per 1,000 lines of text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Budgets(BTreeMap<Part, BTreeMap<Measure, u32>>);

/// A rate above its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The part.
    pub part: Part,
    /// The kind of violation.
    pub measure: Measure,
}

impl Budgets {
    /// Reads the text of `budgets.toml`.
    ///
    /// # Errors
    /// If the text is not TOML, or names a part or a measure that does not exist.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("budgets.toml has a mistake")
    }

    /// Returns the budget, in violations per 1,000 lines. A budget that the file lacks is 0.
    pub fn of(&self, part: Part, measure: Measure) -> u32 {
        let budget = self.0.get(&part).and_then(|budgets| budgets.get(&measure));
        budget.copied().unwrap_or(0)
    }

    /// Returns the rates that exceed their budgets.
    pub fn excesses(&self, measured: &Measured) -> Vec<Excess> {
        let all = Part::ALL
            .into_iter()
            .flat_map(|part| Measure::ALL.map(|measure| Excess { part, measure }));
        all.filter(|excess| measured.rate(excess.part, excess.measure) > self.of(excess.part, excess.measure))
            .collect()
    }

    /// Lowers each budget to the measured rate, where that is lower. No budget rises.
    pub fn tighten(&mut self, measured: &Measured) {
        for (part, budgets) in &mut self.0 {
            for (measure, budget) in budgets {
                *budget = (*budget).min(measured.rate(*part, *measure));
            }
        }
    }

    /// Returns the text of `budgets.toml`.
    pub fn to_toml(&self) -> String {
        let mut text = String::from(HEADER);
        for part in Part::ALL {
            let _ = write!(text, "\n[{}]\n", part.name());
            for measure in Measure::ALL {
                let name = measure.name().split(' ').next_back().unwrap_or_default();
                let line = format!("{name} = {}", self.of(part, measure));
                let _ = writeln!(text, "{line:21} # aim: {}", measure.aim());
            }
        }
        text
    }
}

const HEADER: &str = "\
# Budgets of `cargo xtask prose`, in violations per 1,000 lines of text. CONTRIBUTING.md has the rules.
# They only fall. After an improvement, `cargo xtask prose --tighten` lowers them to the new rates.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Source;
    use crate::measure_file;

    fn measured(text: &str) -> Measured {
        let mut measured = Measured::default();
        let source = Source::new("docs/a.md").expect("a document");
        measure_file(&source, text, &mut measured).expect("a document");
        measured
    }

    #[test]
    fn a_rate_above_its_budget_is_an_excess() {
        let budgets = Budgets::parse("[documents]\nbanned-word = 500\n").expect("budgets");
        let half = measured("Nobody is here.\n\nA server is here.\n");
        assert_eq!(budgets.excesses(&half), []);
        let all = measured("Nobody is here.\n\nSomebody is here.\n\nA server is here.\n");
        let excess = Excess {
            part: Part::Documents,
            measure: Measure::BannedWord,
        };
        assert_eq!(budgets.excesses(&all), [excess]);
    }

    #[test]
    fn budgets_fall_and_do_not_rise() {
        let mut budgets = Budgets::parse("[documents]\nopening = 0\nbanned-word = 900\n").expect("budgets");
        budgets.tighten(&measured(
            "What a client has sent, nobody else sees.\n\nA server answers.\n",
        ));
        assert_eq!(budgets.of(Part::Documents, Measure::BannedWord), 500);
        assert_eq!(budgets.of(Part::Documents, Measure::Opening), 0);
        assert_eq!(
            Budgets::parse(&budgets.to_toml())
                .expect("its own text")
                .to_toml(),
            budgets.to_toml()
        );
    }

    #[test]
    fn the_file_is_as_written_by_tighten() {
        let text = include_str!("../budgets.toml");
        let budgets = Budgets::parse(text).expect("budgets");
        assert_eq!(budgets.to_toml(), text);
        assert!(Budgets::parse("[documents]\nopenings = 1\n").is_err());
    }
}
