//! Errors of MongoDB that can happen at any moment: at a statement, at the write of the records, at
//! the commit, at a read.

use bson::doc;

use crate::row::Expected::{self, Executed, Mongo};
use crate::row::{Injected, Row};

/// Trying again is right. MongoDB labels some of them so in a transaction.
const TRANSIENT: [(i32, &str); 20] = [
    (6, "HostUnreachable"),
    (7, "HostNotFound"),
    (24, "LockTimeout"),
    (43, "CursorNotFound"),
    (89, "NetworkTimeout"),
    (91, "ShutdownInProgress"),
    (112, "WriteConflict"),
    (134, "ReadConcernMajorityNotAvailableYet"),
    (189, "PrimarySteppedDown"),
    (237, "CursorKilled"),
    (239, "SnapshotTooOld"),
    (246, "SnapshotUnavailable"),
    (251, "NoSuchTransaction"),
    (262, "ExceededTimeLimit"),
    (9001, "SocketException"),
    (10107, "NotWritablePrimary"),
    (11600, "InterruptedAtShutdown"),
    (11601, "Interrupted"),
    (11602, "InterruptedDueToReplStateChange"),
    (13435, "NotPrimaryNoSecondaryOk"),
];

/// The same command would fail again.
const FINAL: [(i32, &str); 24] = [
    (1, "InternalError"),
    (2, "BadValue"),
    (8, "UnknownError"),
    (9, "FailedToParse"),
    (13, "Unauthorized"),
    (14, "TypeMismatch"),
    (20, "IllegalOperation"),
    (26, "NamespaceNotFound"),
    (48, "NamespaceExists"),
    (66, "ImmutableField"),
    (72, "InvalidOptions"),
    (73, "InvalidNamespace"),
    (96, "OperationFailed"),
    (115, "CommandNotSupported"),
    (146, "ExceededMemoryLimit"),
    (166, "CommandNotSupportedOnView"),
    (224, "QueryFeatureNotAllowed"),
    (257, "TransactionTooLarge"),
    (263, "OperationNotSupportedInTransaction"),
    (292, "QueryExceededMemoryLimitNoDiskUseAllowed"),
    (10334, "BSONObjectTooLarge"),
    (17280, "OBSOLETE_KeyTooLong"),
    (40324, "Location40324"),
    (99_999, "Location99999"),
];

/// A command, and MongoDB's commands that it makes.
const WRITES: [(&str, &str); 4] = [
    ("insert", r#"{"insert":"BAD","documents":[{"a":1}]}"#),
    (
        "update",
        r#"{"update":"BAD","updates":[{"q":{"_id":1},"u":{"$inc":{"n":1}}}]}"#,
    ),
    (
        "delete",
        r#"{"delete":"BAD","deletes":[{"q":{"_id":99},"limit":1}]}"#,
    ),
    (
        "findAndModify",
        r#"{"findAndModify":"BAD","query":{"_id":1},"update":{"$inc":{"n":1}}}"#,
    ),
];
const READS: [&str; 4] = [
    r#"{"find":"BAD","filter":{"n":{"$gte":0}}}"#,
    r#"{"aggregate":"BAD","pipeline":[{"$match":{"n":{"$gte":0}}}]}"#,
    r#"{"count":"BAD"}"#,
    r#"{"distinct":"BAD","key":"n"}"#,
];
const READING: [&str; 4] = ["find", "aggregate", "count", "distinct"];

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (place, (code, name)) in FINAL.into_iter().enumerate() {
        // Each code with one of the commands, each command with several codes.
        let (command, text) = WRITES[place % WRITES.len()];
        rows.push(row(
            format!("statement_{code}_{name}_in_{command}"),
            &[text],
            Mongo(code, name),
            Injected::statement(&[command], code),
        ));
        rows.push(row(
            format!("read_{code}_{name}"),
            &READS,
            Mongo(code, name),
            Injected::statement(&READING, code),
        ));
    }
    for (place, (code, name)) in TRANSIENT.into_iter().enumerate() {
        let (command, text) = WRITES[place % WRITES.len()];
        rows.push(row(
            format!("statement_{code}_{name}_in_{command}"),
            &[text],
            Executed,
            Injected::statement(&[command], code).times(2),
        ));
        rows.push(row(
            format!("read_{code}_{name}"),
            &READS,
            Executed,
            Injected::statement(&READING, code).times(2),
        ));
    }
    let both = WRITES.map(|(_, text)| text);
    for (code, name) in TRANSIENT.into_iter().chain(FINAL) {
        rows.push(row(
            format!("record_{code}_{name}"),
            &both,
            Executed,
            Injected::record(code),
        ));
        rows.push(row(
            format!("commit_{code}_{name}"),
            &both,
            Executed,
            Injected::commit(code),
        ));
    }
    rows.extend(labelled());
    rows.extend(cut_off());
    rows.push(capped());
    rows
}

/// Returns the rows in which the label of an error decides, if there is one.
fn labelled() -> Vec<Row> {
    let transient = doc! { "errorLabels": ["TransientTransactionError"] };
    let unknown = doc! { "errorLabels": ["UnknownTransactionCommitResult"] };
    let retryable = doc! { "errorLabels": ["RetryableWriteError"] };
    let insert = [WRITES[0].1];
    let labelled =
        |name: &str, commands: &[&str], injected| row(name.to_owned(), commands, Executed, injected);
    vec![
        labelled(
            "statement_labelled_transient",
            &insert,
            Injected::statement(&["insert"], 99_998)
                .times(2)
                .with(transient.clone()),
        ),
        labelled(
            "record_labelled_transient",
            &insert,
            Injected::record(99_998).with(transient.clone()),
        ),
        labelled(
            "commit_labelled_transient",
            &insert,
            Injected::commit(99_998).with(transient),
        ),
        labelled(
            "commit_labelled_unknown",
            &insert,
            Injected::commit(99_998).with(unknown),
        ),
        row(
            "statement_labelled_retryable".to_owned(),
            &insert,
            Mongo(99_998, "Location99998"),
            Injected::statement(&["insert"], 99_998).with(retryable),
        ),
    ]
}

/// Returns the rows in which the connection ends instead of an answer, or MongoDB does not wait for
/// a majority.
fn cut_off() -> Vec<Row> {
    let cut = doc! { "closeConnection": true };
    let late = |code: i32| doc! { "writeConcernError": { "code": code, "errmsg": "late" } };
    let all = |name: &str, commands: &[&str], mut injected: Injected, more| {
        injected.data.remove("errorCode");
        row(name.to_owned(), commands, Executed, injected.with(more))
    };
    let writes = WRITES.map(|(_, text)| text);
    vec![
        all(
            "statement_cut_off",
            &[WRITES[0].1],
            Injected::statement(&["insert"], 0).times(1),
            cut.clone(),
        ),
        all("record_cut_off", &writes, Injected::record(0), cut.clone()),
        all("commit_cut_off", &writes, Injected::commit(0), cut.clone()),
        all(
            "read_cut_off",
            &READS,
            Injected::statement(&READING, 0).times(1),
            cut,
        ),
        all(
            "commit_not_at_a_majority_in_time",
            &writes,
            Injected::commit(0),
            late(64),
        ),
        all(
            "commit_while_the_primary_ends",
            &writes,
            Injected::commit(0),
            late(91),
        ),
    ]
}

/// Returns the row for capped collections: MongoDB has no snapshots of them, and never will.
fn capped() -> Row {
    Row::new(
        "a_read_of_a_capped_collection",
        [
            (r#"{"find":"BAD"}"#, Expected::Final("capped")),
            (r#"{"find":"BAD","filter":{"_id":1}}"#, Expected::Final("capped")),
            (r#"{"aggregate":"BAD","pipeline":[]}"#, Expected::Final("capped")),
            (r#"{"count":"BAD"}"#, Expected::Final("capped")),
        ],
    )
    .before(r#"{"create":"BAD","capped":true,"size":100000}"#)
    .document(doc! { "_id": 1 })
}

fn row(name: String, commands: &[&str], expected: Expected, injected: Injected) -> Row {
    let commands = commands.iter().map(|command| (*command, expected.clone()));
    Row::new(name, commands)
        .document(doc! { "_id": 1, "n": 0 })
        .injected(injected)
        .rounds(1)
}
