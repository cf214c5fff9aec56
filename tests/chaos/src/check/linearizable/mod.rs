//! Linearizability: some one order, consistent with real time, explains all answers. Each object on
//! its own, which is enough, since a history is linearizable if those of its objects are.
//!
//! The data after the run counts as a last read. A command of unknown outcome may have left no
//! effect in data that keeps effects. Such a command need not be in the order: it was executed
//! after the last read, or never.

mod bank;
mod order;
mod register;
mod set;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use bellwether_client::Outcome;

use super::calls::{Calls, Command, Read};
use super::search::{Decision, Timed};
use super::{EXAMPLES, Finding, Verdict, Wrongs};
use crate::final_state::FinalState;
use crate::history::Workload;

/// Number of objects that are checked at the same time.
const THREADS: usize = 2;

/// One object and all its operations.
struct Object<'a> {
    workload: Workload,
    key: &'a str,
    commands: Vec<&'a Command>,
    reads: Vec<&'a Read>,
    state: &'a FinalState,
    end: u64,
}

pub(super) fn check(calls: &Calls, state: &FinalState, limit: Duration) -> Vec<Finding> {
    let queue = Mutex::new(objects(calls, state));
    let judged = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(object) = next else { break };
                    let decision = object.decide(limit);
                    let one = (object.workload, object.key, object.size(), decision);
                    judged.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    let mut judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    judged.sort_by_key(|(workload, key, ..)| (*workload, *key));
    let findings = calls
        .workloads
        .iter()
        .filter(|workload| has_order(**workload))
        .map(|workload| {
            let of_workload = judged.iter().filter(|(other, ..)| other == workload);
            finding(
                calls,
                *workload,
                of_workload.map(|(_, key, size, decision)| (*key, *size, decision)),
            )
        });
    findings.collect()
}

fn finding<'a>(
    calls: &Calls,
    workload: Workload,
    judged: impl Iterator<Item = (&'a str, usize, &'a Decision)>,
) -> Finding {
    let mut wrongs = Wrongs::default();
    let mut undecided = Vec::new();
    let mut checked = 0;
    for (key, size, decision) in judged {
        checked += size;
        match decision {
            Decision::Explained => {}
            Decision::Contradicted(why) => wrongs.add(|| format!("{key}: {why}")),
            Decision::Undecided => undecided.push(format!("{key} with {size} operations")),
        }
    }
    for (_, what) in calls.nonsense.iter().filter(|(other, _)| *other == workload) {
        wrongs.add(|| what.clone());
    }
    let mut finding = wrongs.finding("linearizable", Some(workload), checked);
    if finding.verdict == Verdict::Held && !undecided.is_empty() {
        let some = &undecided[..undecided.len().min(EXAMPLES)];
        let what = format!(
            "the time was up for {} of the objects: {}",
            undecided.len(),
            some.join(", ")
        );
        finding.verdict = Verdict::Undecided(what);
    }
    finding
}

/// Returns `true` if the answers of a workload show something of the order. Answers to bad
/// neighbours do not.
fn has_order(workload: Workload) -> bool {
    workload != Workload::BadNeighbours
}

fn objects<'a>(calls: &'a Calls, state: &'a FinalState) -> Vec<Object<'a>> {
    let mut objects: BTreeMap<(Workload, &str), Object<'a>> = BTreeMap::new();
    let mut object = |workload, key: &'a str, command: Option<&'a Command>, read: Option<&'a Read>| {
        let object = objects.entry((workload, key)).or_insert_with(|| Object {
            workload,
            key,
            commands: Vec::new(),
            reads: Vec::new(),
            state,
            end: calls.end,
        });
        object.commands.extend(command);
        object.reads.extend(read);
    };
    for command in calls
        .commands
        .iter()
        .filter(|command| has_order(command.workload))
    {
        object(command.workload, &command.asked.key, Some(command), None);
    }
    for read in calls.reads.iter().filter(|read| has_order(read.workload)) {
        object(read.workload, &read.key, None, Some(read));
    }
    objects.into_values().collect()
}

impl Object<'_> {
    fn decide(&self, limit: Duration) -> Decision {
        let sought = match self.workload {
            Workload::Register => register::decide(self, limit),
            Workload::Append => order::list(self, limit),
            Workload::Counter => order::counter(self, self.state.counters.get(self.key), limit),
            Workload::Duplicates => order::counter(self, self.state.duplicates.get(self.key), limit),
            Workload::Set => set::decide(self, limit),
            Workload::Bank => bank::decide(self, limit),
            // Left out earlier.
            Workload::BadNeighbours => Ok(Decision::Explained),
        };
        sought.unwrap_or_else(Decision::Contradicted)
    }

    fn size(&self) -> usize {
        self.commands.len() + self.reads.len()
    }

    /// Returns the commands whose effect takes part in the order, given the tokens whose effect is
    /// in the data at the end. Commands of unknown outcome end with the run.
    fn effective(&self, there: &BTreeSet<&str>) -> Result<Vec<(&Command, u64)>, String> {
        let mut effective = Vec::new();
        for command in &self.commands {
            let is_there = there.contains(command.token.as_str());
            match command.outcome {
                Outcome::Executed if !is_there => {
                    return Err(format!("{} was acknowledged and is not there", command.name()));
                }
                Outcome::NotExecuted if is_there => {
                    return Err(format!("{} was not executed and is there", command.name()));
                }
                _ if is_there => effective.push((*command, command.answered.unwrap_or(self.end))),
                _ => {}
            }
        }
        match there.len() == effective.len() {
            true => Ok(effective),
            false => Err("what is there was not asked for".into()),
        }
    }

    /// Returns the tokens of the end, each of which must be there once.
    fn once<'t>(tokens: impl Iterator<Item = &'t str>) -> Result<BTreeSet<&'t str>, String> {
        let mut there = BTreeSet::new();
        for token in tokens {
            if !there.insert(token) {
                return Err(format!("{token} is there twice"));
            }
        }
        Ok(there)
    }

    /// Returns the read of the data after the run.
    fn last<Op>(&self, op: Op) -> Timed<Op> {
        Timed {
            op,
            began: self.end,
            ended: self.end + 1,
            is_read: true,
            name: "what is there after the run".into(),
        }
    }
}

impl Read {
    fn timed<Op>(&self, op: Op) -> Timed<Op> {
        Timed {
            op,
            began: self.began,
            ended: self.ended,
            is_read: true,
            name: format!(
                "the read by client {}, which was told {:?}",
                self.client, self.told
            ),
        }
    }
}

impl Command {
    fn timed<Op>(&self, op: Op, ended: u64) -> Timed<Op> {
        Timed {
            op,
            began: self.began,
            ended,
            is_read: false,
            name: self.name(),
        }
    }
}
