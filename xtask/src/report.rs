use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail};

use crate::provision::Missing;
use crate::slowest::Slowest;
use crate::step::{say, show};

/// The results of the checks so far.
pub(crate) struct Report {
    started: Instant,
    checks: Vec<Check>,
}

struct Check {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

enum Outcome {
    Ok,
    Failed(String),
    /// This machine lacks a tool that the check needs.
    NotChecked(String),
}

impl Default for Report {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            checks: Vec::new(),
        }
    }
}

impl Report {
    /// Makes a check and notes its result.
    pub(crate) async fn check(&mut self, name: &'static str, check: impl Future<Output = Result<()>>) {
        self.note(name, check, Outcome::required).await;
    }

    /// Makes a check that may be left out if its tool is not available. The summary then names the
    /// check as left out.
    pub(crate) async fn check_if_possible(
        &mut self,
        name: &'static str,
        check: impl Future<Output = Result<()>>,
    ) {
        self.note(name, check, Outcome::if_possible).await;
    }

    async fn note(
        &mut self,
        name: &'static str,
        check: impl Future<Output = Result<()>>,
        outcome: impl FnOnce(Error) -> Outcome,
    ) {
        say(format_args!("\n== {name}"));
        let started = Instant::now();
        let outcome = check.await.map_or_else(outcome, |()| Outcome::Ok);
        if !matches!(outcome, Outcome::Ok) {
            say(format_args!("== {name} {outcome}"));
        }
        self.checks.push(Check {
            name,
            outcome,
            took: started.elapsed(),
        });
    }

    /// Shows the summary.
    ///
    /// # Errors
    /// If a check failed.
    pub(crate) fn finish(&self, totals: Totals) -> Result<()> {
        let slowest = totals.slowest.lines();
        if !slowest.is_empty() {
            show("\nThe run waited longest for these tests:");
        }
        slowest.iter().for_each(|line| show(line));
        show("");
        for check in &self.checks {
            show(&format!(
                "{:8} {:6.1} s  {}",
                check.name,
                check.took.as_secs_f64(),
                check.outcome
            ));
        }
        let failed: Vec<_> = self
            .checks
            .iter()
            .filter(|check| matches!(check.outcome, Outcome::Failed(_)))
            .map(|check| check.name)
            .collect();
        show(&line(totals.counts, failed.is_empty(), self.started.elapsed()));
        if failed.is_empty() {
            Ok(())
        } else {
            bail!("failed: {}", failed.join(", "))
        }
    }
}

impl Outcome {
    fn required(error: Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }

    fn if_possible(error: Error) -> Self {
        match error.downcast_ref::<Missing>() {
            Some(missing) => Self::NotChecked(missing.to_string()),
            None => Self::required(error),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
            Self::NotChecked(why) => write!(f, "NOT CHECKED: {why}"),
        }
    }
}

/// The sum of the counts of all test programs, and the slowest tests.
#[derive(Default)]
pub(crate) struct Totals {
    counts: Counts,
    slowest: Slowest,
}

type Counts = [u64; COUNTED.len()];

/// The numbers that a test program prints, in the order of its last line.
const COUNTED: [&str; 5] = ["passed", "failed", "ignored", "measured", "filtered out"];

impl Totals {
    /// Adds the counts if this is a test program's last line: `test result: ok. 3 passed; 0 failed;
    /// 0 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    pub(crate) fn add(&mut self, line: &str) {
        self.slowest.read(line, Instant::now());
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            let Some((count, what)) = part.split_once(' ') else {
                continue;
            };
            if let (Ok(count), Some(place)) = (
                count.parse::<u64>(),
                COUNTED.iter().position(|name| *name == what),
            ) {
                self.counts[place] += count;
            }
        }
    }

    /// Returns `true` if any test ran and passed.
    pub(crate) fn any_passed(&self) -> bool {
        self.counts[0] > 0
    }
}

/// Returns the last line of a run, in the form of that of a test program.
fn line(counts: Counts, ok: bool, took: Duration) -> String {
    let verdict = if ok { "ok" } else { "FAILED" };
    let counts: Vec<String> = counts
        .iter()
        .zip(COUNTED)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    format!(
        "test result: {verdict}. {}; finished in {:.2}s",
        counts.join("; "),
        took.as_secs_f64()
    )
}

/// Returns the name of a test that failed, from its line: `test it_works ... FAILED`.
pub(crate) fn failed_test(line: &str) -> Option<String> {
    let name = line.strip_prefix("test ")?.strip_suffix("... FAILED")?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_may_be_left_out() {
        let failure = || anyhow::anyhow!("it does not compile");
        let missing = || failure().context(Missing("a compiler".to_owned()));
        assert!(matches!(Outcome::if_possible(missing()), Outcome::NotChecked(_)));
        assert!(matches!(Outcome::if_possible(failure()), Outcome::Failed(_)));
        assert!(matches!(Outcome::required(missing()), Outcome::Failed(_)));
    }

    #[test]
    fn counts_are_added_up() {
        let mut totals = Totals::default();
        totals.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
        );
        totals.add("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        totals.add("test counts ... ok");
        let line = line(totals.counts, false, Duration::from_millis(1500));
        let sum = "4 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out";
        assert_eq!(line, format!("test result: FAILED. {sum}; finished in 1.50s"));
    }

    #[test]
    fn who_failed_is_named() {
        assert_eq!(
            failed_test("test page::it_is_shown            ... FAILED").as_deref(),
            Some("page::it_is_shown")
        );
        for other in ["test counts_are_added_up ... ok", "test result: FAILED. 1 passed"] {
            assert_eq!(failed_test(other), None);
        }
    }
}
