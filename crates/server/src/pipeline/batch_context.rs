//! The parts that a batch and each of its transactions work with.

use std::sync::Arc;

use tokio::sync::watch;

use super::Settings;
use super::adaptive_switch::AdaptiveSwitch;
use super::batch_state::BatchState;
use super::job::Task;
use super::suspects::Suspects;
use super::transaction_session::TransactionSession;
use crate::database::Database;

/// The context of a batch, borrowed from the executor for the time of one batch.
pub(super) struct BatchContext<'a> {
    pub(super) database: &'a Database,
    pub(super) suspects: &'a Arc<Suspects>,
    pub(super) settings: &'a Settings,
    pub(super) epoch: u64,
    pub(super) session: &'a mut TransactionSession,
    /// `true` when the executor must stop.
    pub(super) stopped: &'a watch::Receiver<bool>,
    pub(super) state: &'a BatchState,
    /// The adaptive switch for merging the statements of several commands into one MongoDB command.
    pub(super) merging: &'a mut AdaptiveSwitch,
    /// The commands of the transaction, then the reads at the moment of its commit.
    pub(super) tasks: &'a [Arc<Task>],
}
