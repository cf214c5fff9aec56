//! The tests of JavaScript that needs no browser.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::provision;
use crate::report::Totals;
use crate::step::{command, root, run_and_read};

/// Directories of the scripts, which test code of the page and the package.
const DIRS: [&str; 2] = ["tests/www", "tests/package"];

/// Runs the scripts whose names contain the filter with `node --test`, and adds up their counts.
pub(super) async fn run(filter: Option<&str>, totals: &mut Totals) -> Result<()> {
    provision::node().await?;
    let mut node = command("node");
    node.args(["--test", "--test-reporter=spec"]);
    if let Some(filter) = filter {
        node.arg(format!("--test-name-pattern={}", literally(filter)));
    }
    node.args(tests()?);
    let mut counts = Counts::default();
    let status = run_and_read(&mut node, |line| counts.read(line)).await?;
    totals.add(&counts.line());
    ensure!(
        counts.passed > 0 || filter.is_some(),
        "no test of JavaScript ran ({status})"
    );
    ensure!(
        status.success(),
        "node --test failed ({status}); what failed is named above"
    );
    Ok(())
}

fn tests() -> Result<Vec<PathBuf>> {
    let mut tests = Vec::new();
    for dir in DIRS
        .map(|dir| root().join(dir))
        .into_iter()
        .filter(|dir| dir.is_dir())
    {
        for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
            let file = entry?.path();
            let name = file.file_name().and_then(OsStr::to_str);
            if name.is_some_and(|name| name.ends_with(".test.mjs")) {
                tests.push(file);
            }
        }
    }
    tests.sort();
    Ok(tests)
}

/// Returns the pattern that matches this text and nothing else.
fn literally(text: &str) -> String {
    let escaped = |c: char| {
        if c.is_alphanumeric() {
            c.to_string()
        } else {
            format!("\\u{:04x}", u32::from(c))
        }
    };
    text.chars().map(escaped).collect()
}

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Takes the count from one of the last lines of `node --test`, such as `ℹ pass 3`.
    fn read(&mut self, line: &str) {
        let mut words = line.split_whitespace().skip(1);
        let (Some(what), Some(Ok(count)), None) = (words.next(), words.next().map(str::parse), words.next())
        else {
            return;
        };
        match what {
            "pass" => self.passed = count,
            "fail" => self.failed = count,
            "skipped" | "todo" => self.ignored += count,
            _ => {}
        }
    }

    /// Returns the line in the form of a test program of Rust.
    fn line(&self) -> String {
        let Self {
            passed,
            failed,
            ignored,
        } = self;
        format!("test result: counted. {passed} passed; {failed} failed; {ignored} ignored")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        let mut counts = Counts::default();
        for line in [
            "✔ pass (0.5ms)",
            "ℹ tests 4",
            "ℹ pass 2",
            "ℹ fail 1",
            "ℹ skipped 1",
            "ℹ todo 0",
        ] {
            counts.read(line);
        }
        assert_eq!(
            counts.line(),
            "test result: counted. 2 passed; 1 failed; 1 ignored"
        );
    }
}
