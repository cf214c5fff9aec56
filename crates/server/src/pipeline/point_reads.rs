//! Reads of single documents by their `_id`, many in one `find`.
//!
//! The most common read finds one document by its `_id`. The server sends such reads of one
//! collection at one moment as one `find` of all the ids. Each command gets the document with
//! exactly its id. A command that gets no document that way reads alone, at the same moment. There
//! may be no document, or a document whose id is equal only by the collection's collation.
//!
//! The name of a collection may be that of a view, where ids need not be unique. If an id comes
//! back twice, its commands read alone. If an id comes back that no command asked for, all commands
//! read alone. The server does not send strings together that a collation might treat as equal.
//!
//! A view can take long for one id, and then all commands of the `find` would wait for it. So the
//! server ends such a `find` after half a second, and its commands read alone. For a while all
//! commands of this collection read alone.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_protocol::MAX_RESULT_BYTES;
use bson::{Bson, RawDocumentBuf, Timestamp, doc};
use tokio::time::{Duration, Instant, timeout_at};

use super::SourceId;
use super::execute::{TimeLimit, collect, take_documents};
use super::failure::Failure;
use super::job::{Job, Task};
use super::reads::{answer_with, convert, moment, no_place, read_at, reading_session};
use super::replies::encode;
use super::shared::Shared;
use super::shares::Place;
use super::suspects::Run;
use crate::command::{CommandName, Operation};
use crate::subject::SubjectHash;

/// Highest number of documents that one `find` is for.
const MAX_POINTS: usize = 200;

/// Longest time for a `find` for several commands.
const LONGEST_FIND: Duration = Duration::from_millis(500);
/// Shortest time that a command must have left when it is sent together with others. After a `find`
/// that was too slow it still has time to read alone.
const ENOUGH_TIME: Duration = Duration::from_secs(1);

/// An `_id`, in a form that is the same for ids that are equal in every collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A whole number, of any numeric type.
    Whole(i64),
    Text(String),
    /// Any other id, in its encoding.
    Other(Vec<u8>),
}

/// Reads in the background and answers the commands.
pub(super) fn read_all_at(shared: &Arc<Shared>, epoch: u64, at: Timestamp, jobs: Vec<Job>) {
    // Reads of different subjects are not one read: rules could give them different documents.
    let mut groups: HashMap<(String, Option<SubjectHash>), Group> = HashMap::new();
    let now = Instant::now();
    for job in jobs {
        let Some(place) = shared.readers.places.try_take(job.source) else {
            no_place(shared, job);
            continue;
        };
        let group = match point(&job.task).filter(|_| may_wait_for_others(shared, &job, now)) {
            None => None,
            Some((operation, id)) => {
                let whose = (operation.collection().to_owned(), job.task.subject().copied());
                let group = groups.entry(whose).or_default();
                let key = key(id);
                group.admits(&key).then_some((key, group))
            }
        };
        match group {
            Some((key, group)) => group.points.push(Point { key, job, place }),
            None => read_at(shared, epoch, at, job, place),
        }
    }
    for ((collection, _), group) in groups {
        let mut group = group.points;
        while !group.is_empty() {
            let rest = group.split_off(group.len().min(MAX_POINTS));
            let points = std::mem::replace(&mut group, rest);
            let shared = Arc::clone(shared);
            tokio::spawn(read_points(shared, epoch, at, collection.clone(), points));
        }
    }
}

/// Returns `true` if the command can be sent together with others. They all wait as long as the
/// slowest of them.
fn may_wait_for_others(shared: &Shared, job: &Job, now: Instant) -> bool {
    let Some(command) = job.task.command() else {
        return false;
    };
    let slow = &shared.readers.slow;
    job.task.deadline >= now + ENOUGH_TIME
        && shared.suspects.check(command, now) == Ok(false)
        && !slow.expects(job.source, command)
        && !slow.expects_in(command.collection(), now)
}

/// Finds the documents of these points together, and answers their commands. A command without a
/// document reads alone.
async fn read_points(shared: Arc<Shared>, epoch: u64, at: Timestamp, collection: String, points: Vec<Point>) {
    let found = find_together(&shared, at, collection, &points).await;
    let found = found.unwrap_or_default();
    for Point { key, job, place } in points {
        match found.get(&key) {
            Some(reply) => answer_point(&shared, epoch, job, reply.clone()).await,
            None => read_at(&shared, epoch, at, job, place),
        }
    }
}

/// Returns the replies that one `find` gives for several points. Returns `None` if there is only
/// one point, or if the `find` fails or takes too long.
async fn find_together(
    shared: &Arc<Shared>,
    at: Timestamp,
    collection: String,
    points: &[Point],
) -> Option<HashMap<Key, RawDocumentBuf>> {
    if points.len() < 2 {
        return None;
    }
    let until = Instant::now() + LONGEST_FIND;
    let running = shared.readers.running(source_of(points));
    let running = timeout_at(until, running).await.ok()??;
    let mut asked = HashMap::new();
    let mut times = Vec::new();
    for Point { key, job, .. } in points {
        if let Some((operation, id)) = point(&job.task) {
            asked.insert(key.clone(), id.clone());
            times.push(TimeLimit::new(operation, job.task.deadline, &shared.settings));
        }
    }
    let time = times.into_iter().min();
    let commands = points.iter().filter_map(|point| point.job.task.command());
    let run = shared.suspects.run(commands);
    let find = find_all(Arc::clone(shared), at, collection.clone(), asked, time, run);
    let began = Instant::now();
    // The find has a task of its own, so that it can be ended.
    let mut finding = tokio::spawn(async move {
        let found = find.await;
        drop(running);
        found
    });
    match timeout_at(until, &mut finding).await {
        Ok(found) => found.ok()?.ok(),
        Err(_) => {
            // The abort closes the find's connection, and with that MongoDB ends the find.
            finding.abort();
            if began.elapsed() >= LONGEST_FIND / 2 {
                shared.readers.slow.was_slow_in(&collection, Instant::now());
            }
            None
        }
    }
}

async fn answer_point(shared: &Shared, epoch: u64, job: Job, reply: RawDocumentBuf) {
    if let Some(command) = job.task.command() {
        let (size, now) = (reply.as_bytes().len(), Instant::now());
        let slow = &shared.readers.slow;
        slow.took(job.source, command, Duration::ZERO, size, now);
    }
    let (_, _, task, sender) = job.into_parts();
    let answer = answer_with(&task, epoch, convert(shared, reply).await);
    shared.readers.done();
    shared.note(&answer);
    sender.answer(&task, Some(epoch), answer, &shared.counts);
}

/// Returns the source of all these commands, or a source that stands for several.
fn source_of(points: &[Point]) -> SourceId {
    let mut sources = points.iter().map(|point| point.job.source);
    let first = sources.next().unwrap_or(SourceId::SEVERAL);
    if sources.all(|source| source == first) {
        first
    } else {
        SourceId::SEVERAL
    }
}

/// Returns the replies to the finds that have found a document.
async fn find_all(
    shared: Arc<Shared>,
    at: Timestamp,
    collection: String,
    asked: HashMap<Key, Bson>,
    time: Option<TimeLimit>,
    run: Run,
) -> Result<HashMap<Key, RawDocumentBuf>, Failure> {
    let mut session = reading_session(&shared).await?;
    let ids: Vec<Bson> = asked.values().cloned().collect();
    let mut find = doc! {
        "find": collection,
        "filter": { "_id": { "$in": ids } },
        "batchSize": i32::try_from(MAX_POINTS).unwrap_or(i32::MAX),
        "readConcern": moment(at),
    };
    if let Some(time) = time {
        find.insert("maxTimeMS", time.millis());
    }
    let reply = collect(&mut session, shared.database.users(), &find, MAX_RESULT_BYTES).await;
    run.ends(&reply);
    let mut reply = reply?;
    let documents = take_documents(&mut reply);
    let namespace = reply
        .get_document("cursor")
        .ok()
        .and_then(|cursor| cursor.get("ns"));
    let namespace = namespace.cloned().unwrap_or(Bson::Null);
    let mut found = HashMap::new();
    let mut twice = Vec::new();
    for document in documents {
        let key = document
            .as_document()
            .and_then(|document| document.get("_id"))
            .map(key);
        let Some(key) = key.filter(|key| asked.contains_key(key)) else {
            return Ok(HashMap::new());
        };
        let cursor = doc! { "firstBatch": [document], "id": 0_i64, "ns": namespace.clone() };
        let reply = encode(&doc! { "cursor": cursor, "ok": 1.0 })?;
        if found.insert(key.clone(), reply).is_some() {
            twice.push(key);
        }
    }
    found.retain(|key, _| !twice.contains(key));
    Ok(found)
}

/// Returns the operation and the `_id` of a read, if it is a plain find by `_id` alone.
fn point(task: &Task) -> Option<(&Operation, &Bson)> {
    let command = task.command()?;
    let [operation] = command.operations() else {
        return None;
    };
    if command.is_list() || operation.name() != CommandName::Find || operation.max_time().is_some() {
        return None;
    }
    let mut id = None;
    for (option, value) in operation.body().iter().skip(1) {
        match (option.as_str(), value) {
            ("filter", Bson::Document(filter)) if filter.len() == 1 => id = Some(filter.get("_id")?),
            ("limit", Bson::Int32(1..) | Bson::Int64(1..)) => {}
            _ => return None,
        }
    }
    let id = id?;
    // Other values are conditions, or match more than the values that are equal to them.
    let is_value = matches!(
        id,
        Bson::String(_)
            | Bson::ObjectId(_)
            | Bson::Int32(_)
            | Bson::Int64(_)
            | Bson::Double(_)
            | Bson::Binary(_)
            | Bson::DateTime(_)
            | Bson::Boolean(_)
    );
    is_value.then_some((operation, id))
}

fn key(id: &Bson) -> Key {
    match id {
        Bson::Int32(number) => Key::Whole(i64::from(*number)),
        Bson::Int64(number) => Key::Whole(*number),
        Bson::Double(number) => match whole(*number) {
            Some(number) => Key::Whole(number),
            None => other_key(id),
        },
        Bson::String(text) => Key::Text(text.clone()),
        other => other_key(other),
    }
}

fn other_key(id: &Bson) -> Key {
    let encoded = RawDocumentBuf::try_from(&doc! { "": id.clone() });
    Key::Other(encoded.map(RawDocumentBuf::into_bytes).unwrap_or_default())
}

/// Returns the same number as an integer, if it is one.
fn whole(number: f64) -> Option<i64> {
    // Below 2^63, where every whole double is an i64.
    let is_whole = number.fract() == 0.0 && number.abs() < 9.2e18;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    is_whole.then_some(number as i64)
}

/// Returns the remaining text after the removal of everything that a collation can ignore. Two
/// texts with different results differ in every collation. Returns `None` for a text that is not
/// ASCII, where the removal is hard.
fn skeleton(text: &str) -> Option<String> {
    let kept = text.chars().filter(|c| c.is_ascii_alphanumeric() && *c != '0');
    text.is_ascii()
        .then(|| kept.map(|c| c.to_ascii_lowercase()).collect())
}

/// A job whose document is found together with those of others.
struct Point {
    key: Key,
    job: Job,
    place: Place,
}

/// The jobs of one collection whose documents are found together.
#[derive(Default)]
struct Group {
    points: Vec<Point>,
    texts: HashMap<String, String>,
}

impl Group {
    /// Returns `true` if the group has no other text that might be equal to this one.
    fn admits(&mut self, key: &Key) -> bool {
        let Key::Text(text) = key else {
            return true;
        };
        let Some(skeleton) = skeleton(text) else {
            return false;
        };
        self.texts.entry(skeleton).or_insert_with(|| text.clone()) == text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ids_have_equal_keys() {
        assert_eq!(key(&Bson::Int32(5)), key(&Bson::Int64(5)));
        assert_eq!(key(&Bson::Int32(5)), key(&Bson::Double(5.0)));
        assert_ne!(key(&Bson::Int32(5)), key(&Bson::Double(5.5)));
        assert_ne!(
            key(&Bson::Int64(9_007_199_254_740_993)),
            key(&Bson::Double(9_007_199_254_740_992.0))
        );
        assert_ne!(key(&Bson::String("5".to_owned())), key(&Bson::Int32(5)));
        assert_ne!(key(&Bson::Boolean(true)), key(&Bson::Int32(1)));
    }

    #[test]
    fn texts_that_may_be_equal_are_not_found_together() {
        let mut group = Group::default();
        let mut admits = |text: &str| group.admits(&Key::Text(text.to_owned()));
        assert!(admits("note-1") && admits("note-1") && admits("note-2"));
        assert!(!admits("Note-1") && !admits("note1") && !admits("note-01") && !admits("nöte-1"));
    }
}
