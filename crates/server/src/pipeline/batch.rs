//! One batch: commands in, answers out, one committed transaction in between.
//!
//! The transaction is written out by hand instead of with the driver's convenience method. Every
//! try must check the fence, the ids and the deadlines again, and whether the server must stop.
//!
//! The first try is optimistic: it looks up no id, because hardly any id was executed before. If an
//! id was executed before, or if a command fails, the batch aborts the transaction, and the next
//! try is careful. That try leaves the failed command out. When it has committed, the command is
//! answered with its error. So an error, too, is an answer from a state of the data that a majority
//! has, under an epoch that was the newest. If a second command fails, the next try has only the
//! commands before it, which are known to succeed. The rest waits for the next batch. However many
//! commands fail, no command runs more than a few times.
//!
//! The batch runs a command with `ordered: false` again without the failed statement, until no
//! other statement fails: see [`statements`](super::statements). The command is alone in these
//! tries, and after a while in batches of its own.
//!
//! Some failures name no command: a failure at the commit or at the records, or an unexpected
//! reply. Then the batch tries the first half of the commands alone, and half of that, until the
//! try succeeds or holds one command. A command is at fault if it fails alone twice, while the
//! fence without it commits. The next batch begins with the number of commands that succeeded, and
//! each further batch with twice as many as the batch before. So one bad command among n costs at
//! most 2·log2(n) + 3 tries more.

use bellwether_protocol::{CommandResult, ErrorFrame, Outcome};
use bson::Timestamp;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::batch_context::BatchContext;
use super::job::Task;
use super::record::UncommittedReply;
use super::retry_state::{RetryState, TRIES_ALONE};
use super::transaction::{BACKOFF, Committed, Rejected, Transaction};
use super::transaction_error::TransactionError;
use super::write_conflicts::WriteConflicts;
use super::{Answer, refusal};

/// One run through the commands of a batch.
pub(super) struct Batch<'a> {
    pub(super) context: BatchContext<'a>,
    /// Number of its commands that run in the transaction.
    pub(super) writes: usize,
    /// Highest number of these commands that the first try may have.
    pub(super) limit: usize,
}

/// The result of a batch.
#[derive(Default)]
pub(super) struct BatchResult {
    /// One entry for each command, in their order. A command without an answer has had no effect. A
    /// read without an answer may be executed at [`moment`](Self::moment). The other commands
    /// without an answer wait for another batch.
    pub(super) answers: Vec<Option<Answer>>,
    /// Time of the batch's commit, by MongoDB's clock.
    pub(super) moment: Option<Timestamp>,
    /// `true` if a later epoch has been granted.
    pub(super) fenced: bool,
    /// Number of commands that a try may have, if a try with more commands failed.
    pub(super) narrowed_to: Option<usize>,
    /// Commands that made a try fail, by their place, with the number of tries that each cost the
    /// others.
    pub(super) at_fault: Vec<(usize, u32)>,
    /// A command that waits for a batch without others, for example because it met conflicts.
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
        let mut backoff = BACKOFF;
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
                    // The commands wait for the next batch.
                    return retry.end(answers, None);
                }
                // The commands may have been committed, which this batch must find out.
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
                        // The others go first. This command goes on in a batch of its own, and its
                        // failed statements are still known there.
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
                // MongoDB may stop a command a moment before its deadline.
                Err(TransactionError::Overdue) => {
                    self.answer_overdue(&mut answers, SLACK);
                    let (late, rest): (Vec<usize>, Vec<usize>) =
                        to_run.iter().partition(|task| answers[**task].is_some());
                    // One after another may be late. So each such try halves the next, and counts
                    // against the sources of the late commands.
                    retry.at_fault.extend(late.into_iter().map(|task| (task, 1)));
                    if rest.len() > 1 {
                        retry.halve(&rest);
                    }
                }
                Err(stop @ (TransactionError::Again(_) | TransactionError::Conflict { .. })) => {
                    tracing::debug!(epoch = self.context.epoch, ?stop, "running the transaction again");
                    if let TransactionError::Conflict { task, .. } = stop {
                        conflicts
                            .met_another(self.context.database, self.context.session)
                            .await;
                        // The next try writes the fence first: the transaction that blocks this one
                        // may be a successor's.
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
                    // The server that refused a command may no longer be the primary.
                    retry.rejected = Rejected::default();
                    let settled = self.context.state.outcome() == Outcome::NotExecuted;
                    retry.careful |= !settled;
                    let before = retry.narrowed_to;
                    let yields = retry.fails_again(&to_run);
                    if retry.narrowed_to != before {
                        // The next try has fewer commands, and the others should not wait for long
                        // pauses.
                        backoff = BACKOFF;
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
                    sleep(
                        backoff
                            .next()
                            .min(latest.saturating_duration_since(Instant::now())),
                    )
                    .await;
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
                    sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Returns those of these commands that the next try executes.
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
                let overdue = self.context.state.overdue(self.outcome_of(index));
                *answer = Some(Err(overdue));
            }
        }
    }

    /// Returns the outcome of a command that gets no reply.
    fn outcome_of(&self, task: usize) -> Outcome {
        if task < self.writes {
            self.context.state.outcome()
        } else {
            Outcome::NotExecuted
        }
    }

    /// Waits until MongoDB has a primary. Does not wait if this server must end its work: then the
    /// next coordinator waits for one. Returns `Err(None)` if a deadline has passed meanwhile.
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
        // This waits for channels only, not for futures of the driver.
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

/// Time before its deadline in which a stopped command counts as overdue, because MongoDB measures
/// `maxTimeMS` in its own clock ticks.
const SLACK: Duration = Duration::from_millis(20);

/// Returns the answer to an executed command.
pub(super) fn result(task: &Task, reply: UncommittedReply) -> CommandResult {
    CommandResult {
        id: task.id,
        epoch: reply.epoch,
        replayed: reply.replayed,
        result: reply.reply,
    }
}
