//! The record of an executed command: the memory that makes it execute once.
//!
//! The records of a batch are one document. That costs MongoDB and its secondaries far less than
//! one document for each record. A unique index on the ids in the document prevents a second record
//! of an id. The document is in the same collection as the fence, the ledger, so that one round
//! trip writes both.

use std::collections::HashMap;

use bellwether_protocol::{CommandId, ErrorFrame, Outcome, OutcomeResult, RawJson};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, RawArrayBuf, RawDocumentBuf, cstr, doc, rawdoc};

use super::failure::{Failure, check_reply};
use super::{MAX_STORED_REPLY, refusal, stored_reply};
use crate::command::{Fingerprints, canonical};
use crate::database::codes::DUPLICATE_KEY;
use crate::database::{Fence, LEDGER, RECORDED_IDS};
use crate::subject::{SubjectHash, is_of_another};

/// The record of a command that was executed before, as it was read from the ledger.
pub(super) struct StoredRecord {
    fingerprint: Vec<u8>,
    /// Absent if it is equal to `fingerprint`, and in records of version 0.1.0.
    command_fingerprint: Option<Vec<u8>>,
    /// Absent if the reply was too large to keep, or is not known yet.
    reply: Option<Document>,
    epoch: u64,
    /// The target of a command that was begun. Present until its reply is.
    begun: Option<Document>,
    /// The subject that has sent the command. Absent if access was not restricted.
    by: Option<Vec<u8>>,
}

/// An answer that waits for its commit.
pub(super) struct UncommittedReply {
    /// Canonical Extended JSON.
    pub(super) reply: RawJson,
    pub(super) epoch: u64,
    pub(super) replayed: bool,
}

impl StoredRecord {
    fn is_of(&self, fingerprints: &Fingerprints) -> bool {
        fingerprints.match_record(
            &self.fingerprint,
            self.command_fingerprint.as_deref(),
            self.by.as_deref(),
        )
    }

    /// Returns the answer to a command with these fingerprints.
    pub(super) fn answer(self, fingerprints: &Fingerprints) -> Result<UncommittedReply, ErrorFrame> {
        if !self.is_of(fingerprints) {
            return Err(refusal::id_reused());
        }
        match self.reply.map(stored_reply::unfold).map(canonical) {
            Some(Ok(reply)) => Ok(UncommittedReply {
                reply,
                epoch: self.epoch,
                replayed: true,
            }),
            Some(Err(error)) => {
                let reason = format!("the stored reply cannot be written as Extended JSON: {error}");
                Err(refusal::internal(Outcome::Executed, reason))
            }
            None => Err(refusal::reply_not_kept(self.epoch)),
        }
    }

    /// Returns the target of a command with these fingerprints, if the command was begun and its
    /// end is not known.
    pub(super) fn begun(&self, fingerprints: &Fingerprints) -> Option<Document> {
        self.begun.clone().filter(|_| self.is_of(fingerprints))
    }

    /// Returns `true` if the command is of another subject than the one that asks.
    pub(super) fn is_of_another(&self, asking: Option<&SubjectHash>) -> bool {
        is_of_another(self.by.as_deref(), asking)
    }

    /// Returns the outcome result of a command that has a record.
    pub(super) fn outcome_result(self, id: CommandId) -> OutcomeResult {
        OutcomeResult {
            id,
            outcome: if self.begun.is_some() {
                Outcome::Unknown
            } else {
                Outcome::Executed
            },
            epoch: Some(self.epoch).filter(|_| self.begun.is_none()),
            result: self
                .reply
                .and_then(|reply| canonical(stored_reply::unfold(reply)).ok()),
        }
    }
}

/// The field of a record that holds the fingerprint of the command without its time limit and
/// comment.
const COMMAND_FINGERPRINT: &str = "command_fingerprint";
/// The field of a record that holds the hash of the subject that has sent the command.
const BY: &str = "by";

/// Returns the command that finds the records of these ids.
pub(super) fn find(ids: impl Iterator<Item = CommandId>) -> Document {
    let ids: Vec<Bson> = ids.map(|id| Bson::Binary(key(id))).collect();
    let wanted = doc! { "$match": { RECORDED_IDS: { "$in": ids } } };
    doc! {
        "aggregate": LEDGER,
        "pipeline": [
            wanted.clone(),
            { "$unwind": "$commands" },
            wanted,
            { "$replaceWith": { "$mergeObjects": ["$commands", { "epoch": "$epoch" }] } },
        ],
        "cursor": {},
    }
}

/// Returns the records among the documents that [`find`] found. Any other document was put there by
/// hand. The command's own record will then collide with it, which is an error and not a second
/// execution.
pub(super) fn read(documents: Vec<Bson>) -> HashMap<Vec<u8>, StoredRecord> {
    let records = documents.into_iter().filter_map(|document| match document {
        Bson::Document(document) => record(document),
        _ => None,
    });
    records.collect()
}

fn record(mut document: Document) -> Option<(Vec<u8>, StoredRecord)> {
    let Some(Bson::Binary(id)) = document.remove("id") else {
        return None;
    };
    let reply = match document.remove("reply") {
        Some(Bson::Document(reply)) => Some(reply),
        _ => None,
    };
    let begun = match document.remove("begun") {
        Some(Bson::Document(begun)) => Some(begun),
        _ => None,
    };
    let known = StoredRecord {
        fingerprint: document.get_binary_generic("fingerprint").ok()?.clone(),
        command_fingerprint: document.get_binary_generic(COMMAND_FINGERPRINT).ok().cloned(),
        epoch: u64::try_from(document.get_i64("epoch").ok()?).ok()?,
        by: document.get_binary_generic(BY).ok().cloned(),
        reply,
        begun,
    };
    Some((id.bytes, known))
}

/// Returns the record of a command that has just run.
pub(super) fn new(id: CommandId, fingerprints: &Fingerprints, reply: &RawDocumentBuf) -> Record {
    let mut document = opening(id, fingerprints);
    if reply.as_bytes().len() <= MAX_STORED_REPLY {
        document.append(cstr!("reply"), reply);
    }
    Record { id, document }
}

/// Returns the record of a command that is begun and cannot be in a transaction; `about` is its
/// target. Its batch has no other command.
pub(super) fn begun(id: CommandId, fingerprints: &Fingerprints, about: &RawDocumentBuf) -> Record {
    let mut document = opening(id, fingerprints);
    document.append(cstr!("begun"), about);
    Record { id, document }
}

fn opening(id: CommandId, fingerprints: &Fingerprints) -> RawDocumentBuf {
    let binary = |hash: &[u8]| Binary {
        subtype: BinarySubtype::Generic,
        bytes: hash.to_vec(),
    };
    let (of_document, of_command) = (fingerprints.of_document(), fingerprints.of_command());
    let mut document = rawdoc! { "id": key(id), "fingerprint": binary(of_document) };
    if of_command != of_document {
        document.append(cstr!("command_fingerprint"), binary(of_command));
    }
    if let Some(by) = fingerprints.by() {
        document.append(cstr!("by"), binary(by.as_bytes()));
    }
    document
}

/// Returns the command that stores the reply to a command that was begun.
pub(super) fn complete(id: CommandId, reply: Document, epoch: u64) -> Document {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    doc! {
        "update": LEDGER,
        "updates": [{
            "q": is_begun(id),
            "u": {
                "$set": { "commands.0.reply": reply, "epoch": epoch, "at": DateTime::now() },
                "$unset": { "commands.0.begun": 1 },
            },
        }],
    }
}

/// Returns the command that removes the record of a command that was begun and has had no effect.
pub(super) fn forget(id: CommandId) -> Document {
    doc! { "delete": LEDGER, "deletes": [{ "q": is_begun(id), "limit": 1 }] }
}

fn is_begun(id: CommandId) -> Document {
    doc! { "_id": key(id), "commands.0.begun": { "$exists": true } }
}

/// The record of one command, as it is written.
pub(super) struct Record {
    id: CommandId,
    document: RawDocumentBuf,
}

/// Returns the command that writes the fence and these records.
pub(super) fn ledger_command(epoch: u64, records: &[Record]) -> RawDocumentBuf {
    let mut statements = RawArrayBuf::new();
    statements.push(Fence::hold(epoch));
    if let Some(first) = records.first() {
        let mut commands = RawArrayBuf::new();
        for record in records {
            commands.push(record.document.clone());
        }
        statements.push(rawdoc! {
            "q": { "_id": key(first.id) },
            "u": { "$setOnInsert": {
                "epoch": i64::try_from(epoch).unwrap_or(i64::MAX),
                "at": DateTime::now(),
                "commands": commands,
            } },
            "upsert": true,
        });
    }
    rawdoc! { "update": LEDGER, "updates": statements }
}

/// The result of a [`ledger_command`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LedgerWrite {
    Done,
    /// A later epoch has been granted.
    Fenced,
    /// One of the commands was recorded before.
    Repeated,
}

pub(super) fn ledger_result(reply: &Document, with_records: bool) -> Result<LedgerWrite, Failure> {
    match check_reply(reply) {
        Err(Failure::Refused(error)) if error.code == DUPLICATE_KEY => return Ok(LedgerWrite::Repeated),
        checked => checked?,
    }
    // The document with the records matches or is inserted, so the rest is the fence.
    let held = reply.get_i32("n").is_ok_and(|n| n == 1 + i32::from(with_records));
    let inserted = reply
        .get_array("upserted")
        .is_ok_and(|upserted| !upserted.is_empty());
    Ok(if !held {
        LedgerWrite::Fenced
    } else if inserted == with_records {
        LedgerWrite::Done
    } else {
        LedgerWrite::Repeated
    })
}

fn key(id: CommandId) -> Binary {
    Binary {
        subtype: BinarySubtype::Uuid,
        bytes: id.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use bellwether_protocol::ErrorCode;

    use super::*;
    use crate::command::{AllowedCommands, ParsedCommand};

    #[test]
    fn the_reply_to_a_ledger_write_is_read_rightly() {
        let upserted =
            |n: i32| doc! { "n": n, "upserted": [{ "index": 1, "_id": 1 }], "nModified": 1, "ok": 1.0 };
        let plain = |n: i32| doc! { "n": n, "nModified": 1, "ok": 1.0 };
        let read = |reply, with_records| ledger_result(&reply, with_records).unwrap();
        assert_eq!(read(plain(1), false), LedgerWrite::Done);
        assert_eq!(read(plain(0), false), LedgerWrite::Fenced);
        assert_eq!(read(upserted(2), true), LedgerWrite::Done);
        assert_eq!(read(upserted(1), true), LedgerWrite::Fenced);
        assert_eq!(read(plain(2), true), LedgerWrite::Repeated);
        let error = |code: i32| doc! { "n": 1, "writeErrors": [{ "index": 1, "code": code, "errmsg": "x" }], "ok": 1.0 };
        assert_eq!(read(error(DUPLICATE_KEY), true), LedgerWrite::Repeated);
        assert!(ledger_result(&error(121), true).is_err());
    }

    /// Reads a record as [`find`] would return it from the ledger.
    fn stored(record: &Record) -> StoredRecord {
        let mut document = Document::try_from(record.document.clone()).unwrap();
        document.insert("epoch", 7_i64);
        let mut read = read(vec![document.into()]);
        read.remove(&record.id.as_bytes()[..]).unwrap()
    }

    #[test]
    fn a_record_belongs_to_its_subject() {
        let body = RawJson::object(r#"{"insert":"c","documents":[{"a":1}]}"#).unwrap();
        let parsed = ParsedCommand::parse(&body, &AllowedCommands::default()).unwrap();
        let (alice, bob) = (SubjectHash::of("i", "alice"), SubjectHash::of("i", "bob"));
        let id = CommandId::mint(core::time::Duration::from_secs(1_795_000_000), [7; 10]);
        let reply = rawdoc! { "n": 1, "ok": 1.0 };
        let of = |subject: Option<SubjectHash>| parsed.clone().of_subject(subject);
        let record = |subject| stored(&new(id, of(subject).fingerprints(), &reply));
        let answer = |by, asking| {
            record(by)
                .answer(of(asking).fingerprints())
                .map(|answer| answer.replayed)
        };
        assert_eq!(answer(Some(alice), Some(alice)), Ok(true));
        let refused = answer(Some(alice), Some(bob)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::IdReused);
        assert_eq!(answer(None, Some(bob)), Ok(true));
        assert!(record(Some(alice)).is_of_another(Some(&bob)));
        assert!(!record(Some(alice)).is_of_another(Some(&alice)));
        let about = rawdoc! { "create": "c" };
        let begun = stored(&begun(id, of(Some(alice)).fingerprints(), &about));
        assert!(begun.begun(of(Some(alice)).fingerprints()).is_some());
        assert!(begun.begun(of(Some(bob)).fingerprints()).is_none());
    }
}
