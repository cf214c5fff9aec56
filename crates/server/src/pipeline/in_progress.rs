//! A batch in progress, and its end if MongoDB does not end it.

use std::sync::Arc;

use bellwether_protocol::ErrorFrame;
use futures_util::future::BoxFuture;
use mongodb::Client;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Duration, Instant, sleep, timeout};

use super::batch_state::BatchState;
use super::job::{Reply, Task};
use super::shared::Shared;
use super::transaction_session::TransactionSession;
use super::{SourceId, refusal};
use crate::database::Fence;

/// Time in which abandoned work may still end by itself. Then its connection is closed.
const GRACE: Duration = Duration::from_secs(5);
/// Time between two questions to MongoDB about the work in abandoned sessions. It is longer than
/// the time for which such a question may take a connection.
const ASK_AGAIN: Duration = Duration::from_secs(15);
/// Permit to ask one such question. The sessions take turns, so that a claim, which ends sessions
/// as well, never has to wait for more than one of these questions.
static ASKING: Semaphore = Semaphore::const_new(1);

/// A session that outlives the work in it.
pub(super) type SharedSession = Arc<Mutex<TransactionSession>>;

/// The commands of a batch in progress, as the executor sees them. The lists have one entry for
/// each command. They are empty for work that no command asked for.
pub(super) struct InProgress<'a> {
    pub(super) began: Instant,
    pub(super) state: &'a BatchState,
    pub(super) session: &'a SharedSession,
    /// Number of commands in the transaction. They come first.
    pub(super) writes: usize,
    pub(super) sources: &'a [SourceId],
    pub(super) tasks: &'a [Arc<Task>],
    /// The channels of the commands that were not answered yet.
    pub(super) replies: &'a mut [Option<Reply>],
}

impl InProgress<'_> {
    /// Answers every command of a batch that MongoDB does not end, and keeps the batch from
    /// committing. If one command alone is at fault, it gets the error that MongoDB should have
    /// sent. `late` is `true` if MongoDB has had more time than its limit.
    pub(super) fn abandon(&mut self, shared: &Shared, epoch: u64, others: &ErrorFrame, late: bool) {
        self.state.abandon();
        let running = self.state.running();
        tracing::warn!(
            epoch,
            commands = self.tasks.len(),
            running = running.tasks.len(),
            "abandoning a batch that MongoDB does not end: the next epoch goes on without it"
        );
        // A server that leaves does not wait for a statement that has time left. It blames no
        // command for that.
        if late || running.is_over() {
            self.blame(shared, &running.tasks);
        }
        let at_fault = match running.tasks[..] {
            [task] if running.is_over() => Some(task),
            _ => None,
        };
        for (index, (task, reply)) in self.tasks.iter().zip(&mut *self.replies).enumerate() {
            if let Some(reply) = reply.take() {
                let mut answer = if at_fault == Some(index) {
                    refusal::not_interrupted()
                } else {
                    others.clone()
                };
                if index < self.writes {
                    answer.outcome = self.state.outcome();
                }
                reply.answer(task, Some(epoch), Err(answer), &shared.counts);
            }
        }
    }

    /// Records that MongoDB does not end the work on these commands: for the commands, and for
    /// their senders. If MongoDB has no primary, they are not at fault, and this records nothing.
    fn blame(&self, shared: &Shared, running: &[usize]) {
        let commands = running.iter().filter_map(|task| self.tasks[*task].command());
        if shared.blame(&commands.collect::<Vec<_>>()) {
            let sources: Vec<SourceId> = running.iter().map(|task| self.sources[*task]).collect();
            let (took, now) = (self.began.elapsed(), Instant::now());
            if shared.queue.abandoned(&sources, took, now) {
                tracing::warn!(
                    "refusing the writes of a connection or its address for a while: MongoDB did not end several of them"
                );
            }
        }
    }
}

/// Leaves work behind that MongoDB does not end, in a task of its own. The work cannot commit: its
/// state forbids that.
///
/// The work may end by itself for [`GRACE`]. Then it is dropped, so that it gives its connection
/// back to the pool. Otherwise a few dozen such commands would take all connections, and no server
/// could claim an epoch.
///
/// The driver's futures are in general not cancellation-safe: a transaction, or an answer that was
/// read halfway, would be in an unknown state. That does no harm here (mongodb 3.9.1):
///
/// - The connection is not used again. It is marked from the first byte of the message until the
///   reply is complete (`Connection::is_executing` in `cmap/conn.rs`). The pool closes a marked
///   connection that is dropped, and counts it no more (`check_in` and `close_connection` in
///   `cmap/worker.rs`). A request for a connection that is dropped in the pool's queue is passed
///   over.
/// - The session is not used again. But it must not be dropped while MongoDB works in it: the
///   driver would then send `abortTransaction`, without a time limit. MongoDB lets that wait for
///   the statement, and so it would take another connection. So the session stays here until
///   MongoDB confirms that nothing runs in it. These questions have a time limit.
pub(super) fn leave_behind<T: Send + 'static>(
    client: Client,
    work: BoxFuture<'static, T>,
    session: SharedSession,
) {
    tokio::spawn(async move {
        if timeout(GRACE, work).await.is_ok() {
            return;
        }
        let id = session.lock().await.session_id().clone();
        loop {
            let _turn = ASKING.acquire().await;
            if Fence::kill_sessions(&client, vec![id.clone()]).await {
                return;
            }
            sleep(ASK_AGAIN).await;
        }
    });
}
