//! The record of an executed command: the memory that makes it execute once.
//!
//! Records lie in one collection with the fence, the ledger, so that one round trip writes both.

use std::collections::HashMap;

use bellwether_protocol::{CommandFate, CommandId, ErrorFrame, Outcome};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, RawArrayBuf, RawDocumentBuf, cstr, doc, rawdoc};

use super::{MAX_STORED_REPLY, refusal};
use crate::command::{Fingerprint, canonical};
use crate::database::{Fence, LEDGER};

/// The field that says that a command was begun, and on what, until its reply is there.
const BEGUN: &str = "begun";

/// What is known of a command that was executed before.
pub(super) struct Known {
    fingerprint: Vec<u8>,
    /// Absent if it was too large to keep.
    reply: Option<Document>,
    epoch: u64,
    /// What the command is about, if it was begun and its end is not known.
    begun: Option<Document>,
}

/// An answer that waits for its commit.
pub(super) struct Pending {
    pub(super) reply: Document,
    pub(super) epoch: u64,
    pub(super) replayed: bool,
}

impl Known {
    /// What a command with this fingerprint is answered.
    pub(super) fn answer(self, fingerprint: &Fingerprint) -> Result<Pending, ErrorFrame> {
        if self.fingerprint != fingerprint {
            return Err(refusal::id_reused());
        }
        match self.reply {
            Some(reply) => Ok(Pending {
                reply,
                epoch: self.epoch,
                replayed: true,
            }),
            None => Err(refusal::reply_not_kept(self.epoch)),
        }
    }

    /// What a command with this fingerprint is about, if it was begun and its end is not known.
    pub(super) fn begun(&self, fingerprint: &Fingerprint) -> Option<Document> {
        self.begun.clone().filter(|_| self.fingerprint == *fingerprint)
    }

    /// What became of a command that has a record.
    pub(super) fn fate(self, id: CommandId) -> CommandFate {
        CommandFate {
            id,
            outcome: if self.begun.is_some() {
                Outcome::Unknown
            } else {
                Outcome::Executed
            },
            epoch: Some(self.epoch).filter(|_| self.begun.is_none()),
            result: self.reply.and_then(|reply| canonical(reply).ok()),
        }
    }
}

/// The command that finds the records of these ids.
pub(super) fn find(ids: impl Iterator<Item = CommandId>) -> Document {
    let ids: Vec<Bson> = ids.map(|id| Bson::Binary(key(id))).collect();
    doc! { "find": LEDGER, "filter": { "_id": { "$in": ids } } }
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
    let reply = match document.remove("reply") {
        Some(Bson::Document(reply)) => Some(reply),
        _ => None,
    };
    let begun = match document.remove(BEGUN) {
        Some(Bson::Document(begun)) => Some(begun),
        _ => None,
    };
    let known = Known {
        fingerprint: document.get_binary_generic("fingerprint").ok()?.clone(),
        epoch: u64::try_from(document.get_i64("epoch").ok()?).ok()?,
        reply,
        begun,
    };
    Some((id.bytes, known))
}

/// The statement that records a command that has just run; it changes nothing where there is a record already.
pub(super) fn statement(
    id: CommandId,
    fingerprint: &Fingerprint,
    reply: &RawDocumentBuf,
    epoch: u64,
) -> RawDocumentBuf {
    let mut record = opening(fingerprint);
    if reply.as_bytes().len() <= MAX_STORED_REPLY {
        record.append(cstr!("reply"), reply);
    }
    close(id, record, epoch)
}

/// The statement that records that a command is begun which cannot be in a transaction, and what it is about.
pub(super) fn begun(
    id: CommandId,
    fingerprint: &Fingerprint,
    about: &RawDocumentBuf,
    epoch: u64,
) -> RawDocumentBuf {
    let mut record = opening(fingerprint);
    record.append(cstr!("begun"), about);
    close(id, record, epoch)
}

/// The command that stores the reply to a command that was begun.
pub(super) fn complete(id: CommandId, reply: Document, epoch: u64) -> Document {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    doc! {
        "update": LEDGER,
        "updates": [{
            "q": { "_id": key(id), BEGUN: { "$exists": true } },
            "u": {
                "$set": { "reply": reply, "epoch": epoch, "at": DateTime::now() },
                "$unset": { BEGUN: 1 },
            },
        }],
    }
}

/// The command that removes the record of a command that was begun and has had no effect.
pub(super) fn forget(id: CommandId) -> Document {
    let begun = doc! { "_id": key(id), BEGUN: { "$exists": true } };
    doc! { "delete": LEDGER, "deletes": [{ "q": begun, "limit": 1 }] }
}

fn opening(fingerprint: &Fingerprint) -> RawDocumentBuf {
    let fingerprint = Binary {
        subtype: BinarySubtype::Generic,
        bytes: fingerprint.to_vec(),
    };
    rawdoc! { "fingerprint": fingerprint }
}

fn close(id: CommandId, mut record: RawDocumentBuf, epoch: u64) -> RawDocumentBuf {
    record.append(cstr!("epoch"), i64::try_from(epoch).unwrap_or(i64::MAX));
    record.append(cstr!("at"), DateTime::now());
    rawdoc! {
        "q": { "_id": key(id) },
        "u": { "$setOnInsert": record },
        "upsert": true,
    }
}

/// The command that writes the fence and these records.
pub(super) fn seal(epoch: u64, records: Vec<RawDocumentBuf>) -> RawDocumentBuf {
    let mut statements = RawArrayBuf::new();
    statements.push(Fence::hold(epoch));
    for record in records {
        statements.push(record);
    }
    rawdoc! { "update": LEDGER, "updates": statements }
}

/// What the reply to [`seal`] says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    Done,
    /// A later epoch has been granted.
    Fenced,
    /// Some of the records were there before.
    Repeated,
}

pub(super) fn sealed(reply: &Document, records: usize) -> Sealed {
    let n = reply.get_i32("n").ok().and_then(|n| usize::try_from(n).ok());
    let new = reply.get_array("upserted").map_or(0, Vec::len);
    // Every record matches or is inserted, so one less is the fence.
    if n != Some(records + 1) {
        Sealed::Fenced
    } else if new < records {
        Sealed::Repeated
    } else {
        Sealed::Done
    }
}

fn key(id: CommandId) -> Binary {
    Binary {
        subtype: BinarySubtype::Uuid,
        bytes: id.as_bytes().to_vec(),
    }
}
