use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::step::{say, show};

/// What the checks so far have come to.
pub(crate) struct Report {
    started: Instant,
    checks: Vec<Check>,
}

struct Check {
    name: &'static str,
    failure: Option<String>,
    took: Duration,
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
    /// Makes a check and notes what comes of it.
    pub(crate) async fn check(&mut self, name: &'static str, check: impl Future<Output = Result<()>>) {
        say(format_args!("\n== {name}"));
        let started = Instant::now();
        let failure = check.await.err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            say(format_args!("== {name} FAILED: {failure}"));
        }
        self.checks.push(Check {
            name,
            failure,
            took: started.elapsed(),
        });
    }

    /// Shows the summary.
    ///
    /// # Errors
    /// If a check failed.
    pub(crate) fn finish(&self, totals: &Totals) -> Result<()> {
        show("");
        for check in &self.checks {
            let outcome = check
                .failure
                .as_deref()
                .map_or("ok".to_owned(), |failure| format!("FAILED: {failure}"));
            show(&format!(
                "{:8} {:6.1} s  {outcome}",
                check.name,
                check.took.as_secs_f64()
            ));
        }
        let failed: Vec<_> = self
            .checks
            .iter()
            .filter(|check| check.failure.is_some())
            .map(|check| check.name)
            .collect();
        show(&totals.line(failed.is_empty(), self.started.elapsed()));
        if failed.is_empty() {
            Ok(())
        } else {
            bail!("failed: {}", failed.join(", "))
        }
    }
}

/// The sum of what all test programs reported.
#[derive(Default)]
pub(crate) struct Totals([u64; 5]);

/// What a test program counts, in the order of its last line.
const COUNTED: [&str; 5] = ["passed", "failed", "ignored", "measured", "filtered out"];

impl Totals {
    /// Adds the counts if this is a test program's last line:
    /// `test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    pub(crate) fn add(&mut self, line: &str) {
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
                self.0[place] += count;
            }
        }
    }

    /// Whether any test ran and passed.
    pub(crate) fn any_passed(&self) -> bool {
        self.0[0] > 0
    }

    fn line(&self, ok: bool, took: Duration) -> String {
        let verdict = if ok { "ok" } else { "FAILED" };
        let counts: Vec<String> = self
            .0
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_up() {
        let mut totals = Totals::default();
        totals.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
        );
        totals.add("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        totals.add("test counts ... ok");
        let line = totals.line(false, Duration::from_millis(1500));
        let sum = "4 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out";
        assert_eq!(line, format!("test result: FAILED. {sum}; finished in 1.50s"));
    }
}
