//! The task that executes commands in one epoch, from the claim of the epoch to its end.

use std::sync::Arc;

use bellwether_protocol::{ErrorFrame, Outcome};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, watch};
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::adaptive_switch::AdaptiveSwitch;
use super::batch::{Batch, BatchResult};
use super::batch_commands::BatchCommands;
use super::batch_context::BatchContext;
use super::batch_state::BatchState;
use super::in_progress::{InProgress, SharedSession, leave_behind};
use super::job::{Job, Reply, Task};
use super::point_reads::read_all_at;
use super::schema::{self, SchemaBatch};
use super::shared::Shared;
use super::transaction_session::TransactionSession;
use super::{Settings, SourceId, refusal};
use crate::database::Term;

/// A batch that waits for commands begins when no command has come for this time.
const LINGER_GAP: Duration = Duration::from_millis(1);
/// The longest time for which a batch waits for commands, however many keep coming.
const LINGER_TIME: Duration = Duration::from_millis(10);

/// Time after which the executor abandons a batch that MongoDB does not end. MongoDB stops a
/// statement after its time limit, and a command at its deadline. So this time counts from the time
/// limit of the current statement, or from the latest deadline of the batch. If MongoDB still works
/// then, it works on something that it does not interrupt. The time is longer than the two seconds
/// in which the driver notices that a primary is frozen or missing.
pub(super) const OVERRUN: Duration = Duration::from_secs(3);
/// Time limit for the current batch when the server must leave. Less than the election's drain
/// timeout.
const LEAVE_TIME: Duration = Duration::from_secs(5);

pub(super) struct Executor {
    shared: Arc<Shared>,
    epoch: u64,
    /// Absent after a batch in it was abandoned.
    session: Option<SharedSession>,
    merging: AdaptiveSwitch,
    /// Number of writing commands with which a batch begins. It is lower than the setting after a
    /// batch had to be narrowed down.
    limit: usize,
    lingering: AdaptiveSwitch,
    /// Expected number of commands of the next batch: the waiting commands, and the commands that
    /// were just answered.
    expected: usize,
    last_batch: Duration,
    stopped: watch::Receiver<bool>,
    /// `true` if the task ended by itself; otherwise it panicked.
    orderly: bool,
}

impl Executor {
    pub(super) fn new(shared: Arc<Shared>, term: Term, stopped: watch::Receiver<bool>) -> Self {
        let (epoch, session) = term.into_parts();
        Self {
            epoch,
            session: Some(Arc::new(Mutex::new(TransactionSession::new(session)))),
            limit: shared.settings.batch,
            shared,
            merging: AdaptiveSwitch::default(),
            lingering: AdaptiveSwitch::default(),
            expected: 0,
            last_batch: Duration::ZERO,
            stopped,
            orderly: false,
        }
    }

    /// Executes one batch after another until it is stopped or fenced. Must not be aborted: the
    /// driver's futures are not cancellation-safe. The term's session would be left with a
    /// transaction in an unknown state, which holds the fence for up to a minute. Only
    /// [`leave_behind`] drops work in progress, when its epoch is over and its session is not used
    /// again.
    pub(super) async fn run(mut self) {
        tracing::info!(epoch = self.epoch, "executing commands");
        loop {
            let mut stopped = self.stopped.clone();
            tokio::select! {
                biased;
                // This also ends if the sender of `stopped` is gone.
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = self.shared.queue.wait() => {}
            }
            self.linger().await;
            if self.batch().await {
                break;
            }
        }
        self.tidy().await;
        self.shared.progress.idle();
        self.orderly = true;
        tracing::info!(epoch = self.epoch, "no longer executing commands");
    }

    /// Waits a moment for clients that were just answered and may send again, as long as commands
    /// keep coming. Otherwise many clients would form two halves, and each half would come just too
    /// late for the other's batch. A single client never waits.
    async fn linger(&mut self) {
        if !self.lingering.is_on() {
            return self.lingering.batch_ended();
        }
        let expected = self.expected.min(self.shared.settings.batch);
        if expected < 2 {
            return;
        }
        let queue = &self.shared.queue;
        let longest = self.last_batch.div_f64(3.0).clamp(LINGER_GAP, LINGER_TIME);
        let until = Instant::now() + longest;
        while queue.len() < expected && Instant::now() < until {
            if timeout(LINGER_GAP, queue.arrival()).await.is_err() {
                break;
            }
        }
        if queue.len() * 2 < expected {
            self.lingering.failed();
        } else {
            self.lingering.batch_ended();
        }
    }

    /// Runs one batch. Returns `true` if this epoch is over.
    async fn batch(&mut self) -> bool {
        let BatchCommands {
            sources,
            notes,
            tasks,
            replies,
            writes,
        } = self.take();
        if tasks.is_empty() {
            if self.shared.queue.len() == 0 {
                self.shared.progress.idle();
            }
            return false;
        }
        let began = Instant::now();
        self.shared.progress.batch_begins(began);
        // If the batch has writes, its reads are not answered yet when it ends.
        let answered = if writes > 0 { writes } else { tasks.len() };
        let mut replies: Vec<Option<Reply>> = replies.into_iter().map(Some).collect();
        let ended = self
            .run_batch(began, &sources, &tasks, writes, &mut replies)
            .await;
        let Some(ended) = ended else {
            self.shared.progress.batch_ends(false);
            return true;
        };
        if ended.fenced {
            // The epoch ends before the answers are sent, so that each client finds it ended.
            tracing::warn!(epoch = self.epoch, "fenced: another coordinator has taken over");
            self.be_fenced();
        }
        self.learn(&ended, &sources, began.elapsed());
        let BatchResult {
            answers,
            moment,
            fenced,
            yields,
            ..
        } = ended;
        let mut later: Vec<Job> = Vec::new();
        let (mut reads, mut at) = (Vec::new(), None);
        let senders = sources.into_iter().zip(notes);
        let each = senders.zip(tasks).zip(replies).zip(answers);
        for (index, ((((source, mut notes), task), reply), answer)) in each.enumerate() {
            // A command without a reply channel was answered when its deadline passed.
            let Some(reply) = reply else {
                continue;
            };
            match (answer, moment) {
                (Some(answer), _) => {
                    self.shared.note(&answer);
                    reply.answer(&task, Some(self.epoch), answer, &self.shared.counts);
                }
                // A read must not go before a write of the same source that has to wait.
                (None, Some(moment))
                    if index >= writes && later.iter().all(|before| before.source != source) =>
                {
                    reads.push(Job::from_parts(source, notes, task, reply));
                    at = Some(moment);
                }
                (None, _) => {
                    notes.apart |= yields == Some(index);
                    later.push(Job::from_parts(source, notes, task, reply));
                }
            }
        }
        if let Some(at) = at {
            read_all_at(&self.shared, self.epoch, at, reads);
        }
        self.expected = self.shared.queue.len() + answered;
        self.last_batch = began.elapsed();
        self.shared.put_back(later);
        // The commands that were put back wait, too.
        self.shared.progress.batch_ends(self.shared.queue.len() > 0);
        // This comes after the answers, so that no client waits for it. It comes before the next
        // batch, so that a failed transaction does not hold the fence.
        !self.tidy().await || fenced
    }

    /// Adapts the following batches to the result of this batch.
    fn learn(&mut self, ended: &BatchResult, sources: &[SourceId], took: Duration) {
        // A source with batches of its own does not narrow the batches of the others.
        if self.shared.queue.last_was_apart() {
            if let Some(source) = sources.first() {
                self.shared.queue.ended_apart(*source);
            }
            if ended.at_fault.iter().any(|(_, tries)| *tries > 1) {
                self.shared.queue.rest(took, Instant::now());
            }
        } else {
            self.limit = match ended.narrowed_to {
                Some(fewer) => fewer.max(1),
                None => self.limit.saturating_mul(2).min(self.shared.settings.batch),
            };
        }
        for (task, tries) in &ended.at_fault {
            self.shared.queue.penalize(sources[*task], *tries, Instant::now());
        }
    }

    /// Runs a batch. Returns `None` if the batch was abandoned: all its commands have been
    /// answered, and this epoch is over.
    async fn run_batch(
        &mut self,
        began: Instant,
        sources: &[SourceId],
        tasks: &[Arc<Task>],
        writes: usize,
        replies: &mut [Option<Reply>],
    ) -> Option<BatchResult> {
        let session = self.session.take()?;
        let mut own_session = Arc::clone(&session).lock_owned().await;
        let mut merging = std::mem::take(&mut self.merging);
        let (shared, stopped) = (Arc::clone(&self.shared), self.stopped.clone());
        let (epoch, limit, all) = (self.epoch, self.limit, tasks.to_vec());
        let state = Arc::new(BatchState::default());
        let seen = Arc::clone(&state);
        own_session.work_for(&state);
        // The future owns everything that it works with, so that the executor can leave it behind.
        let work = async move {
            let context = BatchContext {
                database: &shared.database,
                suspects: &shared.suspects,
                settings: &shared.settings,
                epoch,
                session: &mut own_session,
                stopped: &stopped,
                state: &state,
                merging: &mut merging,
                tasks: &all,
            };
            let batch = Batch {
                context,
                writes,
                limit,
            };
            let ended = match schema::only(&all) {
                Some((command, operation)) => SchemaBatch::new(batch, command, operation).run().await,
                None => batch.run().await,
            };
            (ended, merging)
        };
        let in_progress = InProgress {
            began,
            state: &seen,
            session: &session,
            writes,
            sources,
            tasks,
            replies,
        };
        let (ended, merging) = self.watch_over(work.boxed(), in_progress).await?;
        self.session = Some(session);
        self.merging = merging;
        Some(ended)
    }

    /// Ends a transaction that was left open. Does nothing if MongoDB has no primary: then the next
    /// transaction, or the end of the session, ends the open transaction. Returns `false` if
    /// MongoDB does not end it and this epoch is over.
    async fn tidy(&mut self) -> bool {
        if !self.shared.database.health().borrow().available {
            return true;
        }
        let Some(session) = self.session.take() else {
            return false;
        };
        let mut own_session = Arc::clone(&session).lock_owned().await;
        let work = async move { own_session.abort().await };
        let in_progress = InProgress {
            began: Instant::now(),
            state: &BatchState::default(),
            session: &session,
            writes: 0,
            sources: &[],
            tasks: &[],
            replies: &mut [],
        };
        let ended = self.watch_over(work.boxed(), in_progress).await;
        self.session = ended.map(|()| session);
        self.session.is_some()
    }

    /// Runs `work` to its end. Meanwhile answers every command whose deadline passes, in the batch
    /// or in the queue.
    ///
    /// Leaves work that does not end in time behind, and returns `None`. That work cannot commit:
    /// its state forbids a commit before the commands are answered. A statement that is still in
    /// progress cannot write the fence once another epoch was granted. That happens before anything
    /// else is executed.
    async fn watch_over<T: Send + 'static>(
        &self,
        mut work: BoxFuture<'static, T>,
        batch: InProgress<'_>,
    ) -> Option<T> {
        let shared = &self.shared;
        let InProgress {
            state, writes, tasks, ..
        } = batch;
        let replies = &mut *batch.replies;
        let latest = tasks.iter().map(|task| task.deadline).max();
        let too_late = latest.unwrap_or_else(Instant::now) + OVERRUN;
        let mut leave_by = None;
        let mut stopped = self.stopped.clone();
        let mut health = shared.database.health();
        loop {
            let in_hand = tasks.iter().zip(&*replies).filter(|(_, reply)| reply.is_some());
            let deadlines = in_hand.map(|(task, _)| task.deadline);
            let next = deadlines.chain(shared.queue.next_deadline()).min();
            let available = health.borrow_and_update().available;
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = shared.queue.arrival() => continue,
                _ = stopped.wait_for(|stopped| *stopped), if leave_by.is_none() => {
                    leave_by = Some(Instant::now() + LEAVE_TIME);
                    continue;
                }
                () = sleep_until(leave_by.unwrap_or(too_late)), if leave_by.is_some() => {
                    self.abandon(batch, work, &refusal::draining(), false);
                    return None;
                }
                Ok(()) = health.changed() => continue,
                // Without a primary the statement may just wait for one.
                () = state.overruns(OVERRUN), if available => {
                    let fenced = refusal::fenced(self.epoch, Outcome::NotExecuted);
                    self.abandon(batch, work, &fenced, true);
                    self.be_fenced();
                    return None;
                }
                () = sleep_until(too_late) => {
                    let overdue = refusal::overdue(Outcome::NotExecuted);
                    self.abandon(batch, work, &overdue, true);
                    self.be_fenced();
                    return None;
                }
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
            for (index, (task, reply)) in tasks.iter().zip(&mut *replies).enumerate() {
                if task.deadline <= Instant::now()
                    && let Some(reply) = reply.take()
                {
                    let outcome = if index < writes {
                        state.outcome()
                    } else {
                        Outcome::NotExecuted
                    };
                    let overdue = Err(state.overdue(outcome));
                    reply.answer(task, Some(self.epoch), overdue, &shared.counts);
                }
            }
            shared.answer_overdue();
        }
    }

    /// Answers the commands of a batch that MongoDB does not end, and leaves its work behind.
    fn abandon<T: Send + 'static>(
        &self,
        mut batch: InProgress<'_>,
        work: BoxFuture<'static, T>,
        others: &ErrorFrame,
        late: bool,
    ) {
        batch.abandon(&self.shared, self.epoch, others, late);
        let client = self.shared.database.client().clone();
        leave_behind(client, work, Arc::clone(batch.session));
    }

    /// Takes the commands of the next batch. Leaves out commands whose deadline has passed or whose
    /// client is gone.
    fn take(&self) -> BatchCommands {
        self.shared.answer_overdue();
        let Settings {
            batch, batch_bytes, ..
        } = self.shared.settings;
        let jobs = self.shared.queue.take(batch, batch_bytes).into_iter();
        let (wanted, abandoned): (Vec<_>, Vec<_>) = jobs.partition(|job| !job.is_abandoned());
        for job in abandoned {
            job.answer(Err(refusal::abandoned()), &self.shared.counts);
        }
        let wanted = wanted.into_iter().map(|mut job| {
            if job.task.command().is_none() {
                // This asks the queue now: when the record is read, the command may be in progress.
                job.notes.waits = self.shared.queue.holds(job.task.id, job.task.subject());
            }
            job
        });
        BatchCommands::sort(wanted.collect())
    }

    fn be_fenced(&self) {
        for job in self.shared.queue.close() {
            let fenced = refusal::fenced(self.epoch, Outcome::NotExecuted);
            job.answer(Err(fenced), &self.shared.counts);
        }
        self.shared.progress.epoch_ends(Instant::now());
        self.shared.fenced.send_replace(Some(self.epoch));
    }
}

impl Drop for Executor {
    /// A pipeline without its task must not take commands, and its server must not stay
    /// coordinator.
    fn drop(&mut self) {
        if !self.orderly {
            self.be_fenced();
        }
    }
}
