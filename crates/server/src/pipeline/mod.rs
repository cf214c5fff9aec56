//! The pipeline: the only place that touches users' data.
//!
//! Commands wait in one bounded queue, fair between those who send them, and are executed one batch
//! after another by the server that holds the newest epoch. A batch takes all that wait, up to a
//! bound. It is one MongoDB transaction, majority-committed:
//!
//! 1. the commands that write run in their order; adjacent ones are merged where that changes no
//!    reply;
//! 2. one update writes the fence, matched on our epoch, and the commands' ids, fingerprints and
//!    replies: if a later epoch was granted, or an id was there before, nothing of this commits;
//! 3. the transaction commits, and only then is anybody answered;
//! 4. the commands that only read do so at the moment of that commit, beside the batches that
//!    follow.
//!
//! A command on collections or indexes has a batch of its own, since MongoDB executes it outside
//! transactions.
//!
//! So a command has its effect once, however often and to however many servers it was sent, an
//! answer is never taken back, and all answers are those of an execution one after another: within
//! a batch the writes of all connections first and then their reads, except that commands of one
//! connection keep their order.

mod adaptive_switch;
mod backoff;
mod batch;
mod batch_commands;
mod batch_context;
mod batch_state;
mod bookings;
mod code_names;
mod drain_rate;
mod error_details;
mod execute;
mod executor;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod inserted_ids;
mod job;
mod merge;
mod penalties;
mod point_reads;
mod progress;
mod queue;
mod readers;
mod reads;
mod record;
mod refusal;
mod replies;
mod retry_state;
mod schema;
mod shared;
mod shares;
mod slow_reads;
mod source;
mod statements;
mod stored_reply;
mod suspects;
mod transaction;
mod transaction_error;
mod transaction_session;
mod write_conflicts;
mod write_errors;

use core::time::Duration;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_protocol::{CommandCounts, CommandId, CommandResult, ErrorFrame, Outcome, OutcomeResult};
use thiserror::Error;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::command::ParsedCommand;
use crate::database::{Database, Fence};
use executor::Executor;
use job::{Counts, Job};
use progress::Progress;
use queue::{NotTaken, Queue};
use readers::Readers;
use shared::Shared;
pub use source::SourceId;
use suspects::Suspects;

/// For how long after it was made an id is accepted. Replies are kept longer than that, so an id is
/// never executed again because it was forgotten.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How far ahead of the server's clock an id may have been made.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60 * 60);

/// Connections that reads leave to what must not wait for them: the batch, the claim of an epoch
/// and the end of the session before it, and what is asked when MongoDB's primary is lost.
const CONNECTIONS_KEPT_FREE: usize = 4;

/// Time without an execution, while something waits, after which the pipeline counts as stalled.
const STALLED: Duration = Duration::from_secs(5);

/// The largest reply that is stored with its command's id, in bytes of BSON: 64 KiB. A command with
/// a larger one has its effect once like any other, but when it is sent again the answer is
/// `reply_not_kept`.
pub const MAX_STORED_REPLY: usize = 64 * 1024;

/// What a command gets: its reply, or why there is none and what became of it.
pub type Answer = Result<CommandResult, ErrorFrame>;

/// What can be chosen about a pipeline. Begin with the default and change what differs.
///
/// ```
/// let mut settings = bellwether_server::Settings::default();
/// settings.queue = 10_000;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How many commands may wait.
    pub queue: usize,
    /// How many bytes of memory the waiting commands may take together. A larger command is taken
    /// while none waits.
    pub queue_bytes: usize,
    /// How many commands one batch takes at most. 1 executes each in a transaction of its own.
    pub batch: usize,
    /// How many bytes of BSON the commands of one batch may have together; a larger command has a
    /// batch of its own.
    pub batch_bytes: usize,
    /// A batch that has taken so long commits what it has done and leaves the rest for the next.
    pub batch_time: Duration,
    /// How long MongoDB may work on one command, whatever its deadline.
    pub command_time: Duration,
    /// How many reads may be under way.
    pub reads: usize,
    /// How many of them MongoDB may work on at a time. Each takes one of the driver's connections,
    /// and reads never take the last ones: where the URI says `maxPoolSize`, this is at most 4
    /// less.
    pub reads_at_a_time: usize,
    /// How many slow reads MongoDB may work on at a time, of all connections together. A read is
    /// slow if one of the same body or of the same connection took longer than a quarter of a
    /// second within the last ten seconds.
    pub slow_reads_at_a_time: usize,
    /// How long a command may wait for MongoDB to have a primary before it is answered
    /// `database_unavailable`.
    pub primary_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue: 1024,
            queue_bytes: 256 * 1024 * 1024,
            batch: 512,
            batch_bytes: 4 * 1024 * 1024,
            batch_time: Duration::from_millis(100),
            command_time: Duration::from_secs(30),
            reads: 1024,
            reads_at_a_time: 32,
            slow_reads_at_a_time: 4,
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

/// A term that was begun and not yet seen to its end.
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
    /// In the background it lets MongoDB create what it needs, so that taking over later costs
    /// nothing.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(database: Database, fence: Fence, settings: Settings) -> Self {
        tokio::spawn(prepare_when_possible(database.clone()));
        let for_reads = database.max_connections().saturating_sub(CONNECTIONS_KEPT_FREE);
        let reads_at_a_time = settings.reads_at_a_time.min(for_reads);
        let shared = Shared {
            queue: Queue::new(settings.queue, settings.queue_bytes),
            readers: Readers::new(settings.reads, reads_at_a_time, settings.slow_reads_at_a_time),
            counts: Counts::default(),
            progress: Progress::default(),
            suspects: Arc::default(),
            fenced: watch::Sender::new(None),
            database,
            fence,
            settings,
        };
        let shared = Arc::new(shared);
        tokio::spawn(watch_losses(
            shared.database.clone(),
            Arc::clone(&shared.suspects),
        ));
        Self {
            shared,
            running: Arc::default(),
        }
    }

    /// Begins to execute commands under an epoch that was claimed from the fence. A term that is
    /// under way ends first, as with [`retire`](Self::retire).
    ///
    /// It ends by itself when a later epoch is found granted; [`fenced`](Self::fenced) tells.
    ///
    /// # Errors
    /// [`NotClaimed`] if the fence here did not grant the epoch, or it was taken before.
    pub async fn lead(&self, epoch: u64) -> Result<(), NotClaimed> {
        let mut running = self.running.lock().await;
        self.end(&mut running).await;
        let term = self.shared.fence.take(epoch).ok_or(NotClaimed { epoch })?;
        let (stop, stopped) = watch::channel(false);
        let executor = Executor::new(Arc::clone(&self.shared), term, stopped);
        self.shared.queue.open();
        let task = tokio::spawn(executor.run());
        *running = Some(Running { stop, task });
        Ok(())
    }

    /// Stops executing: takes no more commands, answers those that wait with `draining`, and
    /// returns when the batch in hand has ended and no transaction of this pipeline is under way.
    pub async fn retire(&self) {
        let mut running = self.running.lock().await;
        self.end(&mut running).await;
    }

    /// Stays valid if it is dropped: the next call waits for the same term.
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
    /// Sources take turns, so one that sends much delays another little. An id sent again while it
    /// waits waits too, and is then answered from the record.
    ///
    /// The answer comes through the receiver, by the deadline at the latest. If the receiver fails
    /// instead, the server is breaking down and the outcome is unknown. A command whose receiver is
    /// dropped before its turn is not executed.
    ///
    /// # Errors
    /// An error frame with the outcome `not_executed` if the pipeline does not lead, the queue is
    /// full, or the id is too old or too new.
    pub fn submit(
        &self,
        source: SourceId,
        id: CommandId,
        command: ParsedCommand,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Answer>, ErrorFrame> {
        let alone = self.shared.suspects.check(&command, Instant::now());
        let (mut job, receiver) = Job::execute(source, id, command, deadline);
        let checked = alone.and_then(|alone| {
            job.notes.apart = alone;
            check_age(id, SystemTime::now())
        });
        match checked.and_then(|()| self.enqueue(job)) {
            Ok(()) => Ok(receiver),
            Err(refusal) => {
                self.shared.counts.refused();
                Err(refusal.for_command(id))
            }
        }
    }

    /// Asks what became of a command: `executed`, with its reply if that was kept; `not_executed`,
    /// which is so at this moment and stays so unless somebody sends it again or a server still has
    /// it in its queue; or `unknown` while it waits here. A command that only reads is never
    /// recorded, so it is always `not_executed`.
    ///
    /// The answer comes through the receiver, by the deadline at the latest.
    ///
    /// # Errors
    /// An error frame if the pipeline does not lead, the queue is full, or the id is too old or too
    /// new. It says nothing about the command: its outcome is `unknown`.
    pub fn outcome(
        &self,
        source: SourceId,
        id: CommandId,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Result<OutcomeResult, ErrorFrame>>, ErrorFrame> {
        let (job, receiver) = Job::find_outcome(source, id, deadline);
        match check_age(id, SystemTime::now()).and_then(|()| self.enqueue(job)) {
            Ok(()) => Ok(receiver),
            Err(mut refusal) => {
                refusal.outcome = Outcome::Unknown;
                Err(refusal.for_command(id))
            }
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), ErrorFrame> {
        self.shared.queue.push(job).map_err(|reason| match reason {
            NotTaken::Closed => refusal::not_leading(),
            NotTaken::Full { retry_after } => refusal::overloaded(retry_after),
        })
    }

    /// The newest epoch that was found fenced: a later one has been granted, and whoever led under
    /// this one leads no more. `None` until that happens for the first time.
    pub fn fenced(&self) -> watch::Receiver<Option<u64>> {
        self.shared.fenced.subscribe()
    }

    /// Time since the batch in hand began; nothing if there is none. A batch that MongoDB does not
    /// end is abandoned three seconds after its latest deadline.
    pub fn batch_takes(&self) -> Option<Duration> {
        self.shared.progress.batch_takes(Instant::now())
    }

    /// Time for which nothing has been executed although something waits; nothing if it is less
    /// than five seconds.
    pub fn stalled_for(&self) -> Option<Duration> {
        let stalled = self.shared.progress.stalled_for(Instant::now())?;
        Some(stalled).filter(|stalled| *stalled >= STALLED)
    }

    /// Returns `true` if MongoDB's primary was lost a moment ago while a command ran that had been
    /// running when another primary was lost. Another primary may be lost to it.
    pub(crate) fn may_have_caused_a_loss(&self) -> bool {
        self.shared.suspects.may_have_caused_a_loss(Instant::now())
    }

    /// Commands since the start.
    pub fn counts(&self) -> CommandCounts {
        let batch = self.batch_takes();
        CommandCounts {
            batch_ms: batch.map(|batch| u64::try_from(batch.as_millis()).unwrap_or(u64::MAX)),
            ..self.shared.counts.snapshot(self.shared.queue.len())
        }
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

/// Tells the suspects about each primary that is lost. Ends with the connection to the replica set.
async fn watch_losses(database: Database, suspects: Arc<Suspects>) {
    let mut losses = database.losses();
    while losses.next().await {
        suspects.primary_lost(Instant::now());
    }
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
    use bellwether_protocol::ErrorCode;

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
