//! `acked_is_durable`: the effect of an answered write is in the data in the end, and so is the
//! record of its id.

use bellwether_client::Outcome;

use super::calls::Calls;
use super::{Finding, Wrongs};
use crate::final_state::FinalState;
use crate::history::Workload;
use crate::ledger::{Ledger, Line};

pub(super) fn check(calls: &Calls, state: &FinalState, ledger: &Ledger) -> Vec<Finding> {
    let mut findings: Vec<Finding> = calls
        .workloads
        .iter()
        .map(|workload| {
            let mut wrongs = Wrongs::default();
            let effects = state.effects(*workload);
            let mut checked = 0;
            let executed = |outcome| outcome == Outcome::Executed;
            for command in calls
                .commands_of(*workload)
                .filter(|command| executed(command.outcome))
            {
                checked += 1;
                if *workload != Workload::Register {
                    wrongs.unless(effects.contains_key(command.token.as_str()), || {
                        format!("{} was acknowledged and is not there", command.name())
                    });
                }
                for call in command.calls.iter().filter(|call| executed(call.outcome)) {
                    let recorded = call.id.and_then(|id| state.records.get(&id));
                    wrongs.unless(recorded.is_some(), || {
                        format!("{} was acknowledged and has no record", command.name())
                    });
                    // The answer had no epoch: only the execution is certain.
                    let differs =
                        recorded.is_some() && call.epoch.is_some() && recorded != call.epoch.as_ref();
                    wrongs.unless(!differs, || {
                        format!(
                            "{} was acknowledged in epoch {:?} and is recorded in {recorded:?}",
                            command.name(),
                            call.epoch
                        )
                    });
                }
            }
            wrongs.finding("acked_is_durable", Some(*workload), checked)
        })
        .collect();
    findings.push(records(state, ledger));
    findings
}

/// Checks that each record in the ledger's history, which a majority had, is still in the data.
fn records(state: &FinalState, ledger: &Ledger) -> Finding {
    let mut wrongs = Wrongs::default();
    let mut checked = 0;
    for line in &ledger.lines {
        let Line::Recorded { epoch, ids, .. } = line else {
            continue;
        };
        for id in ids {
            checked += 1;
            wrongs.unless(state.records.get(id) == Some(epoch), || {
                format!(
                    "{id} was recorded in epoch {epoch}, and in the end in {:?}",
                    state.records.get(id)
                )
            });
        }
    }
    wrongs.finding("acked_is_durable", None, checked)
}
