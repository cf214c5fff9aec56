//! The end of orphaned transactions that block a batch.
//!
//! A coordinator may be cut off from MongoDB after it has sent a command. The command may arrive
//! when the cut heals, long after a successor has ended that coordinator's session. It then begins
//! a transaction there. The fence keeps the transaction from committing, but no server ends it. The
//! documents that it has written to stay locked for up to a minute, and every batch that writes to
//! them must wait. So a batch that meets conflict after conflict ends the sessions of earlier
//! epochs again.

use core::time::Duration;

use tokio::time::Instant;

use super::transaction_session::TransactionSession;
use crate::database::{Database, Fence};

/// Number of conflicts after which a batch ends the sessions of earlier epochs. Fewer conflicts are
/// normal: other programs write to the same data.
const MANY: u32 = 3;
/// Shortest time between two ends of the sessions.
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

    /// Counts a conflict, and ends the sessions of earlier epochs if there are many. Must not be
    /// dropped before it ends: the driver's futures are not cancellation-safe.
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
