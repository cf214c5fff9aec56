//! `not_denied`: a server that executed a command does not answer every attempt that it did not.

use std::collections::HashMap;

use bellwether_client::Outcome;

use super::calls::Calls;
use super::{Finding, Verdict, Wrongs};
use crate::final_state::FinalState;
use crate::ledger::{Ledger, Line};

/// Checks the attempts of each executed command.
///
/// The server that holds the epoch executes a command during one of the attempts at this server.
/// That attempt must have ended with the reply or with an unknown outcome. Answers of other servers
/// do not count: those servers did not execute the command.
pub(super) fn check(calls: &Calls, state: &FinalState, ledger: &Ledger) -> Finding {
    let holders: HashMap<u64, &str> = ledger
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::From { fence: Some(fence) } => Some((fence.epoch, fence.holder.as_str())),
            Line::Granted { epoch, holder, .. } => Some((*epoch, holder.as_str())),
            _ => None,
        })
        .collect();
    let mut wrongs = Wrongs::default();
    let (mut checked, mut unseen) = (0, 0);
    for command in &calls.commands {
        let id = command.calls.iter().find_map(|call| call.id);
        let Some(epoch) = id.and_then(|id| state.records.get(&id)) else {
            continue;
        };
        let tries = command.calls.iter().flat_map(|call| &call.tries);
        let holder = holders.get(epoch);
        let by_holder = tries.filter(|tried| holder == Some(&tried.server.as_str()));
        let mut by_holder = by_holder.peekable();
        if by_holder.peek().is_none() {
            unseen += 1;
            continue;
        }
        checked += 1;
        let denied = by_holder.all(|tried| tried.outcome == Outcome::NotExecuted);
        wrongs.unless(!denied, || {
            format!(
                "{} was executed in epoch {epoch} by {}, which said each time that it was not",
                command.name(),
                holder.copied().unwrap_or_default()
            )
        });
    }
    let mut finding = wrongs.finding("not_denied", None, checked);
    if unseen > 0 && finding.verdict == Verdict::Held {
        finding.verdict = Verdict::Undecided(format!(
            "{unseen} commands were executed by servers that nobody is known to have sent them to"
        ));
    }
    finding
}
