//! A session, and the transactions in it: a tenure works in one, and every read in one of its own.

use core::time::Duration;

use bson::{Document, RawDocumentBuf, Timestamp};
use mongodb::error::{Error, Result};
use mongodb::options::{Acknowledgment, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{ClientSession, Database};

/// None of its futures may be dropped before it ends: the driver's are not cancellation-safe.
pub(super) struct Lane {
    session: ClientSession,
    open: bool,
}

impl Lane {
    pub(super) fn new(session: ClientSession) -> Self {
        Self { session, open: false }
    }

    /// Begins a transaction whose commit may take as long as `time`.
    pub(super) async fn begin(&mut self, time: Duration) -> Result<()> {
        self.abort().await;
        // MongoDB waits for a majority without end unless told otherwise.
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
        self.open = true;
        Ok(())
    }

    /// MongoDB's time of the last thing done here.
    pub(super) fn operation_time(&self) -> Option<Timestamp> {
        self.session.operation_time()
    }

    /// Runs a command, within the transaction if one was begun.
    pub(super) async fn run(&mut self, database: &Database, command: RawDocumentBuf) -> Result<Document> {
        database.run_raw_command(command).session(&mut self.session).await
    }

    /// As [`run`](Self::run).
    pub(super) async fn run_document(&mut self, database: &Database, command: &Document) -> Result<Document> {
        let command = RawDocumentBuf::try_from(command).map_err(Error::from)?;
        self.run(database, command).await
    }

    /// Commits, or commits again if the last try ended without an answer.
    pub(super) async fn commit(&mut self) -> Result<()> {
        self.open = false;
        self.session.commit_transaction().await
    }

    /// Ends a transaction that was not committed, if there is one.
    pub(super) async fn abort(&mut self) {
        if std::mem::take(&mut self.open) {
            // A transaction that MongoDB has aborted already is no error to anybody.
            let _ = self.session.abort_transaction().await;
        }
    }
}
