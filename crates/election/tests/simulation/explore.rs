//! Runs a test with one seed after another, and prints the command that shows a failing one again.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use crate::clock::Micros;
use crate::invariants::Violation;

/// The figures of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) virtual_time: Micros,
    pub(crate) steps: u64,
    /// Time from the end of the faults to the last change of a role, as a fraction of the limit.
    pub(crate) converged: f64,
}

pub(crate) type Outcome = Result<Figures, Violation>;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
    )
}

/// Returns `true` if only one seed is run, with a trace.
pub(crate) fn tracing() -> bool {
    static TRACING: OnceLock<bool> = OnceLock::new();
    *TRACING.get_or_init(|| number("BELLWETHER_SEED").is_some())
}

/// Runs `run` with `seeds` seeds, or the number in the environment. Panics with the smallest seed
/// that fails.
pub(crate) fn explore<F>(seeds: u64, run: F)
where
    F: Fn(u64) -> Outcome + Sync,
{
    let first = number("BELLWETHER_SEED").or_else(|| number("BELLWETHER_FIRST_SEED"));
    let first = first.unwrap_or(0);
    let count = if tracing() {
        1
    } else {
        number("BELLWETHER_SEEDS").unwrap_or(seeds)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (next, failed) = (AtomicU64::new(first), Mutex::new(None::<(u64, Violation)>));
    let total = Mutex::new(Figures::default());
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || lock(&failed).is_some() {
                        return;
                    }
                    match attempt(&run, seed) {
                        Ok(figures) => lock(&total).add(figures),
                        Err(violation) => {
                            let mut failed = lock(&failed);
                            if failed.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
                                *failed = Some((seed, violation));
                            }
                        }
                    }
                }
            });
        }
    });
    let test = test_name::<F>();
    if let Some((seed, violation)) = lock(&failed).take() {
        panic!(
            "{violation}\nrun {} of {count}; see it again with\n    {}\n",
            seed - first + 1,
            replay(&test, seed)
        );
    }
    lock(&total).report(&test, count, began.elapsed().as_secs_f64());
}

fn attempt(run: impl Fn(u64) -> Outcome, seed: u64) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(panic.downcast_ref::<&str>().copied());
        Err(Violation::new("no_panic", 0, text.unwrap_or("no message")))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the name of the test. The closure is inside the test's function and is named after it.
fn test_name<F>() -> String {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").map_or(path, |(_, test)| test).to_owned()
}

fn replay(test: &str, seed: u64) -> String {
    format!(
        "BELLWETHER_SEED={seed} cargo test -p bellwether-election --test simulation -- --exact {test} --nocapture"
    )
}

impl Figures {
    fn add(&mut self, run: Figures) {
        self.virtual_time += run.virtual_time;
        self.steps += run.steps;
        self.converged = self.converged.max(run.converged);
    }

    fn report(&self, test: &str, runs: u64, seconds: f64) {
        let hours = self.virtual_time as f64 / 3.6e9;
        let per_second = runs as f64 / seconds;
        eprintln!(
            "{test}: {runs} runs, {hours:.1} virtual hours, {} steps in {seconds:.1} s ({per_second:.0} runs/s), \
             at worst converged after {:.0} % of the bound",
            self.steps,
            self.converged * 100.0,
        );
    }
}
