//! One turn: commands in, answers out, one committed transaction in between.
//!
//! The transaction is written out by hand instead of with the driver's convenience method, because every
//! try has to look again at the fence, at the ids, at the deadlines and at whether to go on at all.
//!
//! The first try is hopeful: it looks no id up, since hardly any was executed before. If one was, or if a command fails,
//! the transaction is aborted and the next try is careful. A command that failed is then left out and is
//! answered with its error once that try has committed: so an error, too, is an answer from a
//! state of the data that a majority has, under an epoch that was the newest. If a second command fails, only
//! those before it are tried once more, which is known to succeed, and the rest waits for the next turn: however many
//! fail, no command runs more than a few times.

use std::sync::atomic::{AtomicBool, Ordering};

use bellwether_protocol::{CommandResult, ErrorFrame, Outcome};
use bson::Timestamp;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::attempt::{Attempt, Committed, Rejected, Stop};
use super::backoff::Backoff;
use super::bet::Bet;
use super::conflicts::Conflicts;
use super::job::Task;
use super::lane::Lane;
use super::record::Pending;
use super::{Answer, Settings, refusal};
use crate::command::canonical;
use crate::database::Database;

/// One run through the commands of a turn.
pub(super) struct Turn<'a> {
    pub(super) database: &'a Database,
    pub(super) settings: &'a Settings,
    pub(super) epoch: u64,
    pub(super) lane: &'a mut Lane,
    pub(super) stopped: &'a watch::Receiver<bool>,
    pub(super) doubt: &'a Doubt,
    pub(super) merging: &'a mut Bet,
    /// The commands to execute in the transaction and, after them, those that are read when it has committed.
    pub(super) tasks: &'a [Task],
    /// How many of them are for the transaction.
    pub(super) writes: usize,
}

/// How a turn ended.
pub(super) struct Ended {
    /// One for each command, in their order. Those without an answer have had no effect: the ones to read may be read
    /// at [`moment`](Self::moment), the others wait for another turn.
    pub(super) answers: Vec<Option<Answer>>,
    /// When the turn was committed, by MongoDB's clock.
    pub(super) moment: Option<Timestamp>,
    /// Whether a later epoch has been granted.
    pub(super) fenced: bool,
}

/// Whether a commit was sent of which it is not known if it happened. Set before the commit leaves, cleared
/// when a later transaction has written the fence and found none of the ids: the two exclude each other, so
/// what is then not found has not happened and cannot happen any more. What is found is settled when that
/// transaction has committed.
#[derive(Debug, Default)]
pub(super) struct Doubt(AtomicBool);

impl Doubt {
    pub(super) fn outcome(&self) -> Outcome {
        if self.0.load(Ordering::Relaxed) {
            Outcome::Unknown
        } else {
            Outcome::NotExecuted
        }
    }

    pub(super) fn set(&self, doubt: bool) {
        self.0.store(doubt, Ordering::Relaxed);
    }
}

/// What the tries so far have taught.
struct Lessons {
    careful: bool,
    rejected: Rejected,
    /// Commands from here on wait for another turn.
    end: usize,
}

impl Turn<'_> {
    pub(super) async fn run(mut self) -> Ended {
        let mut answers: Vec<Option<Answer>> = self.tasks.iter().map(|_| None).collect();
        let mut lessons = Lessons {
            careful: false,
            rejected: Rejected::default(),
            end: self.writes,
        };
        let mut pause = Backoff::default();
        let mut conflicts = Conflicts::default();
        let mut first_try = true;
        loop {
            self.answer_overdue(&mut answers, Duration::ZERO);
            let open = |answers: &[Option<Answer>], range: core::ops::Range<usize>| -> Vec<usize> {
                range.filter(|task| answers[*task].is_none()).collect()
            };
            let writes = open(&answers, 0..lessons.end);
            let reads = open(&answers, self.writes..self.tasks.len());
            let all: Vec<usize> = writes.iter().chain(&reads).copied().collect();
            if all.is_empty() {
                return ended(answers, None);
            }
            if !first_try && *self.stopped.borrow() && self.doubt.outcome() == Outcome::NotExecuted {
                return self.give_up(answers, &refusal::draining());
            }
            first_try = false;
            if let Err(answer) = self.wait_for_primary(&all).await {
                if let Some(answer) = answer {
                    return self.give_up(answers, &answer);
                }
                continue;
            }

            match self.attempt(&writes, &mut lessons).await {
                Ok(committed) => {
                    self.merging.turn_ended();
                    for (task, answer) in committed.answers {
                        answers[task] = Some(answer.and_then(|reply| result(&self.tasks[task], reply)));
                    }
                    return ended(answers, committed.at);
                }
                Err(Stop::Refused { task, answer }) => {
                    if !lessons.rejected.commands.is_empty() {
                        lessons.end = task + 1;
                    }
                    lessons.rejected.hopeful |= !lessons.careful;
                    lessons.rejected.commands.push((task, answer));
                    lessons.careful = true;
                }
                Err(Stop::Repeated) => lessons.careful = true,
                Err(Stop::Unsettled) => {}
                Err(Stop::Fenced) => {
                    let fenced = refusal::fenced(self.epoch, self.doubt.outcome());
                    return Ended {
                        fenced: true,
                        ..self.give_up(answers, &fenced)
                    };
                }
                // A command's time is up a moment before its deadline is.
                Err(Stop::Overdue) => self.answer_overdue(&mut answers, SLACK),
                Err(stop @ (Stop::Again(_) | Stop::Conflict(_))) => {
                    tracing::debug!(epoch = self.epoch, ?stop, "running the transaction again");
                    if matches!(stop, Stop::Conflict(_)) {
                        conflicts.met_another(self.database, self.lane).await;
                        // Which looks at the fence first: what is in the way may be a successor's.
                        lessons.careful |= conflicts.are_many();
                    }
                    // What was refused may have been refused by a primary that is none any more.
                    lessons.rejected = Rejected::default();
                    lessons.careful |= self.doubt.outcome() == Outcome::Unknown;
                    let latest = all.iter().map(|task| self.tasks[*task].deadline).max();
                    let latest = latest.unwrap_or_else(Instant::now);
                    sleep(pause.next().min(latest.saturating_duration_since(Instant::now()))).await;
                }
                Err(Stop::GiveUp(reason)) => {
                    tracing::error!(
                        epoch = self.epoch,
                        reason,
                        "a transaction failed for no fault of the command"
                    );
                    let failed = refusal::internal(self.doubt.outcome(), reason);
                    return self.give_up(answers, &failed);
                }
            }
        }
    }

    async fn attempt(&mut self, writes: &[usize], lessons: &mut Lessons) -> Result<Committed, Stop> {
        let mut attempt = Attempt {
            database: self.database,
            settings: self.settings,
            epoch: self.epoch,
            lane: self.lane,
            stopped: self.stopped,
            doubt: self.doubt,
            merging: self.merging,
            tasks: self.tasks,
            careful: lessons.careful,
        };
        if writes.is_empty() {
            let at = Some(attempt.mark().await?);
            let answers = Vec::new();
            return Ok(Committed { answers, at });
        }
        let rejected = &mut lessons.rejected;
        rejected.commands.retain(|(task, _)| writes.contains(task));
        let is_rejected = |task: &usize| rejected.commands.iter().any(|(other, _)| other == task);
        // A question before a write of the same source waits for the next turn.
        let is_command = |task: &usize| self.tasks[*task].command().is_some();
        let to_run = writes
            .iter()
            .copied()
            .filter(|task| is_command(task) && !is_rejected(task));
        let to_run = to_run.collect();
        attempt.commit_all(to_run, rejected).await
    }

    fn answer_overdue(&self, answers: &mut [Option<Answer>], slack: Duration) {
        let now = Instant::now() + slack;
        for (index, (task, answer)) in self.tasks.iter().zip(answers).enumerate() {
            if answer.is_none() && task.deadline <= now {
                *answer = Some(Err(refusal::overdue(self.outcome_of(index))));
            }
        }
    }

    /// What is known of a command that gets no reply.
    fn outcome_of(&self, task: usize) -> Outcome {
        if task < self.writes {
            self.doubt.outcome()
        } else {
            Outcome::NotExecuted
        }
    }

    /// Waits until MongoDB has a primary, unless this server is to end its work: then the next coordinator looks for one.
    /// `Err(None)`: a deadline has passed meanwhile.
    pub(super) async fn wait_for_primary(&self, open: &[usize]) -> Result<(), Option<ErrorFrame>> {
        let mut health = self.database.health();
        let in_doubt = self.doubt.outcome() == Outcome::Unknown;
        let open = open.iter().map(|task| &self.tasks[*task]);
        let deadline = open
            .clone()
            .map(|task| task.deadline)
            .min()
            .unwrap_or_else(Instant::now);
        let patience = open.map(|task| task.submitted + self.settings.primary_wait).min();
        let until = match patience {
            Some(patience) if !in_doubt => patience.min(deadline),
            _ => deadline,
        };
        let mut stopped = self.stopped.clone();
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
        Err(Some(refusal::unavailable(self.doubt.outcome(), &reason)))
    }

    fn give_up(&self, mut answers: Vec<Option<Answer>>, frame: &ErrorFrame) -> Ended {
        for (task, answer) in answers.iter_mut().enumerate() {
            answer.get_or_insert_with(|| {
                let mut frame = frame.clone();
                if task >= self.writes {
                    frame.outcome = Outcome::NotExecuted;
                }
                Err(frame)
            });
        }
        ended(answers, None)
    }
}

/// MongoDB measures `maxTimeMS` in its own clock ticks: a command stopped this close to its deadline was
/// stopped by it.
const SLACK: Duration = Duration::from_millis(20);

fn ended(answers: Vec<Option<Answer>>, moment: Option<Timestamp>) -> Ended {
    Ended {
        answers,
        moment,
        fenced: false,
    }
}

/// A reply as it is sent.
pub(super) fn result(task: &Task, reply: Pending) -> Answer {
    let result = canonical(reply.reply).map_err(|error| {
        let reason = format!("the reply cannot be written as Extended JSON: {error}");
        refusal::internal(Outcome::Executed, reason)
    })?;
    Ok(CommandResult {
        id: task.id,
        epoch: reply.epoch,
        replayed: reply.replayed,
        result,
    })
}
