use std::sync::atomic::{AtomicI32, Ordering};

use bellwether_protocol::CommandId;
use serde::{Deserialize, Serialize};

/// Number of documents to read and update.
pub(crate) const DOCUMENTS: i32 = 10_000;

/// Text of an inserted document, in addition to its `_id`: 100 bytes.
pub(crate) const TEXT: &str =
    "one hundred bytes of text, as a small note or an event may have, and nothing that a server looks at..";

/// The operations of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Workload {
    /// Insert one document.
    Inserts,
    /// Increment a number in one of many documents, found by `_id`.
    Updates,
    /// Insert a document, find another by `_id`, and so on.
    Mixed,
    /// Find one of many documents by `_id`.
    Reads,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inserts => "inserts",
            Self::Updates => "updates (`$inc` of one document of 10 000, by `_id`)",
            Self::Mixed => "half inserts, half finds by `_id`",
            Self::Reads => "finds by `_id`",
        }
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Insert { id: i32 },
    Increment { id: i32 },
    Find { id: i32 },
}

/// The operations of one client, without end.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    workload: Workload,
    inserts_next: bool,
}

impl Operations {
    pub(crate) fn of(workload: Workload) -> Self {
        Self {
            workload,
            // Half of the clients begin with the one, half with the other.
            inserts_next: rand::random(),
        }
    }

    pub(crate) fn next(&mut self) -> Operation {
        static INSERTED: AtomicI32 = AtomicI32::new(0);
        let insert = || Operation::Insert {
            id: INSERTED.fetch_add(1, Ordering::Relaxed),
        };
        let id = rand::random_range(0..DOCUMENTS);
        match self.workload {
            Workload::Inserts => insert(),
            Workload::Updates => Operation::Increment { id },
            Workload::Reads => Operation::Find { id },
            Workload::Mixed => {
                self.inserts_next = !self.inserts_next;
                if self.inserts_next {
                    insert()
                } else {
                    Operation::Find { id }
                }
            }
        }
    }
}

impl Operation {
    /// Returns the frame that asks a server for it. The frame is text with two gaps: to make JSON
    /// of a value would be the client's cost.
    pub(crate) fn frame(self, id: CommandId) -> String {
        let command = self.command();
        format!(r#"{{"type":"command","id":"{id}","command":{command}}}"#)
    }

    /// Returns the command.
    pub(crate) fn command(self) -> String {
        match self {
            Self::Insert { id } => {
                format!(r#"{{"insert":"bench_inserts","documents":[{{"_id":{id},"text":"{TEXT}"}}]}}"#)
            }
            Self::Increment { id } => format!(
                r#"{{"update":"bench_documents","updates":[{{"q":{{"_id":{id}}},"u":{{"$inc":{{"n":1}}}}}}]}}"#
            ),
            Self::Find { id } => {
                format!(r#"{{"find":"bench_documents","filter":{{"_id":{id}}},"limit":1}}"#)
            }
        }
    }

    /// Returns `true` if the answer shows that the operation was executed correctly.
    pub(crate) fn is_answered_by(self, frame: &str) -> bool {
        frame.contains(r#""type":"result""#)
            && match self {
                Self::Insert { .. } | Self::Increment { .. } => true,
                Self::Find { .. } => frame.contains(r#""firstBatch":[{"#),
            }
    }
}
