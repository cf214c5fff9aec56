//! What to do about transactions of nobody that are in the way of a batch.
//!
//! A command that a coordinator sent before it was cut off from MongoDB may arrive when the cut
//! heals, long after a successor has ended that coordinator's session. It then begins a transaction
//! there. The fence keeps it from committing, but nobody ends it, and what it has written to stays
//! locked for up to a minute, and with it every batch that writes to the same. So a batch that
//! meets conflict after conflict has the sessions of earlier epochs ended again.

use core::time::Duration;

use tokio::time::Instant;

use super::transaction_session::TransactionSession;
use crate::database::{Database, Fence};

/// Fewer are met in passing: with those who write to the same data by other ways.
const MANY: u32 = 3;
/// A session is not ended more often.
const PAUSE: Duration = Duration::from_millis(200);

/// The conflicts of one batch.
#[derive(Debug, Default)]
pub(super) struct WriteConflicts {
    count: u32,
    ended_at: Option<Instant>,
}

impl WriteConflicts {
    pub(super) fn are_many(&self) -> bool {
        self.count >= MANY
    }

    /// Must not be dropped before it ends: the driver's futures are not cancellation-safe.
    pub(super) async fn met_another(&mut self, database: &Database, session: &TransactionSession) {
        self.count += 1;
        if !self.are_many() || self.ended_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        if let Err(error) = Fence::end_earlier_sessions(database, session.session_id()).await {
            tracing::debug!(%error, "the sessions of earlier epochs could not be ended");
        }
        self.ended_at = Some(Instant::now());
    }
}
