//! The replies of a batch's commands, as they come in operation by operation.

use std::sync::Arc;

use bellwether_protocol::{MAX_RESULT_BYTES, RawJson};
use bson::{Document, RawDocumentBuf, doc};

use super::failure::Failure;
use super::job::Task;
use super::merge::Slot;
use super::{inserted_ids, stored_reply};
use crate::command::Operation;
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

/// A reply in two forms: as text and in BSON.
pub(super) struct Written {
    /// Canonical Extended JSON.
    pub(super) text: RawJson,
    pub(super) encoded: RawDocumentBuf,
}

pub(super) struct Replies<'t> {
    tasks: &'t [Arc<Task>],
    whole: Vec<Reply>,
    /// Replies to the operations of the command that is not complete yet.
    operations: Vec<Document>,
    list: ListSize,
    bytes: usize,
}

impl<'t> Replies<'t> {
    pub(super) fn new(tasks: &'t [Arc<Task>]) -> Self {
        Self {
            tasks,
            whole: Vec::new(),
            operations: Vec::new(),
            list: ListSize::default(),
            bytes: 0,
        }
    }

    /// Adds the reply to the next operation.
    pub(super) fn push(&mut self, slot: Slot<'_>, mut reply: Document) -> Result<(), Failure> {
        inserted_ids::add(slot.operation, &mut reply);
        let Some(command) = self.tasks[slot.task].command() else {
            return Ok(());
        };
        if slot.index == 0 {
            self.list = ListSize::default();
        }
        if command.is_list() {
            self.list.add(&reply)?;
        }
        self.operations.push(reply);
        if slot.index + 1 < command.operations().len() {
            return Ok(());
        }
        let document = whole(command.is_list(), std::mem::take(&mut self.operations));
        let is_folded = |operation: &Operation| operation.minted_ids().is_some() || operation.is_unordered();
        let (text, stored) = if command.operations().iter().any(is_folded) {
            let stored = stored_reply::fold(document);
            // The first reply is made from the stored form, as a replay is.
            let encoded = encode(&stored)?;
            (write(encode(&stored_reply::unfold(stored))?)?.text, encoded)
        } else {
            let written = write(encode(&document)?)?;
            (written.text, written.encoded)
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
        self.operations.is_empty() && !self.whole.is_empty()
    }

    /// Returns the stored size of the complete replies, in bytes of BSON.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn finish(self) -> Vec<Reply> {
        self.whole
    }
}

/// The size of the replies to the operations of one list, as far as there are any.
///
/// Each reply alone may have the size of the largest reply. Together they may not: a hundred of
/// them would take gigabytes before the reply to the list is encoded.
#[derive(Debug, Default)]
pub(super) struct ListSize(usize);

impl ListSize {
    /// Counts one more reply.
    ///
    /// # Errors
    /// [`Failure::TooLarge`] if the replies together are larger than one reply may be.
    pub(super) fn add(&mut self, reply: &Document) -> Result<(), Failure> {
        self.0 += encode(reply)?.as_bytes().len();
        if self.0 > MAX_RESULT_BYTES {
            return Err(Failure::TooLarge);
        }
        Ok(())
    }
}

/// Returns the reply to a whole command, made from the replies to its operations.
pub(super) fn whole(is_list: bool, mut operations: Vec<Document>) -> Document {
    if is_list {
        doc! { "results": operations, "ok": 1.0 }
    } else {
        operations.pop().unwrap_or_default()
    }
}

/// Encodes a reply, unless it is larger than the limit for replies.
pub(super) fn encode(reply: &Document) -> Result<RawDocumentBuf, Failure> {
    let encoded = RawDocumentBuf::try_from(reply).map_err(|error| Failure::Broken(error.to_string()))?;
    if encoded.as_bytes().len() > MAX_RESULT_BYTES {
        return Err(Failure::TooLarge);
    }
    Ok(encoded)
}

/// Writes the text of a reply that the server sends, unless it is longer than the limit.
pub(super) fn write(encoded: RawDocumentBuf) -> Result<Written, Failure> {
    match write_canonical(&encoded, MAX_TEXT_BYTES) {
        Ok(text) => Ok(Written { text, encoded }),
        Err(WriteError::TooLarge(_)) => Err(Failure::TooLarge),
        Err(malformed) => Err(Failure::Broken(malformed.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_to_a_list_are_limited_together_while_they_come() {
        let reply = doc! { "text": "x".repeat(MAX_RESULT_BYTES / 3) };
        let mut size = ListSize::default();
        assert!(size.add(&reply).is_ok());
        assert!(size.add(&reply).is_ok());
        assert!(matches!(size.add(&reply), Err(Failure::TooLarge)));
    }
}
