//! Running one command within the transaction, and the shape of its reply.

use core::time::Duration;

use bellwether_protocol::MAX_RESULT_BYTES;
use bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::Database;

use super::failure::{Failure, check_reply};
use super::lane::Lane;
use crate::command::{CommandName, Part};
use crate::database::codes::MAX_TIME_EXPIRED;

/// How many documents MongoDB sends at first; most results need no second round trip.
const FIRST_BATCH: i32 = 1_000;

/// Fields of a reply that are between the driver and MongoDB, not part of the answer.
const GOSSIP: [&str; 8] = [
    "$clusterTime",
    "operationTime",
    "electionId",
    "opTime",
    "$gleStats",
    "$configTime",
    "$topologyTime",
    "lsid",
];

/// A command's reply, twice: to send and to store.
pub(super) struct Reply {
    pub(super) document: Document,
    pub(super) encoded: RawDocumentBuf,
}

/// Runs the command; it may take as long as `time`.
pub(super) async fn execute(
    lane: &mut Lane,
    users: &Database,
    command: &Part,
    time: Duration,
) -> Result<Reply, Failure> {
    let own_limit = command.max_time().filter(|max_time| *max_time < time);
    let time = own_limit.unwrap_or(time).max(Duration::from_millis(1));
    let reply = run(lane, users, command, time)
        .await
        .map_err(|failure| match failure {
            Failure::Refused(error) if error.code == MAX_TIME_EXPIRED && own_limit.is_none() => {
                Failure::OutOfTime
            }
            other => other,
        })?;
    let document: Document = reply
        .into_iter()
        .filter(|(field, _)| !GOSSIP.contains(&field.as_str()))
        .collect();
    let encoded = RawDocumentBuf::try_from(&document).map_err(|error| Failure::Broken(error.to_string()))?;
    if encoded.as_bytes().len() > MAX_RESULT_BYTES {
        return Err(Failure::TooLarge);
    }
    Ok(Reply { document, encoded })
}

async fn run(lane: &mut Lane, users: &Database, command: &Part, time: Duration) -> Result<Document, Failure> {
    let mut body = command.body().clone();
    let max_time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match command.name() {
        CommandName::Find => {
            body.insert("batchSize", FIRST_BATCH);
            body.insert("maxTimeMS", max_time);
            collect(lane, users, &body, MAX_RESULT_BYTES).await
        }
        CommandName::Aggregate => {
            body.insert("cursor", doc! { "batchSize": FIRST_BATCH });
            body.insert("maxTimeMS", max_time);
            collect(lane, users, &body, MAX_RESULT_BYTES).await
        }
        CommandName::Count => {
            let mut counting = as_aggregation(body);
            counting.insert("maxTimeMS", max_time);
            let reply = collect(lane, users, &counting, MAX_RESULT_BYTES).await?;
            Ok(as_count(reply))
        }
        CommandName::Insert
        | CommandName::Update
        | CommandName::Delete
        | CommandName::FindAndModify
        | CommandName::Distinct => {
            body.insert("maxTimeMS", max_time);
            let reply = lane.run_document(users, &body).await?;
            check_reply(&reply)?;
            Ok(reply)
        }
        other => Err(Failure::Broken(format!("{other} cannot run in a transaction"))),
    }
}

/// Runs a command that opens a cursor, and gathers all its batches into the first.
pub(super) async fn collect(
    lane: &mut Lane,
    database: &Database,
    command: &Document,
    max_bytes: usize,
) -> Result<Document, Failure> {
    let collection = command.values().next().cloned().unwrap_or(Bson::Null);
    let mut reply = lane.run_document(database, command).await?;
    let mut batch = Batch::read(&mut reply, "firstBatch")?;
    let mut documents = Vec::new();
    let mut bytes = 0;
    loop {
        bytes += batch.bytes()?;
        documents.append(&mut batch.documents);
        if bytes > max_bytes {
            // The cursor ends with the transaction.
            return Err(Failure::TooLarge);
        }
        if batch.cursor == 0 {
            break;
        }
        let get_more = doc! { "getMore": batch.cursor, "collection": collection.clone() };
        let mut next = lane.run_document(database, &get_more).await?;
        batch = Batch::read(&mut next, "nextBatch")?;
    }
    let whole = doc! { "firstBatch": documents, "id": 0_i64, "ns": batch.namespace };
    reply.insert("cursor", whole);
    Ok(reply)
}

struct Batch {
    documents: Vec<Bson>,
    cursor: i64,
    namespace: Bson,
}

impl Batch {
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

/// MongoDB does not count in a transaction, but it does aggregate.
fn as_aggregation(mut count: Document) -> Document {
    let mut pipeline = Vec::new();
    if let Some(query) = count.remove("query") {
        pipeline.push(doc! { "$match": query });
    }
    if let Some(skip) = count.remove("skip") {
        pipeline.push(doc! { "$skip": skip });
    }
    match count.remove("limit") {
        // 0 is no limit, and a negative one means the same as the positive.
        None | Some(Bson::Int32(0) | Bson::Int64(0)) => {}
        Some(Bson::Int32(limit)) => pipeline.push(doc! { "$limit": i64::from(limit).abs() }),
        Some(Bson::Int64(limit)) => pipeline.push(doc! { "$limit": limit.saturating_abs() }),
        Some(other) => pipeline.push(doc! { "$limit": other }),
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

/// The reply `count` would have given: nothing found is no document.
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
        let count = doc! { "count": "c", "query": { "a": 1 }, "skip": 2, "limit": -3, "hint": "a_1" };
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
