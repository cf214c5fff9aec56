//! Histories of a simulated system that does everything right, with many concurrent clients. Some
//! commands have an unknown outcome, and some of these are executed much later. The checkers must
//! accept these histories, and refuse them after one change.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::workload::draw;

/// The values given to an object, in its order.
type Log = Vec<(String, i64)>;

const COMMANDS: usize = 300;
const WORKLOADS: [Workload; 6] = [Register, Append, Set, Bank, Counter, Duplicates];

fn key(workload: Workload) -> String {
    match workload {
        Append => "l".into(),
        Set => "s".into(),
        Bank => "b".into(),
        Register => "r".into(),
        Counter | Duplicates => "c".into(),
        Workload::BadNeighbours => "n".into(),
    }
}

/// Executes a command at one moment.
fn execute(state: &mut FinalState, workload: Workload, asked: &Asked) -> Told {
    let token = asked.token.clone().unwrap_or_default();
    let key = asked.key.clone();
    match (workload, &asked.what) {
        (Register, What::Write) => {
            state.registers.insert(key, token);
            Told::Done
        }
        (Register, What::CompareAndSet { expected }) => {
            let met = state.registers.get(&key).cloned();
            if met.as_ref() == Some(expected) {
                state.registers.insert(key, token);
            }
            Told::Value(met)
        }
        (Register, _) => Told::Value(state.registers.get(&key).cloned()),
        (Append, What::Append) => {
            state.lists.entry(key).or_default().push(token);
            Told::Done
        }
        (Append, _) => Told::Items(state.lists.get(&key).cloned().unwrap_or_default()),
        (Set, What::Insert) => {
            state.sets.entry(key).or_default().push(token);
            Told::Done
        }
        (Set, _) => Told::Items(state.sets.get(&key).cloned().unwrap_or_default()),
        (
            Bank,
            What::Transfer {
                from,
                to,
                amount,
                look,
            },
        ) => {
            let mut pay = |number, amount| {
                let paid = state.accounts.entry(account(&key, number)).or_default();
                paid.sum += amount;
                paid.log.push((token.clone(), amount));
                paid.sum
            };
            let after = vec![pay(*from, -amount), pay(*to, *amount)];
            if *look { Told::Balances(after) } else { Told::Done }
        }
        (Bank, _) => Told::Balances(state.bank(&key).iter().map(|account| account.sum).collect()),
        (_, what) => {
            let counters = if workload == Counter {
                &mut state.counters
            } else {
                &mut state.duplicates
            };
            let counter = counters.entry(key).or_default();
            if let What::Add { amount, look } = what {
                counter.sum += amount;
                counter.log.push((token, *amount));
                if !look {
                    return Told::Done;
                }
            }
            Told::Count(counter.sum)
        }
    }
}

/// Returns a run of one workload in which each command takes place at a moment of its own, with
/// about eight others in progress.
fn simulated(workload: Workload, rng: &mut SmallRng) -> Run {
    let mut run = Run::new();
    let mut late: Vec<(u64, Asked)> = Vec::new();
    let mut last = String::from("none");
    for n in 0..COMMANDS {
        let at = 1000 + 50 * u64::try_from(n).unwrap();
        let due: Vec<_> = late.iter().filter(|(due, _)| *due <= at).cloned().collect();
        late.retain(|(due, _)| *due > at);
        for (_, asked) in due {
            execute(&mut run.state, workload, &asked);
            run.recorded(1, asked.token.as_ref().unwrap());
        }
        let asked = draw(workload, rng, key(workload), format!("{n}"), Some(&last));
        let times = (at - rng.random_range(0..200), at + rng.random_range(1..200));
        let outcome = match rng.random_range(0..20) {
            0 => Outcome::NotExecuted,
            1..4 => Outcome::Unknown,
            _ => Outcome::Executed,
        };
        if outcome == Outcome::Executed {
            let told = execute(&mut run.state, workload, &asked);
            run.told(workload, &asked, times, &told);
            last = asked.token.unwrap_or(last);
            continue;
        }
        run.call(workload, &asked, times, outcome);
        if outcome == Outcome::Unknown && asked.token.is_some() {
            match rng.random_range(0..3) {
                0 => late.push((at, asked)),
                1 => late.push((at + rng.random_range(0..5000), asked)),
                _ => {}
            }
        }
    }
    run
}

#[test]
fn what_a_right_system_does_is_accepted() {
    let mut rng = SmallRng::seed_from_u64(11);
    for workload in WORKLOADS {
        for _ in 0..5 {
            let run = simulated(workload, &mut rng);
            run.holds();
            assert!(run.entries.iter().any(|entry| entry.outcome == Outcome::Unknown));
        }
    }
}

/// Changes the tokens of a workload's only object, as often as they are in the data.
fn spoil(run: &mut Run, workload: Workload, spoil: impl Fn(&mut Log)) {
    let state = &mut run.state;
    match workload {
        Append | Set => {
            let items = if workload == Append {
                &mut state.lists
            } else {
                &mut state.sets
            };
            let items = items.values_mut().next().unwrap();
            let mut log: Vec<_> = items.drain(..).map(|item| (item, 0)).collect();
            spoil(&mut log);
            items.extend(log.into_iter().map(|(item, _)| item));
        }
        _ => {
            let tallied = match workload {
                Bank => &mut state.accounts,
                Counter => &mut state.counters,
                _ => &mut state.duplicates,
            };
            let one = tallied.values_mut().next().unwrap();
            spoil(&mut one.log);
            one.sum = one.log.iter().map(|(_, amount)| amount).sum();
        }
    }
}

fn refused(run: &Run) -> bool {
    let findings = run.judged();
    assert!(
        !findings
            .iter()
            .any(|finding| matches!(finding.verdict, Verdict::Undecided(_))),
        "{findings:?}"
    );
    findings
        .iter()
        .any(|finding| matches!(finding.verdict, Verdict::Violated(_)))
}

#[test]
fn what_a_wrong_system_does_is_refused() {
    let mut rng = SmallRng::seed_from_u64(12);
    for workload in WORKLOADS {
        for _ in 0..5 {
            let right = simulated(workload, &mut rng);
            let executed: Vec<String> = right
                .entries
                .iter()
                .filter(|entry| entry.outcome == Outcome::Executed)
                .filter_map(|entry| Some(entry.asked.get("token")?.as_str()?.to_owned()))
                .collect();
            let spoilt = |how: &dyn Fn(&mut Log)| {
                let mut run = right.clone();
                spoil(&mut run, workload, how);
                assert!(refused(&run), "{workload:?}");
            };
            if workload != Register {
                // A lost write, one that took place twice, and one that took place long after it
                // was answered.
                spoilt(&|log| {
                    let lost = log
                        .iter()
                        .position(|(token, _)| executed.contains(token))
                        .unwrap();
                    log.remove(lost);
                });
                spoilt(&|log| {
                    let twice = log[log.len() / 2].clone();
                    log.push(twice);
                });
            }
            if !matches!(workload, Register | Set) {
                spoilt(&|log| {
                    let first = log
                        .iter()
                        .position(|(token, _)| executed.contains(token))
                        .unwrap();
                    let moved = log.remove(first);
                    log.push(moved);
                });
            }
            // A read of long ago. Clients that send duplicates do not read.
            let is_read = |entry: &&Entry| entry.asked.get("token").is_none() && !entry.told.is_null();
            let reads: Vec<&Entry> = right.entries.iter().filter(is_read).collect();
            if workload != Duplicates {
                let (early, late) = (reads[reads.len() / 4], reads[reads.len() / 4 * 3]);
                let mut run = right.clone();
                let stale = usize::try_from(late.client).unwrap();
                assert_ne!(early.told, late.told);
                run.entries[stale].told = early.told.clone();
                assert!(refused(&run), "{workload:?}");
            }
        }
    }
}
