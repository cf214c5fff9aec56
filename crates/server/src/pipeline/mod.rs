//! The pipeline: the only place that touches users' data.
//!
//! Commands wait in one bounded queue, which is fair between their sources. The server with the
//! newest epoch executes them, one batch after another. A batch takes all waiting commands, up to a
//! bound. It is one MongoDB transaction, committed by a majority:
//!
//! 1. the writes run in their order; adjacent writes are merged if that changes no reply;
//! 2. one update writes the fence, matched on the server's epoch, and the commands' ids,
//!    fingerprints and replies. If a later epoch was granted, or an id has a record already,
//!    nothing of the batch commits;
//! 3. the transaction commits, and only then the server answers the clients;
//! 4. the read-only commands run at the moment of that commit, while the next batches run.
//!
//! A command on collections or indexes has a batch of its own, since MongoDB executes it outside
//! transactions.
//!
//! So a command has its effect once, however often and to however many servers it was sent. An
//! answer is never taken back. All answers are those of an execution one after another. Within a
//! batch the writes of all connections come first, and then their reads; but the commands of one
//! connection keep their order.

mod abandonments;
mod adaptive_switch;
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
mod in_progress;
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
use crate::subject::SubjectHash;
use executor::Executor;
use job::{Counts, Job};
use progress::Progress;
use queue::{NotTaken, Queue};
use readers::Readers;
use shared::Shared;
pub use source::SourceId;
use suspects::Suspects;

/// Time for which an id is accepted after it was made. Replies are kept longer than that, so no id
/// is executed again because its record was forgotten.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest time by which an id may be ahead of the server's clock.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60 * 60);

/// Number of connections that reads leave free, for work that must not wait for reads. That work is
/// the batch, and the claim of an epoch with the end of the session before it. It also includes the
/// questions to MongoDB when its primary is lost.
const CONNECTIONS_KEPT_FREE: usize = 4;

/// Time without an execution, while something waits, after which the pipeline counts as stalled.
const STALLED: Duration = Duration::from_secs(5);

/// The largest reply that is stored with its command's id, in bytes of BSON: 64 KiB. A command with
/// a larger reply also has its effect once. But when the client sends it again, the answer is
/// `reply_not_kept`.
pub const MAX_STORED_REPLY: usize = 64 * 1024;

/// The answer to a command: its reply, or an error frame with the outcome.
pub type Answer = Result<CommandResult, ErrorFrame>;

/// The settings of a pipeline. Begin with the default and change single settings.
///
/// ```
/// let mut settings = bellwether_server::Settings::default();
/// settings.queue = 10_000;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Highest number of waiting commands.
    pub queue: usize,
    /// Highest memory of the waiting commands together, in bytes. The queue takes a larger command
    /// if no other command waits.
    pub queue_bytes: usize,
    /// Highest number of commands in one batch. With 1, each command has a transaction of its own.
    pub batch: usize,
    /// Highest size of the commands of one batch together, in bytes of BSON. A larger command has a
    /// batch of its own.
    pub batch_bytes: usize,
    /// Time after which a batch commits its finished commands and leaves the rest for the next
    /// batch.
    pub batch_time: Duration,
    /// Time limit for MongoDB's work on one command, whatever the command's deadline.
    pub command_time: Duration,
    /// Highest number of reads in progress.
    pub reads: usize,
    /// Highest number of reads that MongoDB works on at a time. Each read takes one of the driver's
    /// connections, and reads never take the last ones. If the URI says `maxPoolSize`, this number
    /// is at most 4 less.
    pub reads_at_a_time: usize,
    /// Highest number of slow reads that MongoDB works on at a time, for all connections together.
    /// A read counts as slow after a read with the same body, or of the same connection, was slow.
    /// That read took longer than a quarter of a second, or its reply had more than 1 MiB of BSON.
    /// It ended within the last ten seconds.
    pub slow_reads_at_a_time: usize,
    /// Longest time for which a command waits until MongoDB has a primary. After that the answer is
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

/// A handle to the pipeline. Clones are handles to the same pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    shared: Arc<Shared>,
    running: Arc<Mutex<Option<Running>>>,
}

/// A term that has begun, and whose end nothing has waited for yet.
#[derive(Debug)]
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The error of a pipeline that cannot begin to lead.
#[derive(Debug, Error)]
#[error("epoch {epoch} was not claimed from this pipeline's fence, or is led already")]
pub struct NotClaimed {
    /// The epoch asked for.
    pub epoch: u64,
}

impl Pipeline {
    /// Starts a pipeline that refuses commands until it [leads](Self::lead).
    ///
    /// In the background it lets MongoDB create the collection and the indexes that it needs, so
    /// that a later takeover costs nothing.
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

    /// Begins to execute commands under an epoch that was claimed from the fence. If a term is in
    /// progress, it ends first, as with [`retire`](Self::retire).
    ///
    /// The term ends by itself when the pipeline finds that a later epoch was granted;
    /// [`fenced`](Self::fenced) reports that.
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

    /// Stops executing: takes no more commands, and answers the waiting commands with `draining`.
    /// Returns when the current batch has ended and no transaction of this pipeline is in progress.
    pub async fn retire(&self) {
        let mut running = self.running.lock().await;
        self.end(&mut running).await;
    }

    /// Ends the term. May be dropped at any time: the next call waits for the end of the same term.
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
    /// Sources take turns, so a source that sends much delays another source little. A repeated id
    /// also waits while the first command with this id waits. The pipeline then answers it from the
    /// record.
    ///
    /// The answer comes through the receiver, by the deadline at the latest. If the receiver fails
    /// instead, the server has failed and the outcome is unknown. A command whose receiver is
    /// dropped before its turn is not executed.
    ///
    /// # Errors
    /// An error frame with the outcome `not_executed`. The reason is that the pipeline does not
    /// lead, that the queue is full, or that the id is too old or too new. It may also be that
    /// MongoDB did not end earlier commands of the source, or of its group.
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

    /// Asks for the outcome of a command: `executed`, with its reply if that was kept;
    /// `not_executed`; or `unknown`. The outcome is `unknown` while the command waits here. It is
    /// also `unknown` if the command changes collections or indexes and its end is not known. The
    /// outcome `not_executed` holds at this moment. It stays the same unless a client sends the
    /// command again or a server still has it in its queue. A read-only command is never recorded,
    /// so its outcome is `not_executed` unless it waits here.
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
        self.outcome_for(source, id, deadline, None)
    }

    /// Asks for the outcome of a command, for this subject. As [`outcome`](Self::outcome). The
    /// answer is `forbidden` if the command is of another subject.
    pub(crate) fn outcome_for(
        &self,
        source: SourceId,
        id: CommandId,
        deadline: Instant,
        subject: Option<SubjectHash>,
    ) -> Result<oneshot::Receiver<Result<OutcomeResult, ErrorFrame>>, ErrorFrame> {
        let (job, receiver) = Job::find_outcome(source, id, deadline, subject);
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
            NotTaken::Refused(refused) => refusal::not_ended(refused),
        })
    }

    /// Returns a receiver of the newest epoch that was found fenced. A later epoch has been
    /// granted, and the server that led under this one no longer leads. Holds `None` until that
    /// happens for the first time.
    pub fn fenced(&self) -> watch::Receiver<Option<u64>> {
        self.shared.fenced.subscribe()
    }

    /// Returns the time since the current batch began, or `None` if no batch runs. The executor
    /// abandons a batch that MongoDB does not end, at the latest three seconds after its latest
    /// deadline.
    pub fn batch_takes(&self) -> Option<Duration> {
        self.shared.progress.batch_takes(Instant::now())
    }

    /// Returns the time for which nothing has been executed although something waits. Returns
    /// `None` if the time is less than five seconds.
    pub fn stalled_for(&self) -> Option<Duration> {
        let stalled = self.shared.progress.stalled_for(Instant::now())?;
        Some(stalled).filter(|stalled| *stalled >= STALLED)
    }

    /// Returns `true` if MongoDB's primary was lost a moment ago while a command ran that had also
    /// run when another primary was lost. Another primary may be lost to this command.
    pub(crate) fn may_have_caused_a_loss(&self) -> bool {
        self.shared.suspects.may_have_caused_a_loss(Instant::now())
    }

    /// Returns the numbers of commands since the start.
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

/// Reports each lost primary to the suspects. Ends with the connection to the replica set.
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
