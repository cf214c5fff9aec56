//! One turn: commands in, answers out, one committed transaction in between.
//!
//! The transaction is written out by hand instead of with the driver's convenience method, because every
//! try has to look again at the fence, at the ids, at the deadlines and at whether to go on at all.

use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};

use bellwether_protocol::{CommandResult, ErrorFrame, Outcome};
use bson::{Bson, Document};
use mongodb::error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::backoff::Backoff;
use super::execute::{collect, execute};
use super::failure::{Failure, check_reply};
use super::job::Task;
use super::lane::Lane;
use super::{Answer, Settings, record, refusal};
use crate::command::canonical;
use crate::database::codes::DUPLICATE_KEY;
use crate::database::{Database, Fence};

/// One run through the commands of a turn.
pub(super) struct Turn<'a> {
    pub(super) database: &'a Database,
    pub(super) settings: &'a Settings,
    pub(super) epoch: u64,
    pub(super) lane: &'a mut Lane,
    pub(super) stopped: &'a watch::Receiver<bool>,
    pub(super) doubt: &'a Doubt,
}

/// How a turn ended.
pub(super) struct Ended {
    /// One for each command, in their order.
    pub(super) answers: Vec<Answer>,
    /// Whether a later epoch has been granted.
    pub(super) fenced: bool,
}

/// Whether a commit was sent of which it is not known if it happened. Set before the commit leaves, cleared
/// when a later transaction has written the fence and looked the ids up: the two exclude each other, so
/// what is then not found has not happened and cannot happen any more.
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

    fn set(&self, doubt: bool) {
        self.0.store(doubt, Ordering::Relaxed);
    }
}

/// Why a try did not end with a commit.
enum Stop {
    /// Try again from the start.
    Again(String),
    /// Leave out this command and try again with the others.
    Without { index: usize, answer: ErrorFrame },
    /// A later epoch has been granted.
    Fenced,
    /// A deadline passed before the commit was sent.
    Overdue,
    /// Nothing more can be done.
    GiveUp(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transient(reason) => Self::Again(reason),
            Failure::OutOfTime => Self::Overdue,
            Failure::Refused(error) => Self::GiveUp(format!("{} ({})", error.message, error.code_name)),
            Failure::TooLarge => Self::GiveUp("the stored replies are too large to read".to_owned()),
            Failure::Broken(reason) => Self::GiveUp(reason),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// A reply that waits for the commit.
struct Pending {
    document: Document,
    epoch: u64,
    replayed: bool,
}

impl Turn<'_> {
    pub(super) async fn run(mut self, tasks: &[Task]) -> Ended {
        let mut answers: Vec<Option<Answer>> = tasks.iter().map(|_| None).collect();
        let mut pause = Backoff::default();
        let mut first_try = true;
        loop {
            let now = Instant::now();
            for (task, answer) in tasks.iter().zip(&mut answers) {
                if answer.is_none() && task.deadline <= now {
                    *answer = Some(Err(refusal::overdue(self.doubt.outcome())));
                }
            }
            let open: Vec<usize> = (0..tasks.len())
                .filter(|index| answers[*index].is_none())
                .collect();
            if open.is_empty() {
                return ended(answers, false);
            }
            if !first_try && *self.stopped.borrow() && self.doubt.outcome() == Outcome::NotExecuted {
                return self.give_up(answers, refusal::draining());
            }
            first_try = false;
            if let Err(answer) = self.wait_for_primary(tasks, &open).await {
                if let Some(answer) = answer {
                    return self.give_up(answers, answer);
                }
                continue;
            }

            match self.attempt(tasks, &open).await {
                Ok(replies) => {
                    for (index, reply) in open.into_iter().zip(replies) {
                        answers[index] = Some(self.result(&tasks[index], reply));
                    }
                    return ended(answers, false);
                }
                Err(Stop::Without { index, answer }) => {
                    answers[index] = Some(Err(answer));
                }
                Err(Stop::Fenced) => {
                    let fenced = refusal::fenced(self.epoch, self.doubt.outcome());
                    return Ended {
                        fenced: true,
                        ..self.give_up(answers, fenced)
                    };
                }
                Err(Stop::Overdue) => {
                    // The command's time is up a moment before its deadline is.
                    for index in open {
                        if tasks[index].deadline <= Instant::now() + SLACK {
                            answers[index] = Some(Err(refusal::overdue(self.doubt.outcome())));
                        }
                    }
                }
                Err(Stop::Again(reason)) => {
                    tracing::debug!(epoch = self.epoch, reason, "running the transaction again");
                    let latest = latest_deadline(tasks, &open);
                    sleep(pause.next().min(latest.saturating_duration_since(Instant::now()))).await;
                }
                Err(Stop::GiveUp(reason)) => {
                    tracing::error!(
                        epoch = self.epoch,
                        reason,
                        "a transaction failed for no fault of the command"
                    );
                    let failed = refusal::internal(self.doubt.outcome(), reason);
                    return self.give_up(answers, failed);
                }
            }
        }
    }

    /// Waits until MongoDB has a primary. `Err(None)`: a deadline has passed meanwhile.
    async fn wait_for_primary(&self, tasks: &[Task], open: &[usize]) -> Result<(), Option<ErrorFrame>> {
        let mut health = self.database.health();
        let in_doubt = self.doubt.outcome() == Outcome::Unknown;
        let open = open.iter().map(|index| &tasks[*index]);
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
        // Only a channel is waited for here, no future of the driver's.
        if let Ok(Ok(_)) = timeout_at(until, health.wait_for(|health| health.available)).await {
            return Ok(());
        }
        if until == deadline {
            return Err(None);
        }
        let reason = health.borrow().error.clone().unwrap_or_default();
        Err(Some(refusal::unavailable(self.doubt.outcome(), &reason)))
    }

    /// One transaction over the commands that are still open.
    async fn attempt(&mut self, tasks: &[Task], open: &[usize]) -> Result<Vec<Pending>, Stop> {
        self.database.prepare().await?;
        let latest = latest_deadline(tasks, open);
        self.lane.begin(remaining(latest)).await?;
        self.hold_fence().await?;

        let system = self.database.system();
        let look_up = record::find(open.iter().map(|index| tasks[*index].id));
        let mut found = collect(self.lane, system, &look_up, usize::MAX).await?;
        let mut known = record::read(take_documents(&mut found));
        self.doubt.set(false);

        let mut replies = Vec::with_capacity(open.len());
        let mut records = Vec::new();
        for &index in open {
            let task = &tasks[index];
            if let Some(known) = known.remove(&task.id.as_bytes()[..]) {
                if !known.is_of(task) {
                    let answer = refusal::id_reused();
                    return Err(Stop::Without { index, answer });
                }
                replies.push(Pending {
                    document: known.reply,
                    epoch: known.epoch,
                    replayed: true,
                });
                continue;
            }
            let [part] = task.command.parts() else {
                return Err(Stop::GiveUp("a list was queued".to_owned()));
            };
            let users = self.database.users();
            let reply = execute(self.lane, users, part, remaining(task.deadline)).await;
            let reply = reply.map_err(|failure| of_command(failure, index))?;
            records.push(record::new(task, &reply.encoded, self.epoch));
            replies.push(Pending {
                document: reply.document,
                epoch: self.epoch,
                replayed: false,
            });
        }
        if !records.is_empty() {
            let inserted = self.lane.run(system, record::insert(records)).await?;
            check_reply(&inserted).map_err(|failure| match failure {
                Failure::Refused(error) if error.code == DUPLICATE_KEY => Stop::Again(error.message),
                other => other.into(),
            })?;
        }

        // Whoever was overdue has been told that nothing was executed, and that must stay true.
        let now = Instant::now();
        if open.iter().any(|index| tasks[*index].deadline <= now) {
            return Err(Stop::Overdue);
        }
        self.doubt.set(true);
        self.commit(latest).await?;
        self.doubt.set(false);
        Ok(replies)
    }

    async fn hold_fence(&mut self) -> Result<(), Stop> {
        let held = self
            .lane
            .run_document(self.database.system(), &Fence::hold(self.epoch))
            .await?;
        check_reply(&held)?;
        match held.get_i32("n") {
            Ok(1) => Ok(()),
            _ => Err(Stop::Fenced),
        }
    }

    /// Commits, again and again while it is unknown whether it happened and there is time.
    async fn commit(&mut self, latest: Instant) -> Result<(), Stop> {
        let mut pause = Backoff::default();
        loop {
            let Err(error) = self.lane.commit().await else {
                return Ok(());
            };
            let reason = error.kind.to_string();
            if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && Instant::now() < latest {
                tracing::debug!(epoch = self.epoch, reason, "committing again");
                sleep(pause.next()).await;
            } else if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
                || error.contains_label(TRANSIENT_TRANSACTION_ERROR)
            {
                return Err(Stop::Again(reason));
            } else {
                return Err(Stop::GiveUp(format!("the commit failed: {reason}")));
            }
        }
    }

    fn result(&self, task: &Task, reply: Pending) -> Answer {
        let result = canonical(reply.document).map_err(|error| {
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

    fn give_up(&self, mut answers: Vec<Option<Answer>>, frame: ErrorFrame) -> Ended {
        for answer in &mut answers {
            answer.get_or_insert_with(|| Err(frame.clone()));
        }
        ended(answers, false)
    }
}

/// MongoDB measures `maxTimeMS` in its own clock ticks: a command stopped this close to its deadline was
/// stopped by it.
const SLACK: Duration = Duration::from_millis(20);

fn ended(answers: Vec<Option<Answer>>, fenced: bool) -> Ended {
    let answers = answers.into_iter().flatten().collect();
    Ended { answers, fenced }
}

fn latest_deadline(tasks: &[Task], open: &[usize]) -> Instant {
    let deadlines = open.iter().map(|index| tasks[*index].deadline);
    deadlines.max().unwrap_or_else(Instant::now)
}

fn remaining(deadline: Instant) -> Duration {
    let remaining = deadline.saturating_duration_since(Instant::now());
    remaining.max(Duration::from_millis(1))
}

fn take_documents(reply: &mut Document) -> Vec<Bson> {
    let cursor = reply.get_document_mut("cursor");
    let documents = cursor.and_then(|cursor| cursor.get_array_mut("firstBatch"));
    documents.map(std::mem::take).unwrap_or_default()
}

/// What a failure within one command means for the turn.
fn of_command(failure: Failure, index: usize) -> Stop {
    let answer = match failure {
        Failure::Refused(error) => refusal::mongo(error),
        Failure::TooLarge => refusal::too_large(),
        other => return other.into(),
    };
    Stop::Without { index, answer }
}
