//! The pipeline: the only place that touches users' data.
//!
//! Commands wait in one bounded queue and are executed one turn after another, in the order of their arrival,
//! by the server that holds the newest epoch. A turn is one MongoDB transaction, majority-committed:
//!
//! 1. the fence is written, matched on our epoch: if a later one was granted, nothing of this commits;
//! 2. the command's id is looked up: if it was executed before, its stored reply is the answer;
//! 3. the command runs;
//! 4. its id, fingerprint and reply are stored;
//! 5. the transaction commits, and only then is anybody answered.
//!
//! So a command has its effect once, however often and to however many servers it was sent, and an answer
//! is never taken back.

mod backoff;
mod execute;
mod failure;
mod job;
mod lane;
mod pace;
mod queue;
mod record;
mod refusal;
mod tenure;
mod turn;

use core::time::Duration;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_protocol::{CommandCounts, CommandFate, CommandId, CommandResult, ErrorFrame};
use thiserror::Error;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::command::ParsedCommand;
use crate::database::{Database, Fence};
use job::{Counts, Job};
pub use queue::SourceId;
use queue::{NotTaken, Queue};
use tenure::Worker;

/// For how long after it was made an id is accepted. Replies are kept longer than that, so an id is never
/// executed again because it was forgotten.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How far ahead of the server's clock an id may have been made.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60 * 60);

/// What a command gets: its reply, or why there is none and what became of it.
pub type Answer = Result<CommandResult, ErrorFrame>;

/// What can be chosen about a pipeline.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How many commands may wait.
    pub queue: usize,
    /// How many bytes of BSON the waiting commands may have together.
    pub queue_bytes: usize,
    /// How many commands one turn takes.
    pub turn: usize,
    /// How many bytes of BSON the commands of one turn may have together; a larger command has a turn of its
    /// own.
    pub turn_bytes: usize,
    /// How long a command may wait for MongoDB to have a primary before it is answered
    /// `database_unavailable`.
    pub primary_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue: 1024,
            queue_bytes: 64 * 1024 * 1024,
            turn: 1,
            turn_bytes: 4 * 1024 * 1024,
            primary_wait: Duration::from_secs(1),
        }
    }
}

/// A handle to the pipeline. Clones are the same pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    shared: Arc<Shared>,
    running: Arc<Mutex<Option<Running>>>,
}

/// What the handles and the task that executes share.
#[derive(Debug)]
struct Shared {
    database: Database,
    fence: Fence,
    settings: Settings,
    queue: Queue,
    counts: Counts,
    fenced: watch::Sender<Option<u64>>,
}

/// A tenure that was begun and not yet seen to its end.
#[derive(Debug)]
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The pipeline cannot begin to lead.
#[derive(Debug, Error)]
#[error("epoch {epoch} was not claimed from this pipeline's fence, or is led already")]
pub struct NotClaimed {
    /// The epoch asked for.
    pub epoch: u64,
}

impl Pipeline {
    /// A pipeline that refuses commands until it [leads](Self::lead).
    ///
    /// In the background it lets MongoDB create what it needs, so that taking over later costs nothing.
    pub fn start(database: Database, fence: Fence, settings: Settings) -> Self {
        tokio::spawn(prepare_when_possible(database.clone()));
        let shared = Shared {
            queue: Queue::new(settings.queue, settings.queue_bytes),
            counts: Counts::default(),
            fenced: watch::Sender::new(None),
            database,
            fence,
            settings,
        };
        Self {
            shared: Arc::new(shared),
            running: Arc::default(),
        }
    }

    /// Begins to execute commands under an epoch that was claimed from the fence.
    ///
    /// # Errors
    /// [`NotClaimed`] if the fence here did not grant the epoch, or it was taken before.
    pub async fn lead(&self, epoch: u64) -> Result<(), NotClaimed> {
        let mut running = self.running.lock().await;
        self.end(&mut running).await;
        let tenure = self.shared.fence.take(epoch).ok_or(NotClaimed { epoch })?;
        let (stop, stopped) = watch::channel(false);
        let worker = Worker::new(Arc::clone(&self.shared), tenure, stopped);
        self.shared.queue.open();
        let task = tokio::spawn(worker.run());
        *running = Some(Running { stop, task });
        Ok(())
    }

    /// Stops executing: takes no more commands, answers those that wait with `draining`, and returns when
    /// the turn in hand has ended and no transaction of this pipeline is under way.
    pub async fn retire(&self) {
        let mut running = self.running.lock().await;
        self.end(&mut running).await;
    }

    /// Stays valid if it is dropped: the next call waits for the same tenure.
    async fn end(&self, running: &mut Option<Running>) {
        for job in self.shared.queue.close() {
            job.answer(Err(refusal::draining()), &self.shared.counts);
        }
        if let Some(Running { stop, task }) = running {
            stop.send_replace(true);
            if let Err(error) = task.await {
                tracing::error!(%error, "the pipeline's task failed");
            }
        }
        *running = None;
    }

    /// Puts a command into the queue, behind the others of its source.
    ///
    /// Sources take turns, so one that sends much delays another little. An id sent again while it waits
    /// waits too, and is then answered from the record.
    ///
    /// The answer comes through the receiver, by the deadline at the latest. If the receiver fails instead,
    /// the server is breaking down and the outcome is unknown. A command whose receiver is dropped before
    /// its turn is not executed.
    ///
    /// # Errors
    /// An error frame with the outcome `not_executed` if the pipeline does not lead, the queue is full, or
    /// the id is too old or too new.
    pub fn submit(
        &self,
        source: SourceId,
        id: CommandId,
        command: ParsedCommand,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Answer>, ErrorFrame> {
        let (job, receiver) = Job::new(source, id, command, deadline);
        let queued = check_age(id, SystemTime::now()).and_then(|()| {
            self.shared.queue.push(job).map_err(|reason| match reason {
                NotTaken::Closed => refusal::not_leading(),
                NotTaken::Full { retry_after } => refusal::overloaded(retry_after),
            })
        });
        match queued {
            Ok(()) => Ok(receiver),
            Err(refusal) => {
                self.shared.counts.refused();
                Err(refusal.for_command(id))
            }
        }
    }

    /// Asks what became of a command.
    ///
    /// # Errors
    /// An error frame if the pipeline does not lead or the queue is full.
    pub fn outcome(
        &self,
        _source: SourceId,
        id: CommandId,
        _deadline: Instant,
    ) -> Result<oneshot::Receiver<Result<CommandFate, ErrorFrame>>, ErrorFrame> {
        Err(refusal::not_leading().for_command(id))
    }

    /// The newest epoch that was found fenced: a later one has been granted, and this server must step down.
    pub fn fenced(&self) -> watch::Receiver<Option<u64>> {
        self.shared.fenced.subscribe()
    }

    /// Commands since the start.
    pub fn counts(&self) -> CommandCounts {
        self.shared.counts.snapshot(self.shared.queue.len())
    }
}

fn check_age(id: CommandId, now: SystemTime) -> Result<(), ErrorFrame> {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let minted_at = id.minted_at();
    let wrong = if minted_at + RETENTION < now {
        "was made longer ago than ids are remembered"
    } else if minted_at > now + CLOCK_LEEWAY {
        "was made in the future, by this server's clock"
    } else {
        return Ok(());
    };
    Err(refusal::id_expired(wrong))
}

async fn prepare_when_possible(database: Database) {
    let mut health = database.health();
    while health.wait_for(|health| health.available).await.is_ok() {
        match database.prepare().await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "preparing the database again in a second"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use bellwether_protocol::{ErrorCode, Outcome};

    use super::*;

    #[test]
    fn ids_are_taken_within_their_time_only() {
        let now = Duration::from_secs(1_795_000_000);
        let check = |minted_at| check_age(CommandId::mint(minted_at, [7; 10]), UNIX_EPOCH + now);
        for good in [now, now - RETENTION, now + CLOCK_LEEWAY] {
            assert_eq!(check(good), Ok(()));
        }
        let a_second = Duration::from_secs(1);
        for bad in [now - RETENTION - a_second, now + CLOCK_LEEWAY + a_second] {
            let refusal = check(bad).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::IdExpired);
            assert_eq!(refusal.outcome, Outcome::NotExecuted);
        }
    }
}
