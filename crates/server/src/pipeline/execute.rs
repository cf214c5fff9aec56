//! Running one operation of a command, in a transaction or at a moment, and the shape of its reply.

use core::time::Duration;

use bellwether_protocol::{ErrorFrame, MAX_RESULT_BYTES};
use bson::{Bson, Document, doc};
use mongodb::Database;
use tokio::time::Instant;

use super::failure::{Failure, check_reply};
use super::transaction_session::TransactionSession;
use super::{Settings, refusal};
use crate::command::{CommandName, Operation, is_by_distance};
use crate::database::codes::MAX_TIME_EXPIRED;

/// Number of documents that MongoDB sends at first; most results need no second round trip.
const FIRST_BATCH: i32 = 1_000;

/// Number of documents that MongoDB finds at a time if they are only counted. Without it MongoDB
/// would send 16 MiB of them.
const COUNTED_AT_A_TIME: i32 = 10_000;

/// Fields of a reply that the driver and MongoDB exchange. They are no part of the answer.
const DRIVER_FIELDS: [&str; 9] = [
    "$clusterTime",
    "operationTime",
    "electionId",
    "opTime",
    "$gleStats",
    "$configTime",
    "$topologyTime",
    "lsid",
    "atClusterTime",
];

/// The time limit for MongoDB's work on an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimeLimit {
    time: Duration,
    /// `true` if the client or the server's cap set it, and not the command's deadline.
    is_limit: bool,
}

impl TimeLimit {
    /// Returns the shortest of three times: the time until the deadline, the client's time limit,
    /// and the server's time limit.
    pub(super) fn new(operation: &Operation, deadline: Instant, settings: &Settings) -> Self {
        let remaining = remaining(deadline);
        let limit = operation
            .max_time()
            .map_or(settings.command_time, |own| own.min(settings.command_time));
        let is_limit = limit < remaining;
        let time = if is_limit { limit } else { remaining };
        Self { time, is_limit }
    }

    pub(super) fn time(self) -> Duration {
        self.time
    }

    pub(super) fn millis(self) -> i64 {
        i64::try_from(self.time.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// Returns [`Failure::OutOfTime`] if MongoDB stopped the operation because of the deadline, and
    /// any other failure unchanged.
    pub(super) fn judge(self, failure: Failure) -> Failure {
        match failure {
            Failure::Refused(error) if error.code == MAX_TIME_EXPIRED && !self.is_limit => Failure::OutOfTime,
            other => other,
        }
    }
}

pub(super) fn remaining(deadline: Instant) -> Duration {
    let remaining = deadline.saturating_duration_since(Instant::now());
    remaining.max(Duration::from_millis(1))
}

/// Runs one operation and returns MongoDB's reply. Outside a transaction, `read_concern` names the
/// moment of the read.
pub(super) async fn execute(
    session: &mut TransactionSession,
    users: &Database,
    operation: &Operation,
    time_limit: TimeLimit,
    read_concern: Option<&Document>,
) -> Result<Document, Failure> {
    let mut body = operation.to_send();
    let by_distance = operation.name() == CommandName::Count && body.get("query").is_some_and(is_by_distance);
    let cursor = match operation.name() {
        CommandName::Find => {
            body.insert("batchSize", FIRST_BATCH);
            true
        }
        CommandName::Aggregate => {
            body.insert("cursor", doc! { "batchSize": FIRST_BATCH });
            true
        }
        CommandName::Count if by_distance => {
            body = as_find(body);
            true
        }
        CommandName::Count => {
            body = as_aggregation(body);
            true
        }
        _ => false,
    };
    body.insert("maxTimeMS", time_limit.millis());
    if let Some(read_concern) = read_concern {
        body.insert("readConcern", read_concern.clone());
    }
    let reply = if by_distance {
        count(session, users, &body).await
    } else if cursor {
        collect(session, users, &body, MAX_RESULT_BYTES).await
    } else {
        run(session, users, &body).await
    };
    let reply = reply.map_err(|failure| time_limit.judge(failure))?;
    Ok(without_driver_fields(match operation.name() {
        CommandName::Count if !by_distance => as_count(reply),
        _ => reply,
    }))
}

/// Runs several operations merged into one command.
pub(super) async fn execute_merged(
    session: &mut TransactionSession,
    users: &Database,
    mut command: Document,
    time_limit: TimeLimit,
) -> Result<Document, Failure> {
    command.insert("maxTimeMS", time_limit.millis());
    run(session, users, &command)
        .await
        .map_err(|failure| time_limit.judge(failure))
}

async fn run(
    session: &mut TransactionSession,
    users: &Database,
    command: &Document,
) -> Result<Document, Failure> {
    let reply = session.run_document(users, command).await?;
    check_reply(&reply)?;
    Ok(reply)
}

pub(super) fn without_driver_fields(reply: Document) -> Document {
    let answer = reply
        .into_iter()
        .filter(|(field, _)| !DRIVER_FIELDS.contains(&field.as_str()));
    answer.collect()
}

/// Returns the error frame for a refused operation, or the failure if it is not the operation's
/// fault. `place` is the operation's place in a list.
pub(super) fn refused(failure: Failure, place: Option<usize>) -> Result<ErrorFrame, Failure> {
    match failure {
        Failure::Refused(mut error) => {
            error.command = place.and_then(|place| u32::try_from(place).ok());
            Ok(refusal::mongo(error))
        }
        Failure::TooLarge => Ok(refusal::too_large()),
        other => Err(other),
    }
}

/// Runs a command that opens a cursor, and gathers all its batches into the first.
pub(super) async fn collect(
    session: &mut TransactionSession,
    database: &Database,
    command: &Document,
    max_bytes: usize,
) -> Result<Document, Failure> {
    let collection = command.values().next().cloned().unwrap_or(Bson::Null);
    let mut reply = session.run_document(database, command).await?;
    let mut batch = CursorBatch::read(&mut reply, "firstBatch")?;
    let mut documents = Vec::new();
    let mut bytes = 0;
    loop {
        bytes += batch.bytes()?;
        documents.append(&mut batch.documents);
        if bytes > max_bytes {
            if batch.cursor != 0 {
                // In a transaction the cursor would end with the transaction; elsewhere it would
                // stay open for minutes.
                let kill = doc! { "killCursors": collection, "cursors": [batch.cursor] };
                let _ = session.run_document(database, &kill).await;
            }
            return Err(Failure::TooLarge);
        }
        if batch.cursor == 0 {
            break;
        }
        let get_more = doc! { "getMore": batch.cursor, "collection": collection.clone() };
        let mut next = session.run_document(database, &get_more).await?;
        batch = CursorBatch::read(&mut next, "nextBatch")?;
    }
    let whole = doc! { "firstBatch": documents, "id": 0_i64, "ns": batch.namespace };
    reply.insert("cursor", whole);
    Ok(reply)
}

/// Takes the documents out of a reply of [`collect`].
pub(super) fn take_documents(reply: &mut Document) -> Vec<Bson> {
    let cursor = reply.get_document_mut("cursor");
    let documents = cursor.and_then(|cursor| cursor.get_array_mut("firstBatch"));
    documents.map(std::mem::take).unwrap_or_default()
}

struct CursorBatch {
    documents: Vec<Bson>,
    cursor: i64,
    namespace: Bson,
}

impl CursorBatch {
    fn read(reply: &mut Document, field: &str) -> Result<Self, Failure> {
        let no_cursor = || Failure::Broken("MongoDB's reply holds no cursor".to_owned());
        let cursor = reply.get_document_mut("cursor").map_err(|_| no_cursor())?;
        let documents = cursor.get_array_mut(field).map_err(|_| no_cursor())?;
        Ok(Self {
            documents: std::mem::take(documents),
            cursor: cursor.get_i64("id").map_err(|_| no_cursor())?,
            namespace: cursor.get("ns").cloned().unwrap_or(Bson::Null),
        })
    }

    fn bytes(&self) -> Result<usize, Failure> {
        let sizes = self.documents.iter().map(|document| match document {
            Bson::Document(document) => document.to_vec().map(|bytes| bytes.len()),
            _ => Ok(0),
        });
        sizes
            .sum::<Result<usize, _>>()
            .map_err(|error| Failure::Broken(error.to_string()))
    }
}

/// Runs a command that opens a cursor, and returns the number of its documents as a reply of
/// `count`.
async fn count(
    session: &mut TransactionSession,
    database: &Database,
    command: &Document,
) -> Result<Document, Failure> {
    let collection = command.values().next().cloned().unwrap_or(Bson::Null);
    let mut reply = session.run_document(database, command).await?;
    let mut batch = CursorBatch::read(&mut reply, "firstBatch")?;
    let mut n = batch.documents.len();
    while batch.cursor != 0 {
        let get_more = doc! { "getMore": batch.cursor, "collection": collection.clone(), "batchSize": COUNTED_AT_A_TIME };
        let mut next = session.run_document(database, &get_more).await?;
        batch = CursorBatch::read(&mut next, "nextBatch")?;
        n += batch.documents.len();
    }
    let n = i32::try_from(n).map_or_else(|_| Bson::from(i64::try_from(n).unwrap_or(i64::MAX)), Bson::from);
    Ok(doc! { "n": n, "ok": reply.remove("ok").unwrap_or(Bson::Double(1.0)) })
}

/// Returns the `find` for a `count` by distance. In a transaction MongoDB does not support `count`,
/// and an aggregation does not search by distance, but a `find` does. The `find` returns the
/// documents without their fields.
fn as_find(mut count: Document) -> Document {
    let mut find = doc! {
        "find": count.remove(CommandName::Count.as_str()).unwrap_or(Bson::Null),
        "filter": count.remove("query").unwrap_or(Bson::Null),
        "projection": { "_id": 0, "found": { "$literal": 1 } },
        "batchSize": COUNTED_AT_A_TIME,
    };
    find.extend(count);
    find
}

/// Returns the aggregation for a `count`, which MongoDB does not support in a transaction.
fn as_aggregation(mut count: Document) -> Document {
    let mut pipeline = Vec::new();
    if let Some(query) = count.remove("query") {
        pipeline.push(doc! { "$match": query });
    }
    if let Some(skip) = count.remove("skip") {
        pipeline.push(doc! { "$skip": skip });
    }
    if let Some(limit) = count.remove("limit") {
        pipeline.push(doc! { "$limit": limit });
    }
    pipeline.push(doc! { "$group": { "_id": null, "n": { "$sum": 1 } } });

    let collection = count.remove(CommandName::Count.as_str());
    let mut aggregate = doc! {
        "aggregate": collection.unwrap_or(Bson::Null),
        "pipeline": pipeline,
        "cursor": {},
    };
    aggregate.extend(count);
    aggregate
}

/// Returns the reply that `count` would have given. An aggregation that finds nothing returns no
/// document.
fn as_count(mut aggregated: Document) -> Document {
    let cursor = aggregated.get_document("cursor");
    let groups = cursor.and_then(|cursor| cursor.get_array("firstBatch"));
    let group = groups.ok().and_then(|groups| groups.first()?.as_document());
    let n = group
        .and_then(|group| group.get("n"))
        .cloned()
        .unwrap_or(Bson::Int32(0));
    let ok = aggregated.remove("ok").unwrap_or(Bson::Double(1.0));
    doc! { "n": n, "ok": ok }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_an_aggregation() {
        let count = doc! { "count": "c", "query": { "a": 1 }, "skip": 2, "limit": 3_i64, "hint": "a_1" };
        let expected = doc! {
            "aggregate": "c",
            "pipeline": [
                { "$match": { "a": 1 } },
                { "$skip": 2 },
                { "$limit": 3_i64 },
                { "$group": { "_id": null, "n": { "$sum": 1 } } },
            ],
            "cursor": {},
            "hint": "a_1",
        };
        assert_eq!(as_aggregation(count), expected);
        let reply = |batch: Vec<Document>| doc! { "cursor": { "firstBatch": batch }, "ok": 1.0 };
        assert_eq!(
            as_count(reply(vec![doc! { "_id": null, "n": 7 }])),
            doc! { "n": 7, "ok": 1.0 }
        );
        assert_eq!(as_count(reply(vec![])), doc! { "n": 0, "ok": 1.0 });
    }
}
