//! `set`: a read has each member once that was acknowledged before the read began, and no member
//! that no client inserted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bellwether_client::Outcome;

use super::calls::{Calls, Command};
use super::{Finding, Wrongs};
use crate::final_state::FinalState;
use crate::history::Workload;
use crate::workload::Told;

pub(super) fn check(calls: &Calls, state: &FinalState) -> Option<Finding> {
    if !calls.workloads.contains(&Workload::Set) {
        return None;
    }
    let mut inserts: BTreeMap<&str, HashMap<&str, &Command>> = BTreeMap::new();
    for command in calls.commands_of(Workload::Set) {
        let of_key = inserts.entry(command.asked.key.as_str()).or_default();
        of_key.insert(&command.token, command);
    }
    let mut wrongs = Wrongs::default();
    let mut checked = 0;
    let mut judge = |key: &str, items: &[String], began: u64, ended: u64, who: &str| {
        checked += 1;
        let none = HashMap::new();
        let inserts = inserts.get(key).unwrap_or(&none);
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for item in items {
            *seen.entry(item).or_default() += 1;
        }
        for (item, count) in &seen {
            wrongs.unless(*count == 1, || format!("{who} saw {item} {count} times in {key}"));
            match inserts.get(item) {
                None => wrongs.add(|| format!("{who} saw {item} in {key}, which nobody inserted")),
                Some(insert) => wrongs.unless(
                    insert.outcome != Outcome::NotExecuted && insert.began <= ended,
                    || format!("{who} saw {} too early, or though not executed", insert.name()),
                ),
            }
        }
        for (item, insert) in inserts {
            let missing =
                insert.answered.is_some_and(|answered| answered < began) && !seen.contains_key(item);
            wrongs.unless(!missing, || {
                format!("{who} missed {}, which was acknowledged before", insert.name())
            });
        }
    };
    for read in calls.reads_of(Workload::Set) {
        if let Told::Items(items) = &read.told {
            let who = format!("the read of client {} at {} µs", read.client, read.began);
            judge(&read.key, items, read.began, read.ended, &who);
        }
    }
    let keys: BTreeSet<&str> = inserts
        .keys()
        .copied()
        .chain(state.sets.keys().map(String::as_str))
        .collect();
    for key in keys {
        let items = state.sets.get(key).map_or(&[][..], Vec::as_slice);
        judge(key, items, calls.end, u64::MAX, "the read after the run");
    }
    Some(wrongs.finding("set", Some(Workload::Set), checked))
}
