//! The replies of a batch's commands, as they come in operation by operation.

use std::mem;
use std::sync::Arc;

use bellwether_protocol::{MAX_RESULT_BYTES, RawJson};
use bson::{Document, RawArrayBuf, RawDocumentBuf, rawdoc};

use super::failure::Failure;
use super::job::Task;
use super::merge::Slot;
use super::{inserted_ids, stored_reply};
use crate::command::write_extjson::{WriteError, write_canonical};

/// Longest reply as text, in bytes. Extended JSON can take six times the bytes of BSON, for text of
/// control characters.
const MAX_TEXT_BYTES: usize = 4 * MAX_RESULT_BYTES;

/// A command's reply.
pub(super) struct Reply {
    /// Place of the command in the batch.
    pub(super) task: usize,
    /// Canonical Extended JSON.
    pub(super) text: RawJson,
    /// The form of the reply that is stored.
    pub(super) stored: RawDocumentBuf,
}

pub(super) struct Replies<'t> {
    tasks: &'t [Arc<Task>],
    whole: Vec<Reply>,
    /// The stored form of the replies to the operations of the command that is not complete yet.
    stored: EncodedReplies,
    /// The form that is sent, if it differs.
    sent: EncodedReplies,
    bytes: usize,
}

impl<'t> Replies<'t> {
    pub(super) fn new(tasks: &'t [Arc<Task>]) -> Self {
        Self {
            tasks,
            whole: Vec::new(),
            stored: EncodedReplies::default(),
            sent: EncodedReplies::default(),
            bytes: 0,
        }
    }

    /// Adds the reply to the next operation.
    pub(super) fn push(&mut self, slot: Slot<'_>, mut reply: Document) -> Result<(), Failure> {
        inserted_ids::add(slot.operation, &mut reply);
        let Some(command) = self.tasks[slot.task].command() else {
            return Ok(());
        };
        let operations = command.operations();
        let is_folded = operations
            .iter()
            .any(|operation| operation.minted_ids().is_some() || operation.is_unordered());
        if is_folded {
            reply = stored_reply::fold(reply);
        }
        self.stored.push(&reply)?;
        if is_folded {
            // The first reply is made from the stored form, as a replay is.
            self.sent.push(&stored_reply::unfold(reply))?;
        }
        if slot.index + 1 < operations.len() {
            return Ok(());
        }
        let stored = mem::take(&mut self.stored).finish(command.is_list())?;
        let text = if is_folded {
            write(&mem::take(&mut self.sent).finish(command.is_list())?)?
        } else {
            write(&stored)?
        };
        self.bytes += stored.as_bytes().len();
        self.whole.push(Reply {
            task: slot.task,
            text,
            stored,
        });
        Ok(())
    }

    /// Returns `true` if at least one command was begun, and every command that was begun is
    /// complete.
    pub(super) fn is_between_commands(&self) -> bool {
        self.stored.operations.is_empty() && !self.whole.is_empty()
    }

    /// Returns the stored size of the complete replies, in bytes of BSON.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn finish(self) -> Vec<Reply> {
        self.whole
    }
}

/// The replies to the operations of one command, each encoded once.
///
/// Each reply alone may have the size of the largest reply. Together they may not: the replies to a
/// hundred operations would take gigabytes.
#[derive(Debug, Default)]
pub(super) struct EncodedReplies {
    operations: Vec<RawDocumentBuf>,
    bytes: usize,
}

impl EncodedReplies {
    /// Adds the reply to the next operation.
    ///
    /// # Errors
    /// [`Failure::TooLarge`] if the replies together are larger than one reply may be.
    pub(super) fn push(&mut self, reply: &Document) -> Result<(), Failure> {
        let encoded = encode(reply)?;
        self.bytes += encoded.as_bytes().len();
        if self.bytes > MAX_RESULT_BYTES {
            return Err(Failure::TooLarge);
        }
        self.operations.push(encoded);
        Ok(())
    }

    /// Returns the reply to the whole command.
    ///
    /// # Errors
    /// [`Failure::TooLarge`] if it is larger than a reply may be.
    pub(super) fn finish(mut self, is_list: bool) -> Result<RawDocumentBuf, Failure> {
        if !is_list {
            return Ok(self.operations.pop().unwrap_or_default());
        }
        let results: RawArrayBuf = self.operations.into_iter().collect();
        limited(rawdoc! { "results": results, "ok": 1.0 })
    }
}

/// Encodes a reply, unless it is larger than the limit for replies.
pub(super) fn encode(reply: &Document) -> Result<RawDocumentBuf, Failure> {
    limited(RawDocumentBuf::try_from(reply).map_err(|error| Failure::Broken(error.to_string()))?)
}

fn limited(encoded: RawDocumentBuf) -> Result<RawDocumentBuf, Failure> {
    if encoded.as_bytes().len() > MAX_RESULT_BYTES {
        return Err(Failure::TooLarge);
    }
    Ok(encoded)
}

/// Writes the text of a reply that the server sends, unless it is longer than the limit.
pub(super) fn write(encoded: &RawDocumentBuf) -> Result<RawJson, Failure> {
    write_canonical(encoded, MAX_TEXT_BYTES).map_err(|error| match error {
        WriteError::TooLarge(_) => Failure::TooLarge,
        malformed => Failure::Broken(malformed.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn replies_to_a_list_are_limited_together_while_they_come() {
        let reply = doc! { "text": "x".repeat(MAX_RESULT_BYTES / 3) };
        let mut replies = EncodedReplies::default();
        assert!(replies.push(&reply).is_ok());
        assert!(replies.push(&reply).is_ok());
        assert!(matches!(replies.push(&reply), Err(Failure::TooLarge)));
    }

    #[test]
    fn the_reply_to_a_list_has_the_replies_to_its_operations() {
        let reply = |n: i32| doc! { "n": n, "ok": 1.0 };
        let replies = |count: i32| {
            let mut replies = EncodedReplies::default();
            (0..count).for_each(|n| replies.push(&reply(n)).unwrap());
            replies
        };
        let decoded = |encoded: RawDocumentBuf| Document::try_from(&*encoded).unwrap();
        let list = decoded(replies(12).finish(true).unwrap());
        let expected: Vec<Document> = (0..12).map(reply).collect();
        assert_eq!(list, doc! { "results": expected, "ok": 1.0 });
        assert_eq!(decoded(replies(1).finish(false).unwrap()), reply(0));
    }
}
