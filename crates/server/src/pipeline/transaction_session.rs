//! A session, and the transactions in it. A term works in one session, and every read in one of its
//! own.

use core::time::Duration;
use std::sync::Arc;

use bson::{Document, RawDocumentBuf, Timestamp};
use mongodb::error::{Error, Result};
use mongodb::options::{Acknowledgment, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{ClientSession, Database};

use super::batch_state::BatchState;
use super::failure::{CommitFailure, Failure};
use crate::database::Fence;

/// A session with its open transaction. None of its futures may be dropped before it ends: the
/// driver's are not cancellation-safe.
pub(super) struct TransactionSession {
    session: ClientSession,
    transaction: Transaction,
    /// The batch that works here, which records each message.
    batch: Option<Arc<BatchState>>,
}

/// The transaction in a session, as far as it may hold something in MongoDB.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A commit was sent, and it is not known whether it arrived.
    InDoubt,
}

impl TransactionSession {
    pub(super) fn new(session: ClientSession) -> Self {
        Self {
            session,
            transaction: Transaction::None,
            batch: None,
        }
    }

    /// Reports each message to MongoDB to this batch from now on.
    pub(super) fn work_for(&mut self, batch: &Arc<BatchState>) {
        self.batch = Some(Arc::clone(batch));
    }

    /// Begins a transaction whose commit may take as long as `time`.
    pub(super) async fn begin(&mut self, time: Duration) -> Result<()> {
        // A transaction in doubt ends when the next one begins.
        if self.transaction == Transaction::Open {
            self.abort().await;
        }
        // Without a time limit MongoDB waits for a majority without end.
        let majority = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .w_timeout(time)
            .build();
        self.session
            .start_transaction()
            .read_concern(ReadConcern::snapshot())
            .write_concern(majority)
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .max_commit_time(time)
            .await?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    pub(super) fn session_id(&self) -> &Document {
        self.session.id()
    }

    /// Returns MongoDB's time of the last operation in this session.
    pub(super) fn operation_time(&self) -> Option<Timestamp> {
        self.session.operation_time()
    }

    /// Runs a command, within the transaction if one was begun. The reply has U+FFFD where it is
    /// not valid UTF-8.
    pub(super) async fn run(
        &mut self,
        database: &Database,
        command: RawDocumentBuf,
    ) -> core::result::Result<Document, Failure> {
        if let Some(batch) = &self.batch {
            batch.sends();
        }
        let reply = database.run_raw_command(command).session(&mut self.session).await;
        reply.or_else(Failure::or_reply)
    }

    /// Does the same as [`run`](Self::run).
    pub(super) async fn run_document(
        &mut self,
        database: &Database,
        command: &Document,
    ) -> core::result::Result<Document, Failure> {
        let command = RawDocumentBuf::try_from(command).map_err(|error| Failure::from(Error::from(error)))?;
        self.run(database, command).await
    }

    /// Commits, or commits again if the last try ended without an answer.
    pub(super) async fn commit(&mut self) -> core::result::Result<(), CommitFailure> {
        self.transaction = Transaction::InDoubt;
        self.session
            .commit_transaction()
            .await
            .map_err(CommitFailure::from)?;
        self.transaction = Transaction::None;
        Ok(())
    }

    /// Ends a transaction that was not committed, if there is one.
    pub(super) async fn abort(&mut self) {
        match self.transaction {
            Transaction::None => {}
            Transaction::Open => {
                self.transaction = Transaction::None;
                // It is no error if MongoDB has aborted the transaction already.
                let _ = self.session.abort_transaction().await;
            }
            // The driver aborts no transaction that it has tried to commit. If the commit did not
            // arrive, the transaction would hold the fence for up to a minute.
            Transaction::InDoubt => {
                let session = self.session.id().clone();
                if Fence::kill_sessions(&self.session.client(), vec![session]).await {
                    self.transaction = Transaction::None;
                }
            }
        }
    }
}
