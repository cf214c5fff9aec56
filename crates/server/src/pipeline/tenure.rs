//! The task that executes commands under one epoch, from the claim to the end of it.

use std::collections::HashSet;
use std::sync::Arc;

use bellwether_protocol::Outcome;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::bet::Bet;
use super::job::{Job, Reply, Task, Work};
use super::lane::Lane;
use super::points::read_all_at;
use super::schema::{self, SchemaTurn};
use super::turn::{Doubt, Ended, Turn};
use super::{Settings, Shared, SourceId, refusal};
use crate::database::Tenure;

/// A turn that waits for commands begins when none has come for so long.
const GATHERING_GAP: Duration = Duration::from_millis(1);
/// The longest a turn waits for commands, however many keep coming.
const GATHERING_TIME: Duration = Duration::from_millis(10);

pub(super) struct Worker {
    shared: Arc<Shared>,
    epoch: u64,
    lane: Lane,
    merging: Bet,
    gathering: Bet,
    /// How many commands the next turn may have: those that wait and those that were just answered.
    expected: usize,
    last_turn: Duration,
    stopped: watch::Receiver<bool>,
    /// Whether the task came to an end of its own; otherwise it panicked.
    orderly: bool,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, tenure: Tenure, stopped: watch::Receiver<bool>) -> Self {
        let (epoch, session) = tenure.into_parts();
        Self {
            shared,
            epoch,
            lane: Lane::new(session),
            merging: Bet::default(),
            gathering: Bet::default(),
            expected: 0,
            last_turn: Duration::ZERO,
            stopped,
            orderly: false,
        }
    }

    /// Takes turn after turn until it is stopped or fenced. Must not be aborted: the driver's futures are
    /// not cancellation-safe.
    pub(super) async fn run(mut self) {
        tracing::info!(epoch = self.epoch, "executing commands");
        loop {
            let mut stopped = self.stopped.clone();
            tokio::select! {
                biased;
                // Also when whoever could stop it is gone.
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = self.shared.queue.wait() => {}
            }
            self.gather().await;
            if self.turn().await {
                break;
            }
        }
        tidy(&self.shared, &mut self.lane).await;
        self.orderly = true;
        tracing::info!(epoch = self.epoch, "no longer executing commands");
    }

    /// Waits a moment for those who were just answered and may ask again, as long as they keep coming. Without it many
    /// clients fall into two halves, each of which comes just too late for the other's turn. One client alone
    /// is never kept waiting.
    async fn gather(&mut self) {
        if !self.gathering.is_on() {
            return self.gathering.turn_ended();
        }
        let expected = self.expected.min(self.shared.settings.turn);
        if expected < 2 {
            return;
        }
        let queue = &self.shared.queue;
        let longest = self.last_turn.div_f64(3.0).clamp(GATHERING_GAP, GATHERING_TIME);
        let until = Instant::now() + longest;
        while queue.len() < expected && Instant::now() < until {
            if timeout(GATHERING_GAP, queue.arrival()).await.is_err() {
                break;
            }
        }
        if queue.len() * 2 < expected {
            self.gathering.failed();
        } else {
            self.gathering.turn_ended();
        }
    }

    /// One turn. Returns whether this epoch is over.
    async fn turn(&mut self) -> bool {
        let Bunch {
            sources,
            tasks,
            replies,
            writes,
        } = self.take();
        if tasks.is_empty() {
            return false;
        }
        let began = Instant::now();
        // Behind writes the reads are not answered yet when the turn ends.
        let answered = if writes > 0 { writes } else { tasks.len() };
        let mut replies: Vec<Option<Reply>> = replies.into_iter().map(Some).collect();
        let Ended {
            answers,
            moment,
            fenced,
        } = self.run_turn(&tasks, writes, &mut replies).await;
        if fenced {
            // Before anybody is told, so that whoever is told finds it so.
            self.be_fenced();
        }
        let mut later: Vec<Job> = Vec::new();
        let (mut reads, mut at) = (Vec::new(), None);
        let each = sources.into_iter().zip(tasks).zip(replies).zip(answers);
        for (index, (((source, task), reply), answer)) in each.enumerate() {
            // Without a reply it has been answered, since its time was up.
            let Some(reply) = reply else {
                continue;
            };
            match (answer, moment) {
                (Some(answer), _) => reply.answer(&task, Some(self.epoch), answer, &self.shared.counts),
                // Not before a write of the same source that has to wait.
                (None, Some(moment))
                    if index >= writes && later.iter().all(|before| before.source != source) =>
                {
                    reads.push(Job::from_parts(source, task, reply));
                    at = Some(moment);
                }
                (None, _) => later.push(Job::from_parts(source, task, reply)),
            }
        }
        if let Some(at) = at {
            read_all_at(&self.shared, self.epoch, at, reads);
        }
        self.expected = self.shared.queue.len() + answered;
        self.last_turn = began.elapsed();
        self.shared.put_back(later);
        // Behind the answers, so that nobody waits for it; before the next turn, so that a failed
        // transaction does not hold the fence.
        let doubt = Doubt::default();
        keeping_deadlines(&self.shared, self.epoch, &doubt, 0, &[], &mut [], async {
            tidy(&self.shared, &mut self.lane).await;
        })
        .await;
        fenced
    }

    async fn run_turn(&mut self, tasks: &[Task], writes: usize, replies: &mut [Option<Reply>]) -> Ended {
        let doubt = Doubt::default();
        let turn = Turn {
            database: &self.shared.database,
            settings: &self.shared.settings,
            epoch: self.epoch,
            lane: &mut self.lane,
            stopped: &self.stopped,
            doubt: &doubt,
            merging: &mut self.merging,
            tasks,
            writes,
        };
        keeping_deadlines(&self.shared, self.epoch, &doubt, writes, tasks, replies, async {
            match schema::only(tasks) {
                Some((command, part)) => SchemaTurn::new(turn, command, part).run().await,
                None => turn.run().await,
            }
        })
        .await
    }

    /// The commands of the next turn, without those whose time is up or that nobody waits for.
    fn take(&self) -> Bunch {
        self.shared.answer_overdue();
        let Settings { turn, turn_bytes, .. } = self.shared.settings;
        let jobs = self.shared.queue.take(turn, turn_bytes).into_iter();
        let (wanted, abandoned): (Vec<_>, Vec<_>) = jobs.partition(|job| !job.is_abandoned());
        for job in abandoned {
            job.answer(Err(refusal::abandoned()), &self.shared.counts);
        }
        let wanted = wanted.into_iter().map(|mut job| {
            if let Work::TellFate { waits } = &mut job.task.work {
                // Asked now: at the moment it is read it may be under way.
                *waits = self.shared.queue.holds(job.task.id);
            }
            job
        });
        Bunch::sort(wanted.collect())
    }

    fn be_fenced(&self) {
        tracing::warn!(epoch = self.epoch, "fenced: another coordinator has taken over");
        for job in self.shared.queue.close() {
            let fenced = refusal::fenced(self.epoch, Outcome::NotExecuted);
            job.answer(Err(fenced), &self.shared.counts);
        }
        self.shared.fenced.send_replace(Some(self.epoch));
    }
}

/// The commands of a turn: first those for the transaction, then those that read at the moment of its commit.
struct Bunch {
    sources: Vec<SourceId>,
    tasks: Vec<Task>,
    replies: Vec<Reply>,
    /// How many are for the transaction.
    writes: usize,
}

impl Bunch {
    /// Puts the reads behind the writes, where no write of the same source comes after them.
    fn sort(jobs: Vec<Job>) -> Self {
        let mut writers = HashSet::new();
        let mut reads = Vec::new();
        let mut writes = Vec::new();
        for job in jobs.into_iter().rev() {
            if job.task.only_reads() && !writers.contains(&job.source) {
                reads.push(job);
            } else {
                writers.insert(job.source);
                writes.push(job);
            }
        }
        let mut bunch = Self {
            sources: Vec::new(),
            tasks: Vec::new(),
            replies: Vec::new(),
            writes: writes.len(),
        };
        for job in writes.into_iter().rev().chain(reads.into_iter().rev()) {
            let (source, task, reply) = job.into_parts();
            bunch.sources.push(source);
            bunch.tasks.push(task);
            bunch.replies.push(reply);
        }
        bunch
    }
}

/// Ends a transaction that was left open. Without a primary there is nobody to tell; the next transaction
/// does it, or the session's end.
async fn tidy(shared: &Shared, lane: &mut Lane) {
    if shared.database.health().borrow().available {
        lane.abort().await;
    }
}

/// Lets `work` run to its end and meanwhile answers every command whose deadline passes, in hand or waiting.
async fn keeping_deadlines<T>(
    shared: &Shared,
    epoch: u64,
    doubt: &Doubt,
    writes: usize,
    tasks: &[Task],
    replies: &mut [Option<Reply>],
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        let in_hand = tasks.iter().zip(&*replies).filter(|(_, reply)| reply.is_some());
        let deadlines = in_hand.map(|(task, _)| task.deadline);
        let next = deadlines.chain(shared.queue.next_deadline()).min();
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = shared.queue.arrival() => continue,
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
        for (index, (task, reply)) in tasks.iter().zip(&mut *replies).enumerate() {
            if task.deadline <= Instant::now()
                && let Some(reply) = reply.take()
            {
                let outcome = if index < writes {
                    doubt.outcome()
                } else {
                    Outcome::NotExecuted
                };
                reply.answer(task, Some(epoch), Err(refusal::overdue(outcome)), &shared.counts);
            }
        }
        shared.answer_overdue();
    }
}

impl Drop for Worker {
    /// A pipeline without its task must not take commands, and its server must not stay coordinator.
    fn drop(&mut self) {
        if !self.orderly {
            self.be_fenced();
        }
    }
}

impl Shared {
    /// Puts commands back before all others; if the queue has been closed meanwhile, they are answered.
    pub(super) fn put_back(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        if let Err(closed) = self.queue.put_back(jobs) {
            for job in closed {
                job.answer(Err(refusal::draining()), &self.counts);
            }
        }
    }

    fn answer_overdue(&self) {
        for job in self.queue.take_overdue(Instant::now()) {
            job.answer(Err(refusal::overdue(Outcome::NotExecuted)), &self.counts);
        }
    }
}
