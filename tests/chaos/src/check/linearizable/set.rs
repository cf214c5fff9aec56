//! Sets: an inserted member stays. A read with a member shows the latest time of the insert, and a
//! read without the member shows the earliest. The search then has few orders to try.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use porcupine_rs::Model;

use super::Object;
use crate::check::search::{self, Decision, Timed};
use crate::workload::Told;

#[derive(Clone)]
struct Set;

/// Members by number, one bit each.
type Members = Vec<u64>;

#[derive(Clone, Debug)]
enum Op {
    Insert(usize),
    Read(Members),
}

impl Model for Set {
    type State = Members;
    type Op = Op;
    type Metadata = ();

    fn init() -> Members {
        Vec::new()
    }

    fn step(state: &Members, op: &Op) -> (bool, Members) {
        match op {
            Op::Insert(member) => (true, with(state.clone(), *member)),
            Op::Read(members) => (state == members, state.clone()),
        }
    }
}

fn with(mut members: Members, member: usize) -> Members {
    let word = member / 64;
    if members.len() <= word {
        members.resize(word + 1, 0);
    }
    members[word] |= 1 << (member % 64);
    members
}

pub(super) fn decide(object: &Object<'_>, limit: Duration) -> Result<Decision, String> {
    let none = Vec::new();
    let members = object.state.sets.get(object.key).unwrap_or(&none);
    let there = Object::once(members.iter().map(String::as_str))?;
    let numbers: HashMap<&str, usize> = there
        .iter()
        .enumerate()
        .map(|(number, token)| (*token, number))
        .collect();
    let numbered = |tokens: &BTreeSet<&str>| {
        tokens.iter().try_fold(Members::new(), |members, token| {
            let number = numbers
                .get(token)
                .ok_or_else(|| format!("a read saw {token}, which is not there after the run"))?;
            Ok::<_, String>(with(members, *number))
        })
    };
    let mut reads: Vec<(BTreeSet<&str>, u64, u64)> = Vec::new();
    let mut operations: Vec<Timed<Op>> = Vec::new();
    for read in &object.reads {
        let Told::Items(items) = &read.told else {
            return Err(format!("the read of a set was told {:?}", read.told));
        };
        let items = Object::once(items.iter().map(String::as_str))?;
        operations.push(read.timed(Op::Read(numbered(&items)?)));
        reads.push((items, read.began, read.ended));
    }
    for (command, ended) in object.effective(&there)? {
        let token = command.token.as_str();
        let mut insert = command.timed(Op::Insert(numbers[token]), ended);
        for (items, read_began, read_ended) in &reads {
            if items.contains(token) {
                insert.ended = insert.ended.min(*read_ended);
            } else {
                insert.began = insert.began.max(*read_began);
            }
        }
        operations.push(insert);
    }
    operations.push(object.last(Op::Read(numbered(&there)?)));
    Ok(search::decide::<Set>(operations, limit))
}
