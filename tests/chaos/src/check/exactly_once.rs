//! `exactly_once`: an id's effect is in the data once or not at all, and every answer about the id
//! is true.

use bellwether_client::Outcome;

use super::calls::{Calls, Command};
use super::{Finding, Wrongs};
use crate::final_state::FinalState;
use crate::history::Workload;
use crate::workload::{Told, What};

pub(super) fn check(calls: &Calls, state: &FinalState) -> Vec<Finding> {
    let findings = calls.workloads.iter().map(|workload| {
        let mut wrongs = Wrongs::default();
        let mut effects = state.effects(*workload);
        let mut checked = 0;
        for command in calls.commands_of(*workload) {
            checked += 1;
            belied(command, &mut wrongs);
            if *workload == Workload::Register {
                continue;
            }
            let whole = match command.asked.what {
                // One for each account.
                What::Transfer { .. } => 2,
                _ => 1,
            };
            let count = effects.remove(command.token.as_str()).unwrap_or(0);
            let right = match command.outcome {
                // None at all is for another invariant: an answered write has been lost.
                Outcome::Executed | Outcome::Unknown => count == 0 || count == whole,
                Outcome::NotExecuted => count == 0,
            };
            wrongs.unless(right, || {
                format!(
                    "{} was told {}, and of {whole} effects {count} are there",
                    command.name(),
                    command.outcome
                )
            });
        }
        for (token, count) in effects {
            wrongs.add(|| format!("{token} is there {count} times, and nobody asked for it"));
        }
        if *workload == Workload::Register {
            registers(calls, state, &mut wrongs);
        }
        wrongs.finding("exactly_once", Some(*workload), checked)
    });
    findings.collect()
}

/// Checks that no later call has the outcome `not executed` after an earlier call had the outcome
/// `executed`.
fn belied(command: &Command, wrongs: &mut Wrongs) {
    let Some(answered) = command.answered else { return };
    for call in &command.calls {
        let belied = call.outcome == Outcome::NotExecuted && call.began >= answered;
        wrongs.unless(!belied, || {
            format!("{} was told executed, and later not executed", command.name())
        });
    }
}

/// Checks the registers, which keep only the value of a command, and only for a while. Each value
/// that a client saw belongs to a command, and no answer says that this command was not executed.
fn registers(calls: &Calls, state: &FinalState, wrongs: &mut Wrongs) {
    let told = |told: &Told| match told {
        Told::Value(value) => value.clone(),
        _ => None,
    };
    let seen = calls
        .reads_of(Workload::Register)
        .filter_map(|read| told(&read.told))
        .chain(
            calls
                .commands_of(Workload::Register)
                .filter_map(|command| told(command.told.as_ref()?)),
        )
        .chain(state.registers.values().cloned());
    let writers: std::collections::HashMap<&str, &Command> = calls
        .commands_of(Workload::Register)
        .map(|command| (command.token.as_str(), command))
        .collect();
    for value in seen {
        match writers.get(value.as_str()) {
            None => wrongs.add(|| format!("{value} was seen, and nobody asked for it")),
            Some(writer) => wrongs.unless(writer.outcome != Outcome::NotExecuted, || {
                format!("{} was told not executed, and its value was seen", writer.name())
            }),
        }
    }
}
