//! The record of an executed command: the memory that makes it execute once.

use std::collections::HashMap;

use bellwether_protocol::CommandId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, RawArrayBuf, RawDocumentBuf, cstr, doc, rawdoc};

use super::job::Task;
use crate::database::RECORDS;

/// What is known of a command that was executed before.
pub(super) struct Known {
    fingerprint: Vec<u8>,
    pub(super) reply: Document,
    pub(super) epoch: u64,
}

impl Known {
    /// Whether the record is of this command, not only of its id.
    pub(super) fn is_of(&self, task: &Task) -> bool {
        self.fingerprint == task.command.fingerprint()
    }
}

/// The command that finds the records of these ids.
pub(super) fn find(ids: impl Iterator<Item = CommandId>) -> Document {
    let ids: Vec<Bson> = ids.map(|id| Bson::Binary(key(id))).collect();
    doc! { "find": RECORDS, "filter": { "_id": { "$in": ids } } }
}

/// The records among a `find` command's documents. A document that is not one was put there by hand; the
/// command's own record will then collide with it, which is an error and not a second execution.
pub(super) fn read(documents: Vec<Bson>) -> HashMap<Vec<u8>, Known> {
    let records = documents.into_iter().filter_map(|document| match document {
        Bson::Document(document) => record(document),
        _ => None,
    });
    records.collect()
}

fn record(mut document: Document) -> Option<(Vec<u8>, Known)> {
    let Some(Bson::Binary(id)) = document.remove("_id") else {
        return None;
    };
    let Some(Bson::Document(reply)) = document.remove("reply") else {
        return None;
    };
    let known = Known {
        fingerprint: document.get_binary_generic("fingerprint").ok()?.clone(),
        epoch: u64::try_from(document.get_i64("epoch").ok()?).ok()?,
        reply,
    };
    Some((id.bytes, known))
}

/// The record of a command that has just run.
pub(super) fn new(task: &Task, reply: &RawDocumentBuf, epoch: u64) -> RawDocumentBuf {
    let fingerprint = Binary {
        subtype: BinarySubtype::Generic,
        bytes: task.command.fingerprint().to_vec(),
    };
    let mut record = rawdoc! { "_id": key(task.id), "fingerprint": fingerprint };
    record.append(cstr!("reply"), reply);
    record.append(cstr!("epoch"), i64::try_from(epoch).unwrap_or(i64::MAX));
    record.append(cstr!("at"), DateTime::now());
    record
}

/// The command that stores these records.
pub(super) fn insert(records: Vec<RawDocumentBuf>) -> RawDocumentBuf {
    let mut documents = RawArrayBuf::new();
    for record in records {
        documents.push(record);
    }
    rawdoc! { "insert": RECORDS, "documents": documents }
}

fn key(id: CommandId) -> Binary {
    Binary {
        subtype: BinarySubtype::Uuid,
        bytes: id.as_bytes().to_vec(),
    }
}
