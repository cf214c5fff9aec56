//! Answers to commands at fault.

use bellwether_protocol::ErrorCode;

use super::*;
use crate::history::TriedError;
use crate::workload::Misdeed;
use Workload::BadNeighbours;

/// Makes a run in which a bad neighbour gets this outcome, with this error of each attempt.
fn misbehaves(how: Misdeed, outcome: Outcome, errors: &[(ErrorCode, Option<i32>)]) -> Run {
    let mut run = Run::new();
    let asked = Asked {
        key: "7-1".into(),
        token: None,
        what: What::Misbehave { how, shift: 1 },
    };
    let call = run.call(BadNeighbours, &asked, (0, 10), outcome);
    let tries = errors.iter().map(|(code, mongo)| Tried {
        server: "s1".into(),
        outcome: Outcome::NotExecuted,
        error: Some(TriedError {
            code: *code,
            mongo: *mongo,
        }),
    });
    call.tries = tries.collect();
    run
}

#[test]
fn a_command_at_fault_gets_the_error_of_its_fault() {
    let refused = Outcome::NotExecuted;
    let duplicate = (ErrorCode::Mongo, Some(11_000));
    misbehaves(Misdeed::DuplicateKey, refused, &[duplicate]).holds();
    // Under faults it may take several attempts, or never end.
    let early = (ErrorCode::Fenced, None);
    misbehaves(Misdeed::DuplicateKey, refused, &[early, duplicate]).holds();
    misbehaves(Misdeed::DuplicateKey, Outcome::Unknown, &[early]).holds();
    misbehaves(
        Misdeed::JavaScript,
        refused,
        &[(ErrorCode::CommandNotAllowed, None)],
    )
    .holds();
    misbehaves(Misdeed::LongRead, Outcome::Executed, &[early]).holds();

    for wrong in [
        misbehaves(Misdeed::DuplicateKey, Outcome::Executed, &[]),
        misbehaves(Misdeed::DuplicateKey, refused, &[(ErrorCode::Mongo, Some(14))]),
        misbehaves(
            Misdeed::DuplicateKey,
            refused,
            &[(ErrorCode::Internal, None), duplicate],
        ),
        misbehaves(Misdeed::JavaScript, refused, &[(ErrorCode::BadCommand, None)]),
        misbehaves(Misdeed::LongRead, refused, &[(ErrorCode::Mongo, Some(50))]),
        misbehaves(
            Misdeed::LongRead,
            refused,
            &[(ErrorCode::CommandNotAllowed, None)],
        ),
    ] {
        wrong.violates(&["faulty_refused"]);
    }
}

#[test]
fn half_of_a_refused_command_is_seen() {
    let mut run = Run::new();
    let what = What::Misbehave {
        how: Misdeed::DuplicateKeyInList,
        shift: 0,
    };
    let asked = Asked::write("7-1", "7-1", what);
    run.call(BadNeighbours, &asked, (0, 10), Outcome::NotExecuted);
    run.holds();
    run.state.neighbours.push("7-1".into());
    run.violates(&["exactly_once"]);
}
