//! One batch: commands in, answers out, one committed transaction in between.
//!
//! The transaction is written out by hand instead of with the driver's convenience method, because
//! every try has to look again at the fence, at the ids, at the deadlines and at whether to go on
//! at all.
//!
//! The first try is optimistic: it looks no id up, since hardly any was executed before. If one
//! was, or if a command fails, the transaction is aborted and the next try is careful. A command
//! that failed is then left out and is answered with its error once that try has committed: so an
//! error, too, is an answer from a state of the data that a majority has, under an epoch that was
//! the newest. If a second command fails, only those before it are tried once more, which is known
//! to succeed, and the rest waits for the next batch: however many fail, no command runs more than
//! a few times.
//!
//! A command with `ordered: false` is run again without the statement that failed, as often as that
//! finds another one: see [`statements`](super::statements). It does so alone, and after a while in
//! batches of its own.
//!
//! Some failures name no command: at the commit, at the records, at a reply that nobody expected.
//! Then the first half of the commands is tried alone, and half of that, until the try succeeds or
//! holds one command. A command that fails alone twice, while the fence without it commits, is at
//! fault. The following batches begin with as many commands as succeeded and double that, so one
//! bad command among n costs at most 2·log2(n) + 3 tries more.

use bellwether_protocol::{CommandResult, ErrorFrame, Outcome};
use bson::Timestamp;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::backoff::Backoff;
use super::batch_context::BatchContext;
use super::job::Task;
use super::record::UncommittedReply;
use super::retry_state::{RetryState, TRIES_ALONE};
use super::transaction::{Committed, Rejected, Transaction};
use super::transaction_error::TransactionError;
use super::write_conflicts::WriteConflicts;
use super::{Answer, refusal};

/// One run through the commands of a batch.
pub(super) struct Batch<'a> {
    pub(super) context: BatchContext<'a>,
    /// The number of its commands that are for the transaction.
    pub(super) writes: usize,
    /// The number of these that the first try may have at most.
    pub(super) limit: usize,
}

/// How a batch ended.
#[derive(Default)]
pub(super) struct BatchResult {
    /// One for each command, in their order. Those without an answer have had no effect: the ones
    /// to read may be read at [`moment`](Self::moment), the others wait for another batch.
    pub(super) answers: Vec<Option<Answer>>,
    /// When the batch was committed, by MongoDB's clock.
    pub(super) moment: Option<Timestamp>,
    /// Whether a later epoch has been granted.
    pub(super) fenced: bool,
    /// How many commands a try may have, if a try with more of them failed.
    pub(super) narrowed_to: Option<usize>,
    /// Commands that made a try fail, by their place, and how many tries that cost the others.
    pub(super) at_fault: Vec<(usize, u32)>,
    /// A command that meets conflicts: it waits for a batch without others.
    pub(super) yields: Option<usize>,
}

impl Batch<'_> {
    pub(super) async fn run(mut self) -> BatchResult {
        let mut answers: Vec<Option<Answer>> = self.context.tasks.iter().map(|_| None).collect();
        let mut retry = RetryState {
            end: self.writes.min(self.limit),
            ..RetryState::default()
        };
        retry.begin(self.context.tasks);
        let primary = self.context.database.health().borrow().primaries;
        self.context
            .tasks
            .iter()
            .for_each(|task| task.failed.begin(primary));
        let began = Instant::now();
        let mut pause = Backoff::default();
        let mut conflicts = WriteConflicts::default();
        let mut first_try = true;
        loop {
            self.answer_overdue(&mut answers, Duration::ZERO);
            let open = |answers: &[Option<Answer>], range: core::ops::Range<usize>| -> Vec<usize> {
                range.filter(|task| answers[*task].is_none()).collect()
            };
            let all_writes = open(&answers, 0..self.writes);
            let writes: Vec<usize> = all_writes
                .iter()
                .copied()
                .filter(|task| *task < retry.end)
                .collect();
            let reads = open(&answers, self.writes..self.context.tasks.len());
            let all: Vec<usize> = all_writes.iter().chain(&reads).copied().collect();
            if all.is_empty() || self.context.state.is_abandoned() {
                return retry.end(answers, None);
            }
            if writes.is_empty() && !all_writes.is_empty() {
                if self.context.state.outcome() == Outcome::NotExecuted {
                    // They wait for the next batch.
                    return retry.end(answers, None);
                }
                // They may have been committed, which this batch must find out.
                retry.end = self.writes;
                continue;
            }
            if !first_try
                && *self.context.stopped.borrow()
                && self.context.state.outcome() == Outcome::NotExecuted
            {
                return self.give_up(retry, answers, &refusal::draining());
            }
            first_try = false;
            if let Err(answer) = self.wait_for_primary(&all).await {
                if let Some(answer) = answer {
                    return self.give_up(retry, answers, &answer);
                }
                continue;
            }

            let to_run = self.to_run(&writes, &retry.rejected);
            let settle = self.context.state.outcome() == Outcome::Unknown || conflicts.are_many();
            let tried = self
                .run_transaction(&writes, to_run.clone(), settle, &all_writes, &mut retry)
                .await;
            match tried {
                Ok(committed) => {
                    self.context.merging.batch_ended();
                    for (task, answer) in committed.answers {
                        answers[task] = Some(answer.map(|reply| result(&self.context.tasks[task], reply)));
                    }
                    return retry.end(answers, committed.at);
                }
                Err(TransactionError::Refused { task, answer }) => retry.reject(task, answer, 1),
                Err(TransactionError::Statement { task, failed }) => {
                    let in_time = began.elapsed() < self.context.settings.batch_time;
                    let learned = retry.statement_failed(&to_run, task);
                    let failed = failed.filter(|_| learned);
                    let is_remembered = failed.is_some();
                    if let Some(failed) = failed {
                        self.context.tasks[task].failed.add(failed);
                    }
                    if is_remembered && !in_time && self.context.state.outcome() == Outcome::NotExecuted {
                        // The others go first. It goes on in a batch of its own with what was
                        // learned.
                        retry.yields = Some(task);
                        return retry.end(answers, None);
                    }
                }
                Err(TransactionError::Repeated) => retry.careful = true,
                Err(TransactionError::Unsettled) => {}
                Err(TransactionError::Fenced) => {
                    let fenced = refusal::fenced(self.context.epoch, self.context.state.outcome());
                    return BatchResult {
                        fenced: true,
                        ..self.give_up(retry, answers, &fenced)
                    };
                }
                Err(TransactionError::Abandoned) => return retry.end(answers, None),
                // A command's time is up a moment before its deadline is.
                Err(TransactionError::Overdue) => self.answer_overdue(&mut answers, SLACK),
                Err(stop @ (TransactionError::Again(_) | TransactionError::Conflict { .. })) => {
                    tracing::debug!(epoch = self.context.epoch, ?stop, "running the transaction again");
                    if let TransactionError::Conflict { task, .. } = stop {
                        conflicts
                            .met_another(self.context.database, self.context.session)
                            .await;
                        // Which looks at the fence first: what is in the way may be a successor's.
                        retry.careful |= conflicts.are_many();
                        if conflicts.are_many() {
                            self.context.state.set_conflicts();
                        }
                        if let Some(task) = task
                            && to_run.len() > 1
                            && self.context.state.outcome() == Outcome::NotExecuted
                        {
                            retry.at_fault.push((task, 1));
                            self.context.tasks[task].set_conflict();
                            return BatchResult {
                                yields: Some(task),
                                ..retry.end(answers, None)
                            };
                        }
                    } else {
                        for task in &to_run {
                            self.context.tasks[*task].failed.forget();
                        }
                    }
                    // What was refused may have been refused by a primary that is none any more.
                    retry.rejected = Rejected::default();
                    let settled = self.context.state.outcome() == Outcome::NotExecuted;
                    retry.careful |= !settled;
                    let before = retry.narrowed_to;
                    let yields = retry.fails_again(&to_run);
                    if retry.narrowed_to != before {
                        // Fewer commands are tried now, and others should not wait for long pauses.
                        pause = Backoff::default();
                    }
                    if yields && settled {
                        retry.at_fault.push((to_run[0], TRIES_ALONE));
                        if conflicts.are_many() {
                            self.context.tasks[to_run[0]].set_conflict();
                        }
                        return BatchResult {
                            yields: Some(to_run[0]),
                            ..retry.end(answers, None)
                        };
                    }
                    let latest = all.iter().map(|task| self.context.tasks[*task].deadline).max();
                    let latest = latest.unwrap_or_else(Instant::now);
                    sleep(pause.next().min(latest.saturating_duration_since(Instant::now()))).await;
                }
                Err(TransactionError::Failed(fault)) => {
                    tracing::debug!(
                        epoch = self.context.epoch,
                        ?fault,
                        commands = to_run.len(),
                        "a try has failed"
                    );
                    if let Some(fault) = retry.narrow_down(&to_run, fault) {
                        let reason = fault.reason;
                        tracing::error!(
                            epoch = self.context.epoch,
                            reason,
                            "a transaction failed for no fault of a command"
                        );
                        let failed = refusal::internal(self.context.state.outcome(), reason);
                        return self.give_up(retry, answers, &failed);
                    }
                    sleep(pause.next()).await;
                }
            }
        }
    }

    /// The commands of these that the next try executes.
    fn to_run(&self, writes: &[usize], rejected: &Rejected) -> Vec<usize> {
        let is_rejected = |task: &usize| rejected.commands.iter().any(|(other, _)| other == task);
        // A question before a write of the same source waits for the next batch.
        let is_command = |task: &usize| self.context.tasks[*task].command().is_some();
        let to_run = writes.iter().copied();
        to_run
            .filter(|task| is_command(task) && !is_rejected(task))
            .collect()
    }

    async fn run_transaction(
        &mut self,
        writes: &[usize],
        to_run: Vec<usize>,
        settle: bool,
        open: &[usize],
        retry: &mut RetryState,
    ) -> Result<Committed, TransactionError> {
        let mut transaction = Transaction {
            context: &mut self.context,
            careful: retry.careful,
            settle,
        };
        if writes.is_empty() {
            let at = Some(transaction.mark().await?);
            let answers = Vec::new();
            return Ok(Committed { answers, at });
        }
        let rejected = &mut retry.rejected;
        rejected.commands.retain(|(task, _)| writes.contains(task));
        transaction.commit_all(to_run, rejected, open).await
    }

    fn answer_overdue(&self, answers: &mut [Option<Answer>], slack: Duration) {
        let now = Instant::now() + slack;
        for (index, (task, answer)) in self.context.tasks.iter().zip(answers).enumerate() {
            if answer.is_none() && task.deadline <= now {
                let overdue = refusal::overdue(self.outcome_of(index));
                *answer = Some(Err(self.context.state.explain(overdue)));
            }
        }
    }

    /// What is known of a command that gets no reply.
    fn outcome_of(&self, task: usize) -> Outcome {
        if task < self.writes {
            self.context.state.outcome()
        } else {
            Outcome::NotExecuted
        }
    }

    /// Waits until MongoDB has a primary, unless this server is to end its work: then the next
    /// coordinator looks for one. `Err(None)`: a deadline has passed meanwhile.
    pub(super) async fn wait_for_primary(&self, open: &[usize]) -> Result<(), Option<ErrorFrame>> {
        let mut health = self.context.database.health();
        let in_doubt = self.context.state.outcome() == Outcome::Unknown;
        let open = open.iter().map(|task| &self.context.tasks[*task]);
        let deadline = open
            .clone()
            .map(|task| task.deadline)
            .min()
            .unwrap_or_else(Instant::now);
        let patience = open
            .map(|task| task.submitted + self.context.settings.primary_wait)
            .min();
        let until = match patience {
            Some(patience) if !in_doubt => patience.min(deadline),
            _ => deadline,
        };
        let mut stopped = self.context.stopped.clone();
        // Only channels are waited for here, no futures of the driver's.
        tokio::select! {
            biased;
            Ok(_) = health.wait_for(|health| health.available) => return Ok(()),
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = sleep_until(until) => if until == deadline {
                return Err(None);
            }
        }
        let reason = health.borrow().error.clone().unwrap_or_default();
        Err(Some(refusal::unavailable(self.context.state.outcome(), &reason)))
    }

    fn give_up(
        &self,
        retry: RetryState,
        mut answers: Vec<Option<Answer>>,
        frame: &ErrorFrame,
    ) -> BatchResult {
        for (task, answer) in answers.iter_mut().enumerate() {
            answer.get_or_insert_with(|| {
                let mut frame = frame.clone();
                if task >= self.writes {
                    frame.outcome = Outcome::NotExecuted;
                }
                Err(frame)
            });
        }
        retry.end(answers, None)
    }
}

/// MongoDB measures `maxTimeMS` in its own clock ticks: a command stopped this close to its
/// deadline was stopped by it.
const SLACK: Duration = Duration::from_millis(20);

/// The answer to a command that was executed.
pub(super) fn result(task: &Task, reply: UncommittedReply) -> CommandResult {
    CommandResult {
        id: task.id,
        epoch: reply.epoch,
        replayed: reply.replayed,
        result: reply.reply,
    }
}
