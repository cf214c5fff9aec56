//! Objects whose final state shows the order of their writes: lists, and counters that note each
//! addition with its token.
//!
//! Each write has its place, and each read the number of writes it saw, so the search has one order
//! to look at only.

use core::time::Duration;
use std::collections::HashMap;

use porcupine_rs::Model;

use super::Object;
use crate::check::search::{Decision, Timed, decide};
use crate::final_state::Tallied;
use crate::workload::{Told, What};

#[derive(Clone)]
struct Ordered;

#[derive(Clone, Debug)]
enum Op {
    /// The write with this place.
    Write(usize),
    /// A read after this many writes.
    Read(usize),
}

impl Model for Ordered {
    /// Number of writes until now.
    type State = usize;
    type Op = Op;
    type Metadata = ();

    fn init() -> usize {
        0
    }

    fn step(state: &usize, op: &Op) -> (bool, usize) {
        match op {
            Op::Write(place) => (state == place, state + 1),
            Op::Read(writes) => (state == writes, *state),
        }
    }
}

/// Decides on a list: each read sees a beginning of its final state.
pub(super) fn list(object: &Object<'_>, limit: Duration) -> Result<Decision, String> {
    let none = Vec::new();
    let list = object.state.lists.get(object.key).unwrap_or(&none);
    let tokens: Vec<&str> = list.iter().map(String::as_str).collect();
    let saw = |told: &Told| match told {
        Told::Items(items) if list.starts_with(items) => Ok(items.len()),
        Told::Items(items) => Err(format!(
            "a read saw {items:?}, which is no beginning of what is there after the run, {list:?}"
        )),
        other => Err(format!("the read of a list was told {other:?}")),
    };
    sought(object, &tokens, saw, limit)
}

/// Decides on a counter: each read sees a sum of the first additions.
pub(super) fn counter(
    object: &Object<'_>,
    counter: Option<&Tallied>,
    limit: Duration,
) -> Result<Decision, String> {
    let none = Tallied::default();
    let counter = counter.unwrap_or(&none);
    // Additions are positive, so each sum belongs to one place.
    let mut places = HashMap::from([(0, 0)]);
    let mut sum = 0;
    for (place, (_, amount)) in counter.log.iter().enumerate() {
        sum += amount;
        places.insert(sum, place + 1);
    }
    if sum != counter.sum {
        return Err(format!(
            "what was added makes {sum}, and the counter is at {}",
            counter.sum
        ));
    }
    let tokens: Vec<&str> = counter.log.iter().map(|(token, _)| token.as_str()).collect();
    for (place, token) in tokens.iter().enumerate() {
        let command = object.commands.iter().find(|command| command.token == *token);
        let Some(command) = command else { continue };
        let amount = counter.log[place].1;
        if !matches!(command.asked.what, What::Add { amount: asked, .. } if asked == amount) {
            return Err(format!("{} added {amount}", command.name()));
        }
        if let Some(Told::Count(told)) = &command.told
            && places.get(told) != Some(&(place + 1))
        {
            return Err(format!(
                "{} was told {told}, and is number {} in the counter's log",
                command.name(),
                place + 1
            ));
        }
    }
    let saw = |told: &Told| match told {
        Told::Count(count) => places
            .get(count)
            .copied()
            .ok_or_else(|| format!("a read saw {count}, where the counter never was")),
        other => Err(format!("the read of a counter was told {other:?}")),
    };
    sought(object, &tokens, saw, limit)
}

fn sought(
    object: &Object<'_>,
    tokens: &[&str],
    saw: impl Fn(&Told) -> Result<usize, String>,
    limit: Duration,
) -> Result<Decision, String> {
    let there = Object::once(tokens.iter().copied())?;
    let places: HashMap<&str, usize> = tokens
        .iter()
        .enumerate()
        .map(|(place, token)| (*token, place))
        .collect();
    let mut operations: Vec<Timed<Op>> = Vec::new();
    for (command, ended) in object.effective(&there)? {
        operations.push(command.timed(Op::Write(places[command.token.as_str()]), ended));
    }
    for read in &object.reads {
        operations.push(read.timed(Op::Read(saw(&read.told)?)));
    }
    operations.push(object.last(Op::Read(tokens.len())));
    Ok(decide::<Ordered>(operations, limit))
}
