//! Runs a model and reports the result.

use std::io::Write;
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::bounds::Bounds;
use crate::election::ElectionModel;

/// Explores a model to its end.
///
/// # Panics
/// If a property fails; the message has the events that lead there.
pub(crate) fn explore(bounds: Bounds) {
    let began = Instant::now();
    let description = bounds.to_string();
    let name = bounds.name;
    // One thread certainly goes breadth first, so a counterexample is a shortest one and the depth
    // is exact.
    let checker = ElectionModel::new(bounds)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    // Not through the test harness, which shows the output of a test only if it fails.
    let _ = writeln!(
        std::io::stderr(),
        "model {name}: {} unique states of {} in all, depth {}, {:.1} s; {description}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    for property in checker.model().properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Sometimes, None) => panic!("model {name}: never met: {}", property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => {
                let (broken, story) = checker.model().what_breaks(path.last_state(), property.name);
                let actions = path.into_actions();
                let steps: Vec<String> = actions
                    .iter()
                    .enumerate()
                    .map(|(i, action)| format!("{:>4} {action:?}", i + 1))
                    .collect();
                panic!(
                    "model {name}: {broken} is broken after {} steps:\n{}\n{story}",
                    steps.len(),
                    steps.join("\n"),
                );
            }
        }
    }
}
