//! A machine that stands still for seconds, as a virtual one does while its host has other work.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::FutureExt;
use tokio::time::sleep;

/// Interval at which the detector's thread wakes.
const TICK: Duration = Duration::from_millis(50);

/// Shortest delay of the detector's thread that counts as a stall.
const STALL: Duration = Duration::from_secs(1);

/// Highest number of times that a scenario is played.
const TRIES: usize = 6;

/// Plays a scenario in which servers or time limits take a machine that stands still for a failed
/// one. Plays it again if it fails and this machine stood still for 1 s or longer meanwhile, at
/// most six times in total. The scenario must start afresh each time.
///
/// A scenario that fails on a machine that runs is not played again, so the check is as strict as
/// without this function.
///
/// # Errors
/// The error of the first try without a stall, or of the last try. A panic of the
/// scenario is passed on only then.
pub async fn unless_stalled<T>(scenario: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    retry(scenario, StallDetector::start, StallDetector::has_noticed).await
}

/// Plays the scenario until it succeeds, or fails without a stall. Before each try, `watch` starts
/// a detector; `noticed` asks it after a failure.
async fn retry<T, D>(
    mut scenario: impl AsyncFnMut() -> Result<T>,
    watch: impl Fn() -> D,
    noticed: impl AsyncFn(&D) -> bool,
) -> Result<T> {
    for _ in 1..TRIES {
        let detector = watch();
        // A failed `assert` is a panic, whose text is on standard error already.
        let ended = AssertUnwindSafe(scenario()).catch_unwind().await;
        if matches!(ended, Ok(Ok(_))) || !noticed(&detector).await {
            return ended.unwrap_or_else(|panic| resume_unwind(panic));
        }
        let error = ended.map(|result| result.err()).unwrap_or_default();
        eprintln!("this machine stood still, so the scenario is played again: {error:?}");
    }
    scenario().await
}

/// A thread that wakes every 50 ms, and notices if it wakes 1 s too late or later. Ends when it is
/// dropped.
struct StallDetector {
    noticed: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl StallDetector {
    fn start() -> Self {
        let detector = Self {
            noticed: Arc::default(),
            ended: Arc::default(),
        };
        let (noticed, ended) = (Arc::clone(&detector.noticed), Arc::clone(&detector.ended));
        thread::spawn(move || {
            let mut before = Instant::now();
            while !ended.load(Ordering::SeqCst) {
                thread::sleep(TICK);
                if before.elapsed() >= TICK + STALL {
                    noticed.store(true, Ordering::SeqCst);
                }
                before = Instant::now();
            }
        });
        detector
    }

    /// Returns `true` if this machine has stood still since the start.
    async fn has_noticed(&self) -> bool {
        // The thread may not have run yet since the machine goes on.
        sleep(4 * TICK).await;
        self.noticed.load(Ordering::SeqCst)
    }
}

impl Drop for StallDetector {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::process::Command;

    use anyhow::bail;

    use super::*;

    /// Plays a scenario that fails the first `failures` times; returns the result and the number
    /// of tries.
    async fn play(failures: usize, stalled: bool) -> (Result<usize>, usize) {
        let tries = Cell::new(0);
        let scenario = async || {
            tries.set(tries.get() + 1);
            if tries.get() <= failures {
                bail!("try {}", tries.get());
            }
            Ok(tries.get())
        };
        let result = retry(scenario, || (), async |()| stalled).await;
        (result, tries.get())
    }

    #[tokio::test]
    async fn only_a_stall_excuses_a_failure() {
        let (result, tries) = play(1, false).await;
        assert_eq!(
            (result.map_err(|error| error.to_string()), tries),
            (Err("try 1".into()), 1)
        );
        let (result, tries) = play(2, true).await;
        assert_eq!((result.ok(), tries), (Some(3), 3));
        let (result, tries) = play(100, true).await;
        assert!(result.is_err());
        assert_eq!(tries, TRIES);
    }

    #[tokio::test]
    async fn a_stall_excuses_a_failed_assertion_too() {
        let tries = Cell::new(0);
        let scenario = async || {
            tries.set(tries.get() + 1);
            assert!(tries.get() > 1, "the first try");
            Ok(tries.get())
        };
        let result = retry(scenario, || (), async |()| true).await;
        assert_eq!(result.ok(), Some(2));
    }

    #[tokio::test]
    #[should_panic(expected = "the first try")]
    async fn a_failed_assertion_without_a_stall_is_passed_on() {
        let scenario = async || -> Result<()> { panic!("the first try") };
        let _ = retry(scenario, || (), async |()| false).await;
    }

    /// Another process stops this one, and lets it go on.
    #[tokio::test]
    async fn a_process_that_was_stopped_has_stalled() -> Result<()> {
        let detector = StallDetector::start();
        let this = std::process::id();
        let script = format!("kill -STOP {this}; sleep 2; kill -CONT {this}");
        let mut stopper = Command::new("sh").args(["-c", &script]).spawn()?;
        assert!(stopper.wait()?.success());
        assert!(detector.has_noticed().await);
        Ok(())
    }
}
