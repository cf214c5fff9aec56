//! Reads of single documents by their `_id`, many as one.
//!
//! The commonest read finds one document by its `_id`. Those of one collection at one moment are sent as one `find` of all
//! the ids. What comes back is given to those whose id it has to the bit. Whoever gets nothing that way reads
//! alone, at the same moment: the document may be missing, or be equal only by a collation or as a number of another type.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_protocol::MAX_RESULT_BYTES;
use bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::execute::{collect, take_documents};
use super::failure::Failure;
use super::job::{Job, Task};
use super::lane::Lane;
use super::reads::{moment, no_place, read_at, reply_with};
use crate::command::{CommandName, Part};

/// As many documents are found at once.
const MAX_POINTS: usize = 200;

/// An `_id` to the bit.
type Key = Vec<u8>;

/// Reads in the background and answers.
pub(super) fn read_all_at(shared: &Arc<Shared>, epoch: u64, at: Timestamp, jobs: Vec<Job>) {
    let mut groups: HashMap<String, Vec<(Key, Job)>> = HashMap::new();
    for job in jobs {
        match point(&job.task).map(|(part, id)| (part.collection().to_owned(), key(id))) {
            Some((collection, key)) => groups.entry(collection).or_default().push((key, job)),
            None => read_at(shared, epoch, at, job),
        }
    }
    for (collection, mut group) in groups {
        while !group.is_empty() {
            let rest = group.split_off(group.len().min(MAX_POINTS));
            let points = std::mem::replace(&mut group, rest);
            match shared.readers.places(points.len()) {
                Some(places) => {
                    let shared = Arc::clone(shared);
                    tokio::spawn(read_points(shared, epoch, at, collection.clone(), points, places));
                }
                None => points.into_iter().for_each(|(_, job)| no_place(shared, job)),
            }
        }
    }
}

async fn read_points(
    shared: Arc<Shared>,
    epoch: u64,
    at: Timestamp,
    collection: String,
    points: Vec<(Key, Job)>,
    places: OwnedSemaphorePermit,
) {
    let mut found = HashMap::new();
    if points.len() > 1 {
        let earliest = points.iter().map(|(_, job)| job.task.deadline).min();
        let ids = points
            .iter()
            .filter_map(|(_, job)| Some(point(&job.task)?.1.clone()));
        let find = find_all(Arc::clone(&shared), at, collection, ids.collect());
        // In a task of its own, since the driver's futures must not be dropped.
        let find = timeout_at(earliest.unwrap_or_else(Instant::now), tokio::spawn(find)).await;
        if let Ok(Ok(Ok(documents))) = find {
            found = documents;
        }
    }
    // Those that read alone take their own.
    drop(places);
    for (key, job) in points {
        match found.get(&key) {
            Some(reply) => {
                let (_, task, sender) = job.into_parts();
                let answer = reply_with(&task, epoch, reply.clone());
                sender.answer(&task, Some(epoch), answer, &shared.counts);
            }
            None => read_at(&shared, epoch, at, job),
        }
    }
}

/// The replies to those finds that have found something.
async fn find_all(
    shared: Arc<Shared>,
    at: Timestamp,
    collection: String,
    ids: Vec<Bson>,
) -> Result<HashMap<Key, Document>, Failure> {
    let _permit = shared.readers.running().await;
    let session = shared
        .database
        .client()
        .start_session()
        .causal_consistency(false)
        .await;
    let mut lane = Lane::new(session?);
    let find = doc! {
        "find": collection,
        "filter": { "_id": { "$in": ids } },
        "batchSize": i32::try_from(MAX_POINTS).unwrap_or(i32::MAX),
        "readConcern": moment(at),
    };
    let mut reply = collect(&mut lane, shared.database.users(), &find, MAX_RESULT_BYTES).await?;
    let documents = take_documents(&mut reply);
    let namespace = reply
        .get_document("cursor")
        .ok()
        .and_then(|cursor| cursor.get("ns"));
    let namespace = namespace.cloned().unwrap_or(Bson::Null);
    let found = documents.into_iter().filter_map(|document| {
        let key = key(document.as_document()?.get("_id")?);
        let cursor = doc! { "firstBatch": [document], "id": 0_i64, "ns": namespace.clone() };
        Some((key, doc! { "cursor": cursor, "ok": 1.0 }))
    });
    Ok(found.collect())
}

/// The document that a read is after, if it is a plain find by `_id` alone.
fn point(task: &Task) -> Option<(&Part, &Bson)> {
    let command = task.command()?;
    let [part] = command.parts() else {
        return None;
    };
    if command.is_list() || part.name() != CommandName::Find || part.max_time().is_some() {
        return None;
    }
    let mut id = None;
    for (option, value) in part.body().iter().skip(1) {
        match (option.as_str(), value) {
            ("filter", Bson::Document(filter)) if filter.len() == 1 => id = Some(filter.get("_id")?),
            ("limit", Bson::Int32(1..) | Bson::Int64(1..)) => {}
            _ => return None,
        }
    }
    let id = id?;
    // Others are conditions, or match more than what is equal to them.
    let is_value = matches!(
        id,
        Bson::String(_)
            | Bson::ObjectId(_)
            | Bson::Int32(_)
            | Bson::Int64(_)
            | Bson::Binary(_)
            | Bson::DateTime(_)
            | Bson::Boolean(_)
    );
    is_value.then_some((part, id))
}

fn key(id: &Bson) -> Key {
    let alone = RawDocumentBuf::try_from(&doc! { "": id.clone() });
    alone.map(RawDocumentBuf::into_bytes).unwrap_or_default()
}
