//! The task that executes commands under one epoch, from the claim to the end of it.

use std::sync::Arc;

use bellwether_protocol::Outcome;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::job::{Reply, Task};
use super::lane::Lane;
use super::turn::{Doubt, Ended, Turn};
use super::{Settings, Shared, refusal};
use crate::database::Tenure;

pub(super) struct Worker {
    shared: Arc<Shared>,
    epoch: u64,
    lane: Lane,
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
            if self.turn().await {
                break;
            }
        }
        tidy(&self.shared, &mut self.lane).await;
        self.orderly = true;
        tracing::info!(epoch = self.epoch, "no longer executing commands");
    }

    /// One turn. Returns whether this epoch is over.
    async fn turn(&mut self) -> bool {
        let (tasks, replies) = self.take();
        if tasks.is_empty() {
            return false;
        }
        let mut replies: Vec<Option<Reply>> = replies.into_iter().map(Some).collect();
        let Ended { answers, fenced } = self.run_turn(&tasks, &mut replies).await;
        if fenced {
            // Before anybody is told, so that whoever is told finds it so.
            self.be_fenced();
        }
        for ((task, reply), answer) in tasks.iter().zip(replies).zip(answers) {
            if let Some(reply) = reply {
                reply.answer(task, Some(self.epoch), answer, &self.shared.counts);
            }
        }
        // Behind the answers, so that nobody waits for it; before the next turn, so that a failed
        // transaction does not hold the fence.
        let doubt = Doubt::default();
        keeping_deadlines(&self.shared, self.epoch, &doubt, &[], &mut [], async {
            tidy(&self.shared, &mut self.lane).await;
        })
        .await;
        fenced
    }

    async fn run_turn(&mut self, tasks: &[Task], replies: &mut [Option<Reply>]) -> Ended {
        let doubt = Doubt::default();
        let turn = Turn {
            database: &self.shared.database,
            settings: &self.shared.settings,
            epoch: self.epoch,
            lane: &mut self.lane,
            stopped: &self.stopped,
            doubt: &doubt,
        };
        keeping_deadlines(&self.shared, self.epoch, &doubt, tasks, replies, turn.run(tasks)).await
    }

    /// The commands of the next turn, without those whose time is up or that nobody waits for.
    fn take(&self) -> (Vec<Task>, Vec<Reply>) {
        self.shared.answer_overdue();
        let Settings { turn, turn_bytes, .. } = self.shared.settings;
        let jobs = self.shared.queue.take(turn, turn_bytes).into_iter();
        let (wanted, abandoned): (Vec<_>, Vec<_>) = jobs.partition(|job| !job.is_abandoned());
        for job in abandoned {
            job.answer(Err(refusal::abandoned()), &self.shared.counts);
        }
        wanted.into_iter().map(|job| job.into_parts()).unzip()
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
        for (task, reply) in tasks.iter().zip(&mut *replies) {
            if task.deadline <= Instant::now()
                && let Some(reply) = reply.take()
            {
                let answer = Err(refusal::overdue(doubt.outcome()));
                reply.answer(task, Some(epoch), answer, &shared.counts);
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
    fn answer_overdue(&self) {
        for job in self.queue.take_overdue(Instant::now()) {
            job.answer(Err(refusal::overdue(Outcome::NotExecuted)), &self.counts);
        }
    }
}
