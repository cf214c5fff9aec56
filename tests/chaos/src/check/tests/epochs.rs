use super::*;
use crate::timeline::Belief;

/// Returns a run in which each of these tokens was recorded in an epoch of its own, granted just
/// before.
fn epochs(tokens: &[&str]) -> Run {
    let mut run = Run::default();
    run.ledger.lines.push(Line::From { fence: None });
    for (epoch, token) in (1..).zip(tokens) {
        run.granted(epoch, if epoch % 2 == 1 { "s1" } else { "s2" });
        run.recorded(epoch, token);
    }
    run
}

#[test]
fn epochs_that_grow_hold() {
    epochs(&["a", "b", "c"]).holds();
    // From the middle.
    let mut run = epochs(&["a", "b", "c"]);
    run.ledger.lines.drain(..4);
    let fence = Fence {
        epoch: 1,
        holder: "s1".into(),
        number: "s1's".into(),
        seq: 1,
    };
    run.ledger.lines.insert(0, Line::From { fence: Some(fence) });
    run.holds();
}

/// Returns a list to which one command appends, as the second server does in epoch 2.
fn appended(tries: &[(&str, Outcome)]) -> Run {
    let mut run = Run::new();
    run.granted(2, "s2");
    run.recorded(2, "a");
    let call = run.done(Append, &append("a"), (1, 2));
    call.epoch = Some(2);
    let tries = tries.iter().map(|(server, outcome)| Tried {
        server: (*server).into(),
        outcome: *outcome,
        error: None,
    });
    call.tries = tries.collect();
    run.list(&["a"]);
    run
}

#[test]
fn who_executed_a_command_and_denied_it_is_seen() {
    use Outcome::{Executed, NotExecuted, Unknown};
    appended(&[("s1", NotExecuted), ("s2", Unknown), ("s1", Executed)]).holds();
    appended(&[("s1", NotExecuted), ("s2", NotExecuted), ("s2", Executed)]).holds();
    appended(&[("s2", NotExecuted), ("s1", Executed)]).violates(&["not_denied"]);
    let unseen = appended(&[("s1", Executed)]).said("not_denied");
    assert!(unseen.starts_with("1 commands"), "{unseen}");
}

#[test]
fn an_epoch_that_goes_back_is_seen() {
    let mut run = epochs(&["a", "b", "c"]);
    run.granted(2, "s1");
    run.violates(&["epoch_grows", "epoch_unique"]);
}

#[test]
fn two_holders_of_an_epoch_are_seen() {
    let mut run = epochs(&["a"]);
    run.granted(1, "s2");
    run.violates(&["epoch_grows", "epoch_unique"]);

    // Two servers that answer first-hand in one epoch.
    let mut run = Run::new();
    run.done(Append, &append("a"), (0, 10));
    run.done(Append, &append("b"), (11, 20)).server = Some("ws://s2/v1".into());
    run.list(&["a", "b"]);
    run.violates(&["epoch_unique"]);
    // The replayed ones may come from any server.
    run.entries[1].replayed = true;
    run.holds();
}

#[test]
fn a_record_of_an_older_epoch_is_seen() {
    let mut run = epochs(&["a", "b"]);
    run.recorded(1, "c");
    run.violates(&["fenced"]);
    assert!(run.said("fenced").contains("under epoch 1"));
    // Or of an epoch that was never granted.
    let mut run = epochs(&["a", "b"]);
    run.recorded(3, "c");
    run.violates(&["fenced"]);
}

#[test]
fn a_record_without_the_fence_is_seen() {
    for wrong in [None, Some("another".to_owned())] {
        let mut run = epochs(&["a"]);
        run.state.records.insert(id("b"), 1);
        run.ledger.lines.push(Line::Recorded {
            epoch: 1,
            ids: vec![id("b")],
            transaction: wrong,
        });
        run.violates(&["fence_written"]);
    }
}

#[test]
fn a_fence_that_jumps_is_seen() {
    for seq in [0, 1, 3] {
        let mut run = epochs(&["a"]);
        let transaction = Some("next".into());
        run.ledger.lines.push(Line::Held { seq, transaction });
        run.violates(&["fence_written"]);
    }
}

#[test]
fn a_record_that_goes_is_seen() {
    let mut run = epochs(&["a"]);
    run.state.records.clear();
    run.violates(&["acked_is_durable"]);
    let mut run = epochs(&["a"]);
    run.ledger.lines.push(Line::Removed {
        what: "delete".into(),
    });
    run.violates(&["epoch_grows"]);
}

#[test]
fn an_answer_of_a_former_coordinator_is_seen() {
    let late = |began| {
        let mut run = Run::new();
        run.done(Append, &append("a"), (0, 10));
        run.granted(2, "s2");
        run.recorded(2, "b");
        let second = run.done(Append, &append("b"), (15, 20));
        second.epoch = Some(2);
        second.server = Some("ws://s2/v1".into());
        second.tries[0].server = "s2".into();
        run.told(Append, &Asked::read("l"), (began, 30), &items(&["a", "b"]));
        run.list(&["a", "b"]);
        run
    };
    late(19).holds();
    late(21).violates(&["fenced"]);
    let mut replayed = late(21);
    replayed.entries[2].replayed = true;
    replayed.holds();
}

#[test]
fn a_hole_in_the_ledger_is_no_proof() {
    let mut run = epochs(&["a"]);
    run.ledger.lines.push(Line::Lost {
        why: "too late".into(),
    });
    let undecided = |run: &Run| {
        let findings = run.judged().into_iter();
        findings
            .filter(|finding| matches!(finding.verdict, Verdict::Undecided(_)))
            .count()
    };
    assert!(undecided(&run) >= 3, "{:?}", run.judged());
    assert!(run.said("fenced").contains("too late"));
    let mut empty = Run::default();
    assert!(undecided(&empty) >= 3, "{:?}", empty.judged());
    empty.granted(1, "s1");
    empty.holds();
}

#[test]
fn an_epoch_that_was_never_granted_and_is_believed_for_long_is_seen() {
    let believed = |epoch, seconds: u64| {
        let belief = Belief {
            server: 1,
            epoch,
            began: 1_000_000,
            ended: 1_000_000 + seconds * 1_000_000,
        };
        granted_epochs_only(&[belief], &epochs(&["a", "b", "c"]).ledger).verdict
    };
    assert_eq!(believed(3, 600), Verdict::Held);
    assert_eq!(
        believed(1_000_000_000_000_000, 3),
        Verdict::Held,
        "until it was told"
    );
    assert!(
        matches!(believed(4, 13), Verdict::Violated(why) if why.starts_with("1 times: s2 said from 1.0 s to 14.0 s"))
    );

    let unseen = Line::Lost {
        why: "cut off".into(),
    };
    let mut ledger = epochs(&["a"]).ledger;
    ledger.lines.push(unseen);
    assert!(matches!(
        granted_epochs_only(&[], &ledger).verdict,
        Verdict::Undecided(_)
    ));
}
