//! Banks: all accounts of one bank are one object, since a transfer changes two of them at once and
//! a read sees all.
//!
//! The accounts' logs show the order of the transfers of one account, so the search has few orders
//! to try.

use core::time::Duration;
use std::collections::HashMap;

use porcupine_rs::Model;

use super::Object;
use crate::check::search::{self, Decision, Timed};
use crate::workload::{ACCOUNTS, Told, What};

#[derive(Clone)]
struct Bank;

#[derive(Clone, Debug)]
enum Op {
    Transfer {
        from: usize,
        to: usize,
        amount: i64,
        /// The two balances after it, if the reply has them.
        after: Option<(i64, i64)>,
    },
    Read(Vec<i64>),
}

impl Model for Bank {
    type State = [i64; ACCOUNTS];
    type Op = Op;
    type Metadata = ();

    fn init() -> Self::State {
        [0; ACCOUNTS]
    }

    fn step(state: &Self::State, op: &Op) -> (bool, Self::State) {
        match op {
            Op::Read(balances) => (state[..] == balances[..], *state),
            Op::Transfer {
                from,
                to,
                amount,
                after,
            } => {
                let mut next = *state;
                next[*from] -= amount;
                next[*to] += amount;
                let right = after.is_none_or(|after| after == (next[*from], next[*to]));
                (right, next)
            }
        }
    }
}

pub(super) fn decide(object: &Object<'_>, limit: Duration) -> Result<Decision, String> {
    let accounts = object.state.bank(object.key);
    let mut logs: Vec<Vec<&str>> = Vec::new();
    for account in &accounts {
        let log = account.log.iter().map(|(token, _)| token.as_str());
        Object::once(log.clone())?;
        logs.push(log.collect());
    }
    let there = logs.iter().flatten().copied().collect();
    let mut operations: HashMap<&str, Timed<Op>> = HashMap::new();
    for (command, ended) in object.effective(&there)? {
        let What::Transfer { from, to, amount, .. } = command.asked.what else {
            return Err(format!("{} is no transfer", command.name()));
        };
        let after = match command.told.as_ref() {
            Some(Told::Balances(two)) if two.len() == 2 => Some((two[0], two[1])),
            _ => None,
        };
        let transfer = Op::Transfer {
            from,
            to,
            amount,
            after,
        };
        operations.insert(&command.token, command.timed(transfer, ended));
    }
    // A transfer took place after those before it in a log, and before those behind it.
    for log in &logs {
        let mut began = 0;
        for token in log {
            if let Some(one) = operations.get_mut(token) {
                one.began = one.began.max(began);
                began = one.began;
            }
        }
        let mut ended = u64::MAX;
        for token in log.iter().rev() {
            if let Some(one) = operations.get_mut(token) {
                one.ended = one.ended.min(ended);
                ended = one.ended;
            }
        }
    }
    let mut operations: Vec<Timed<Op>> = operations.into_values().collect();
    for read in &object.reads {
        match &read.told {
            Told::Balances(balances) if balances.len() == ACCOUNTS => {
                operations.push(read.timed(Op::Read(balances.clone())));
            }
            other => return Err(format!("the read of a bank was told {other:?}")),
        }
    }
    let balances = accounts.iter().map(|account| account.sum).collect();
    operations.push(object.last(Op::Read(balances)));
    Ok(search::decide::<Bank>(operations, limit))
}
