//! `faulty_refused`: a command at fault gets the error that names its fault, and a command that
//! only looks so is executed. No attempt at it ends with `internal`.

use bellwether_client::Outcome;
use bellwether_protocol::{ErrorCode, WhatNext};

use super::calls::Calls;
use super::{Finding, Wrongs};
use crate::history::{Entry, TriedError, Workload};
use crate::workload::neighbours::Right;
use crate::workload::{Asked, What};

pub(super) fn check(calls: &Calls, entries: &[Entry]) -> Option<Finding> {
    let workload = Workload::BadNeighbours;
    if !calls.workloads.contains(&workload) {
        return None;
    }
    let mut wrongs = Wrongs::default();
    let mut checked = 0;
    for (_, what) in calls.nonsense.iter().filter(|(other, _)| *other == workload) {
        wrongs.add(|| what.clone());
    }
    for entry in entries.iter().filter(|entry| entry.workload == workload) {
        let Ok(Asked {
            what: What::Misbehave { how, .. },
            ..
        }) = serde_json::from_value(entry.asked.clone())
        else {
            continue;
        };
        checked += 1;
        let right = how.right();
        let belongs = entry.outcome != Outcome::Executed || right == Right::Executed;
        wrongs.unless(belongs, || {
            format!(
                "{how:?} of client {} at {} µs was executed",
                entry.client, entry.began
            )
        });
        let errors = entry.tries.iter().filter_map(|tried| tried.error.as_ref());
        for error in errors.filter(|error| !is_right(error, right)) {
            wrongs.add(|| {
                format!(
                    "{how:?} of client {} at {} µs was answered {error:?}, not {right:?}",
                    entry.client, entry.began
                )
            });
        }
    }
    Some(wrongs.finding("faulty_refused", Some(workload), checked))
}

/// Returns `true` if the error may be an answer to such a command. While the cluster does not work,
/// that may be any error that asks the client to come back.
fn is_right(error: &TriedError, right: Right) -> bool {
    match error.code {
        ErrorCode::Internal => false,
        // The id is one of another server, whose clock may be an hour off.
        ErrorCode::IdExpired => true,
        code if code.what_next() == WhatNext::TryNextServer => true,
        ErrorCode::Mongo => matches!(right, Right::Mongo(code) if error.mongo == Some(code)),
        code => right == Right::Refused(code),
    }
}
