//! Registers: every value is written by one command only, so a client that sees the value has seen
//! that command.

use core::time::Duration;
use std::collections::HashMap;

use bellwether_client::Outcome;
use porcupine_rs::Model;

use super::Object;
use crate::check::search::{self, Decision, Timed};
use crate::workload::{Told, What};

#[derive(Clone)]
struct Register;

#[derive(Clone, Debug)]
enum Op {
    Read(Option<u32>),
    Write(u32),
    /// A compare-and-set, and the value that it met, if the reply has that value.
    Swap {
        expected: u32,
        new: u32,
        #[allow(
            clippy::option_option,
            reason = "it was not told, and it met nothing, are two things"
        )]
        met: Option<Option<u32>>,
    },
}

impl Model for Register {
    type State = Option<u32>;
    type Op = Op;
    type Metadata = ();

    fn init() -> Option<u32> {
        None
    }

    fn step(state: &Option<u32>, op: &Op) -> (bool, Option<u32>) {
        match op {
            Op::Read(value) => (state == value, *state),
            Op::Write(new) => (true, Some(*new)),
            Op::Swap { expected, new, met } => {
                let next = if *state == Some(*expected) {
                    Some(*new)
                } else {
                    *state
                };
                (met.is_none_or(|met| met == *state), next)
            }
        }
    }
}

/// The values as numbers.
#[derive(Default)]
struct Values(HashMap<String, u32>);

impl Values {
    fn number(&mut self, value: &str) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(value.to_owned()).or_insert(next)
    }

    fn number_if_any(&mut self, value: Option<&str>) -> Option<u32> {
        value.map(|value| self.number(value))
    }
}

pub(super) fn decide(object: &Object<'_>, limit: Duration) -> Result<Decision, String> {
    let last = object.state.registers.get(object.key).map(String::as_str);
    let seen = seen(object, last);
    let mut values = Values::default();
    let mut operations: Vec<Timed<Op>> = Vec::new();
    for command in &object.commands {
        let ended = match (
            command.outcome,
            command.answered,
            seen.get(command.token.as_str()),
        ) {
            (Outcome::Executed, Some(answered), _) => answered,
            (Outcome::Unknown, _, Some(seen_at)) => *seen_at,
            // The answer is `not executed`: a client that sees this value sees one that no command
            // wrote.
            //
            // Or the outcome is unknown, and no client has seen the value. Leaving the command out
            // creates no contradiction. Consider an order that has the command. Between the command
            // and the next write, no answer names a value, because that answer would name this
            // value. This is also true for a failed compare-and-set, since its answer names the
            // value that it met. A compare-and-set of unknown outcome that expected this value is
            // itself not seen; otherwise this value would count as seen. So the order without the
            // command explains the same answers.
            _ => continue,
        };
        let op = match &command.asked.what {
            What::CompareAndSet { expected } => Op::Swap {
                expected: values.number(expected),
                new: values.number(&command.token),
                met: match (&command.told, command.outcome) {
                    (Some(Told::Value(met)), _) => Some(values.number_if_any(met.as_deref())),
                    // Clients saw its value, so it met the value that it expected.
                    (_, Outcome::Unknown) => Some(Some(values.number(expected))),
                    _ => None,
                },
            },
            _ => Op::Write(values.number(&command.token)),
        };
        operations.push(command.timed(op, ended));
    }
    for read in &object.reads {
        let Told::Value(value) = &read.told else {
            return Err(format!("the read of a register was told {:?}", read.told));
        };
        operations.push(read.timed(Op::Read(values.number_if_any(value.as_deref()))));
    }
    operations.push(object.last(Op::Read(values.number_if_any(last))));
    Ok(search::decide::<Register>(operations, limit))
}

/// Returns the values that clients saw, each with the time by which a client had first seen the
/// value. The value was written before that time.
fn seen<'a>(object: &'a Object<'_>, last: Option<&'a str>) -> HashMap<&'a str, u64> {
    let mut seen: HashMap<&str, u64> = HashMap::new();
    let mut see = |value: &'a str, at: u64| {
        let first = seen.entry(value).or_insert(at);
        *first = at.min(*first);
    };
    for read in &object.reads {
        if let Told::Value(Some(value)) = &read.told {
            see(value, read.ended);
        }
    }
    for command in &object.commands {
        if let (Some(Told::Value(Some(met))), Some(answered)) = (&command.told, command.answered) {
            see(met, answered);
        }
    }
    if let Some(last) = last {
        see(last, object.end);
    }
    // A compare-and-set whose value was seen has met the value it expected, before.
    loop {
        let mut news = false;
        for command in object
            .commands
            .iter()
            .filter(|command| command.outcome == Outcome::Unknown)
        {
            if let What::CompareAndSet { expected } = &command.asked.what
                && let Some(at) = seen.get(command.token.as_str()).copied()
                && seen.get(expected.as_str()).is_none_or(|known| *known > at)
            {
                seen.insert(expected, at);
                news = true;
            }
        }
        if !news {
            return seen;
        }
    }
}
