//! `bystanders_execute`: without a fault, no client's command fails because of a command of another
//! client.

use bellwether_client::Outcome;
use bellwether_protocol::WhatNext;

use crate::check::{Finding, Wrongs};
use crate::converges::LIMIT;
use crate::history::{Entry, Workload};
use crate::timeline::Timeline;

/// Checks the calls that began and ended while there had been no fault for [`LIMIT`], in runs with
/// bad neighbours. The commands of all other clients are executed; those of the bad neighbours get
/// their final answer.
pub fn bystanders_execute(entries: &[Entry], timeline: &Timeline) -> Option<Finding> {
    let is_bad = |entry: &Entry| entry.workload == Workload::BadNeighbours;
    if !entries.iter().any(is_bad) {
        return None;
    }
    let stretches = timeline.stretches().into_iter();
    let quiet: Vec<_> = stretches
        .filter(|stretch| stretch.faults.is_empty())
        .map(|stretch| stretch.began + LIMIT..stretch.ended)
        .collect();
    let during = |entry: &&Entry| {
        let mut quiet = quiet.iter();
        quiet.any(|quiet| quiet.contains(&entry.began) && quiet.contains(&entry.ended))
    };
    let mut wrongs = Wrongs::default();
    let mut checked = 0;
    for entry in entries.iter().filter(during) {
        checked += 1;
        let is_right = entry.outcome == Outcome::Executed || is_bad(entry) && is_final(entry);
        wrongs.unless(is_right, || {
            format!(
                "{:?} of client {} at {:.1} s, {}, although there was no fault: {}",
                entry.workload,
                entry.client,
                entry.began as f64 / 1e6,
                entry.outcome,
                entry.failure.as_deref().unwrap_or("no reason is known")
            )
        });
    }
    Some(wrongs.finding("bystanders_execute", None, checked))
}

/// Returns `true` if the last error means that every server would answer the same.
fn is_final(entry: &Entry) -> bool {
    let last = entry.tries.last().and_then(|tried| tried.error.as_ref());
    last.is_some_and(|error| error.code.what_next() == WhatNext::GiveUp)
}

#[cfg(test)]
mod tests {
    use bellwether_protocol::ErrorCode;

    use super::*;
    use crate::check::Verdict;
    use crate::fault::Fault;
    use crate::history::{Tried, TriedError};
    use crate::plan::Phase;
    use crate::timeline::Ordeal;

    const SECOND: u64 = 1_000_000;

    fn entry(workload: Workload, second: u64, outcome: Outcome, code: Option<ErrorCode>) -> Entry {
        Entry {
            tries: vec![Tried {
                server: "s1".into(),
                outcome,
                error: code.map(|code| TriedError { code, mongo: None }),
            }],
            ..Entry::new(1, workload, (second * SECOND, (second + 1) * SECOND), outcome)
        }
    }

    /// Checks a minute with a fault from 20 to 25 s: returns `true` if nothing is wrong, and the
    /// number of checked commands.
    fn judge(entries: &[Entry]) -> Option<(bool, u64)> {
        let timeline = Timeline {
            ended: 60 * SECOND,
            faults: vec![Ordeal {
                fault: Fault::ServerKill,
                phase: Phase::Mixed,
                began: 20 * SECOND,
                ended: 25 * SECOND,
                nodes: Vec::new(),
                what: String::new(),
            }],
            ..Timeline::default()
        };
        let finding = bystanders_execute(entries, &timeline)?;
        Some((finding.verdict == Verdict::Held, finding.checked))
    }

    #[test]
    fn others_are_executed_while_there_is_no_fault() {
        let refused = Outcome::NotExecuted;
        let bad = entry(Workload::BadNeighbours, 40, refused, Some(ErrorCode::Mongo));
        let other = |second, outcome| entry(Workload::Set, second, outcome, None);
        let right = [bad.clone(), other(15, Outcome::Executed)];
        assert_eq!(judge(&right), Some((true, 2)));
        for outcome in [Outcome::NotExecuted, Outcome::Unknown] {
            assert_eq!(judge(&[bad.clone(), other(40, outcome)]), Some((false, 2)));
            // Early, under the fault, soon after it, and at the end.
            for second in [3, 22, 30, 59] {
                assert_eq!(judge(&[bad.clone(), other(second, outcome)]), Some((true, 1)));
            }
        }
        assert_eq!(judge(&[other(40, refused)]), None, "nobody is bad");
    }

    #[test]
    fn bad_neighbours_get_a_final_answer() {
        for (code, is_right) in [
            (Some(ErrorCode::Mongo), true),
            (Some(ErrorCode::CommandNotAllowed), true),
            (Some(ErrorCode::Deadline), false),
            (Some(ErrorCode::Internal), false),
            (None, false),
        ] {
            let bad = entry(Workload::BadNeighbours, 40, Outcome::NotExecuted, code);
            assert_eq!(judge(&[bad]), Some((is_right, 1)), "{code:?}");
        }
    }
}
