//! `bank`: no money appears or disappears, and every transfer is in both accounts or in none.

use std::collections::{BTreeSet, HashMap};

use super::calls::{Calls, Command};
use super::{Finding, Wrongs};
use crate::final_state::FinalState;
use crate::history::Workload;
use crate::workload::{Told, What};

pub(super) fn check(calls: &Calls, state: &FinalState) -> Option<Finding> {
    if !calls.workloads.contains(&Workload::Bank) {
        return None;
    }
    let mut wrongs = Wrongs::default();
    let mut checked = 0;
    for read in calls.reads_of(Workload::Bank) {
        checked += 1;
        if let Told::Balances(balances) = &read.told {
            let sum: i64 = balances.iter().sum();
            wrongs.unless(sum == 0, || {
                format!(
                    "client {} saw {balances:?} in {}, which makes {sum}",
                    read.client, read.key
                )
            });
        }
    }
    let transfers: HashMap<&str, &Command> = calls
        .commands_of(Workload::Bank)
        .map(|command| (command.token.as_str(), command))
        .collect();
    let keys: BTreeSet<&str> = state
        .accounts
        .keys()
        .filter_map(|account| Some(account.rsplit_once('/')?.0))
        .collect();
    for key in keys {
        let accounts = state.bank(key);
        let sum: i64 = accounts.iter().map(|account| account.sum).sum();
        wrongs.unless(sum == 0, || format!("in the end {key} has {sum}"));
        // The amounts that each transfer paid, with their accounts.
        let mut paid: HashMap<&str, Vec<(usize, i64)>> = HashMap::new();
        for (number, account) in accounts.iter().enumerate() {
            let logged: i64 = account.log.iter().map(|(_, amount)| amount).sum();
            wrongs.unless(logged == account.sum, || {
                format!(
                    "account {number} of {key} has {} and a log of {logged}",
                    account.sum
                )
            });
            for (token, amount) in &account.log {
                paid.entry(token).or_default().push((number, *amount));
            }
        }
        for (token, mut paid) in paid {
            checked += 1;
            paid.sort_unstable();
            let mut asked = match transfers.get(token).map(|command| &command.asked) {
                Some(asked) if asked.key == key => match asked.what {
                    What::Transfer { from, to, amount, .. } => vec![(from, -amount), (to, amount)],
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            asked.sort_unstable();
            wrongs.unless(paid == asked, || {
                format!("{token} paid {paid:?} in {key}, and was to pay {asked:?}")
            });
        }
    }
    Some(wrongs.finding("bank", Some(Workload::Bank), checked))
}
