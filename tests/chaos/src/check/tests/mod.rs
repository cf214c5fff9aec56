//! Histories made by hand, most of which the checkers must refuse.

mod epochs;
mod linearizable;
mod neighbours;
mod objects;
mod simulated;

use bellwether_client::{CommandId, Outcome};
use serde_json::Value;

use super::*;
use crate::final_state::Tallied;
use crate::history::Tried;
use crate::ledger::{Fence, Line};
use crate::workload::{Asked, Told, What, account};

const LIMIT: Duration = Duration::from_secs(20);

/// A run made by hand.
#[derive(Clone, Default)]
struct Run {
    entries: Vec<Entry>,
    state: FinalState,
    replays: Vec<Replay>,
    ledger: Ledger,
}

fn id(token: &str) -> CommandId {
    let digits: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("01a202eb-d594-7f1c-81ad-{digits:0>12}").parse().unwrap()
}

impl Run {
    /// Makes a run without any calls, in which the first server holds the first epoch.
    fn new() -> Self {
        let mut run = Self::default();
        run.ledger.lines.push(Line::From { fence: None });
        run.granted(1, "s1");
        run
    }

    /// Adds a call that began and ended at these times.
    fn call(&mut self, workload: Workload, asked: &Asked, times: (u64, u64), outcome: Outcome) -> &mut Entry {
        let client = u32::try_from(self.entries.len()).unwrap();
        self.entries.push(Entry {
            id: asked.token.as_deref().map(id),
            asked: serde_json::to_value(asked).unwrap(),
            server: Some("ws://s1/v1".into()),
            tries: vec![Tried {
                server: "s1".into(),
                outcome,
                error: None,
            }],
            ..Entry::new(client, workload, times, outcome)
        });
        self.entries.last_mut().unwrap()
    }

    /// Adds a call that was executed, recorded in epoch 1 if it writes, and got this answer.
    fn told(&mut self, workload: Workload, asked: &Asked, times: (u64, u64), told: &Told) -> &mut Entry {
        if let Some(token) = &asked.token {
            self.recorded(1, token);
        }
        let entry = self.call(workload, asked, times, Outcome::Executed);
        entry.told = serde_json::to_value(told).unwrap();
        entry.reply = asked.token.as_ref().map(|token| format!("reply to {token}"));
        entry.epoch = Some(1);
        entry
    }

    fn done(&mut self, workload: Workload, asked: &Asked, times: (u64, u64)) -> &mut Entry {
        self.told(workload, asked, times, &Told::Done)
    }

    fn unknown(&mut self, workload: Workload, asked: &Asked, times: (u64, u64)) {
        self.call(workload, asked, times, Outcome::Unknown);
    }

    fn granted(&mut self, epoch: u64, holder: &str) {
        self.ledger.lines.push(Line::Granted {
            epoch,
            holder: holder.into(),
            number: format!("{holder}'s"),
            seq: (epoch == 1).then_some(0),
        });
    }

    /// Adds a transaction that writes the fence and the record of this token.
    fn recorded(&mut self, epoch: u64, token: &str) {
        if self.state.records.contains_key(&id(token)) {
            return;
        }
        self.state.records.insert(id(token), epoch);
        let held = |line: &&Line| matches!(line, Line::Held { .. });
        let seq = i64::try_from(self.ledger.lines.iter().filter(held).count()).unwrap() + 1;
        let transaction = Some(format!("t{seq}"));
        self.ledger.lines.push(Line::Held {
            seq,
            transaction: transaction.clone(),
        });
        self.ledger.lines.push(Line::Recorded {
            epoch,
            ids: vec![id(token)],
            transaction,
        });
    }

    fn judged(&self) -> Vec<Finding> {
        all(&self.entries, &self.state, &self.replays, &self.ledger, LIMIT)
    }

    /// Fails unless all invariants hold.
    fn holds(&self) {
        for finding in self.judged() {
            assert_eq!(finding.verdict, Verdict::Held, "{finding:?}");
        }
    }

    /// Fails unless just these invariants are violated.
    fn violates(&self, invariants: &[&str]) {
        let mut violated: Vec<String> = Vec::new();
        for finding in self.judged() {
            if matches!(finding.verdict, Verdict::Violated(_)) {
                violated.push(finding.invariant);
            }
        }
        violated.sort();
        violated.dedup();
        assert_eq!(violated, invariants, "{:#?}", self.judged());
    }

    /// Returns the findings about this invariant.
    fn said(&self, invariant: &str) -> String {
        let said = self
            .judged()
            .into_iter()
            .filter_map(|finding| match finding.verdict {
                Verdict::Violated(what) | Verdict::Undecided(what) if finding.invariant == invariant => {
                    Some(what)
                }
                _ => None,
            });
        said.collect()
    }
}

fn append(token: &str) -> Asked {
    Asked::write("l", token, What::Append)
}

fn items(items: &[&str]) -> Told {
    Told::Items(items.iter().map(ToString::to_string).collect())
}

fn add(token: &str, amount: i64, look: bool) -> Asked {
    Asked::write("c", token, What::Add { amount, look })
}

fn tallied(log: &[(&str, i64)]) -> Tallied {
    Tallied {
        sum: log.iter().map(|(_, amount)| amount).sum(),
        log: log
            .iter()
            .map(|(token, amount)| ((*token).into(), *amount))
            .collect(),
    }
}

impl Run {
    fn list(&mut self, items: &[&str]) {
        let items = items.iter().map(ToString::to_string).collect();
        self.state.lists.insert("l".into(), items);
    }

    fn set(&mut self, items: &[&str]) {
        let items = items.iter().map(ToString::to_string).collect();
        self.state.sets.insert("s".into(), items);
    }
}

use Workload::{Append, Bank, Counter, Duplicates, Register, Set};

#[test]
fn a_right_history_holds() {
    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.told(Append, &Asked::read("l"), (11, 20), &items(&["a"]));
    run.done(Append, &append("b"), (5, 30));
    run.list(&["a", "b"]);
    run.holds();
    let linearizable = run
        .judged()
        .into_iter()
        .find(|finding| finding.invariant == "linearizable");
    assert_eq!(linearizable.unwrap().checked, 3);
}

#[test]
fn an_acknowledged_write_that_is_gone_is_lost() {
    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.done(Append, &append("b"), (11, 20));
    run.list(&["a"]);
    run.violates(&["acked_is_durable", "linearizable"]);

    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.list(&["a"]);
    run.state.records.clear();
    run.violates(&["acked_is_durable"]);
    assert!(run.said("acked_is_durable").contains("has no record"));

    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10)).epoch = Some(2);
    run.list(&["a"]);
    run.violates(&["acked_is_durable"]);
}

#[test]
fn what_happened_twice_is_seen() {
    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.list(&["a", "a"]);
    run.violates(&["exactly_once", "linearizable"]);

    // The same id from two clients.
    let mut run = Run::new();
    run.told(Duplicates, &add("d", 3, true), (0, 10), &Told::Count(3));
    run.told(Duplicates, &add("d", 3, true), (1, 12), &Told::Count(3))
        .replayed = true;
    run.state.duplicates.insert("c".into(), tallied(&[("d", 3)]));
    run.holds();
    run.state
        .duplicates
        .insert("c".into(), tallied(&[("d", 3), ("d", 3)]));
    run.violates(&["exactly_once", "linearizable"]);

    let mut run = Run::new();
    run.unknown(Set, &Asked::write("s", "a", What::Insert), (0, 10));
    run.set(&["a", "a"]);
    run.violates(&["exactly_once", "linearizable", "set"]);
}

#[test]
fn different_replies_to_one_id_are_seen() {
    let mut run = Run::new();
    run.told(Duplicates, &add("d", 3, true), (0, 10), &Told::Count(3));
    run.told(Duplicates, &add("d", 3, true), (1, 12), &Told::Count(3))
        .reply = Some("another".into());
    run.state.duplicates.insert("c".into(), tallied(&[("d", 3)]));
    run.violates(&["replies_equal"]);

    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.list(&["a"]);
    let replay = |reply: &str, epoch, replayed| Replay {
        id: id("a"),
        answer: Ok((reply.into(), epoch, replayed)),
    };
    run.replays = vec![replay("reply to a", 1, true)];
    run.holds();
    let refused = Replay {
        id: id("a"),
        answer: Err("id_reused".into()),
    };
    for wrong in [
        replay("reply to b", 1, true),
        replay("reply to a", 2, true),
        replay("reply to a", 1, false),
        refused,
    ] {
        run.replays = vec![wrong];
        run.violates(&["replies_equal"]);
    }

    // Sent again under another id.
    let mut run = Run::new();
    run.unknown(Append, &append("a"), (0, 10));
    run.done(Append, &append("a"), (11, 20));
    run.entries[0].id = Some(id("b"));
    run.list(&["a"]);
    run.violates(&["replies_equal"]);
}

#[test]
fn what_was_not_executed_is_nowhere() {
    let mut run = Run::new();
    run.call(Append, &append("a"), (0, 10), Outcome::NotExecuted);
    run.list(&[]);
    run.holds();
    run.list(&["a"]);
    run.violates(&["exactly_once", "linearizable"]);

    // A later answer says that it was executed then.
    let mut run = Run::new();
    run.call(Append, &append("a"), (0, 10), Outcome::NotExecuted);
    run.done(Append, &append("a"), (11, 20));
    run.list(&["a"]);
    run.holds();
    // But not before it was sent again.
    run.told(Append, &Asked::read("l"), (1, 5), &items(&["a"]));
    run.violates(&["linearizable"]);

    // And an executed command stays executed.
    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.call(Append, &append("a"), (11, 20), Outcome::NotExecuted);
    run.list(&["a"]);
    run.violates(&["exactly_once"]);

    let mut run = Run::new();
    let write = Asked::write("r", "a", What::Write);
    run.call(Register, &write, (0, 10), Outcome::NotExecuted);
    run.told(
        Register,
        &Asked::read("r"),
        (11, 20),
        &Told::Value(Some("a".into())),
    );
    run.violates(&["exactly_once", "linearizable"]);
}

#[test]
fn what_nobody_asked_for_is_seen() {
    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.list(&["a", "x"]);
    run.violates(&["exactly_once", "linearizable"]);

    let mut run = Run::new();
    run.told(
        Register,
        &Asked::read("r"),
        (11, 20),
        &Told::Value(Some("x".into())),
    );
    run.state.registers.insert("r".into(), "x".into());
    run.violates(&["exactly_once", "linearizable"]);
}

/// The first answer that a command was executed counts, whichever client gets it: from then on the
/// command was executed.
#[test]
fn the_first_answer_counts() {
    let mut run = Run::new();
    run.told(Append, &append("a"), (0, 100), &Told::Done).replayed = true;
    run.done(Append, &append("a"), (1, 10));
    run.told(Append, &Asked::read("l"), (20, 30), &items(&[]));
    run.list(&["a"]);
    run.violates(&["linearizable"]);
    run.entries[2].began = 5;
    run.holds();
}

#[test]
fn nonsense_is_no_answer() {
    let mut run = Run::new();
    run.told(Append, &append("a"), (0, 10), &Told::Nonsense("{}".into()));
    run.list(&["a"]);
    run.violates(&["linearizable"]);
    let mut run = Run::new();
    run.done(Counter, &add("a", 1, false), (0, 10)).asked = Value::from(5);
    run.state.records.clear();
    run.ledger.lines.truncate(2);
    run.violates(&["linearizable"]);
}
