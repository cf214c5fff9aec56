//! The tests for which a run waited longest.

use std::time::{Duration, Instant};

/// Number of tests in the list.
const SHOWN: usize = 20;
/// A wait that is not worth a line.
const SHORT: Duration = Duration::from_secs(1);

/// The time for which the run waited for each test: from the line before until the test's own line.
/// The tests of a program run side by side, so this is less than the time that a test takes. All
/// these times together are the time of the run, without compilation.
#[derive(Default)]
pub(crate) struct Slowest {
    last_line: Option<Instant>,
    waits: Vec<(Duration, String)>,
}

impl Slowest {
    /// Reads a line that a test program has printed at this moment.
    pub(crate) fn read(&mut self, line: &str, now: Instant) {
        if line.starts_with("running ") {
            self.last_line = Some(now);
        }
        let Some(name) = test_of(line) else {
            return;
        };
        let waited = self.last_line.map(|last| now.saturating_duration_since(last));
        self.last_line = Some(now);
        if let Some(waited) = waited.filter(|waited| *waited >= SHORT) {
            self.waits.push((waited, name.to_owned()));
        }
    }

    /// Returns the lines of the list, the longest wait first.
    pub(crate) fn lines(mut self) -> Vec<String> {
        self.waits.sort_by(|(one, _), (other, _)| other.cmp(one));
        let shown = self.waits.into_iter().take(SHOWN);
        shown
            .map(|(waited, name)| format!("{:6.1} s  {name}", waited.as_secs_f64()))
            .collect()
    }
}

/// Returns the name in a line such as `test page::it_is_shown ... ok`.
fn test_of(line: &str) -> Option<&str> {
    let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let has_run = ["ok", "FAILED"].contains(&result);
    has_run.then(|| name.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_the_longest_waits_first_and_no_compilation() {
        let (mut slowest, begin) = (Slowest::default(), Instant::now());
        let lines = [
            (0, "test before::any_program ... ok"),
            (60, "running 3 tests"),
            (62, "test short ... ok"),
            (67, "test long            ... FAILED"),
            (67, "test at_once ... ok"),
            (80, "test left_out ... ignored"),
            (81, "test result: FAILED. 1 passed"),
        ];
        for (second, line) in lines {
            slowest.read(line, begin + Duration::from_secs(second));
        }
        assert_eq!(slowest.lines(), ["   5.0 s  long", "   2.0 s  short"]);
    }
}
