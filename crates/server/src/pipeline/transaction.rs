//! One try at a batch: one transaction, from its first command to its commit.

use core::time::Duration;

use bellwether_protocol::ErrorFrame;
use bson::{Bson, Document, Timestamp};
use tokio::time::{Instant, sleep};

use super::batch_context::BatchContext;
use super::execute::{TimeLimit, collect, execute_merged, remaining, take_documents};
use super::failure::{CommitFailure, Failure};
use super::merge::{Merged, Slot, Step, plan};
use super::record::{LedgerWrite, Record, StoredRecord, UncommittedReply};
use super::replies::{Replies, Reply};
use super::statements::Ran;
use super::suspects::Run;
use super::transaction_error::{Fault, TransactionError, of_part};
use super::{record, statements};
use crate::backoff::Backoff;
use crate::command::Kind;
use crate::database::codes::{MAX_TIME_EXPIRED, WRITE_CONCERN_TIMEOUT};

/// Pauses before another attempt at a transaction, as the specification of MongoDB's drivers
/// describes them.
pub(super) const BACKOFF: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(500))
    .growth(1.5)
    .jitter(1.0);

/// Time limit for a majority write of the fence. When MongoDB has stopped it, the server tries it
/// again.
const MARK_TIMEOUT: Duration = Duration::from_secs(2);

/// Size of the stored replies after which a transaction takes no further commands, in bytes of
/// BSON. So its oplog entries, and the message that stores the replies, stay well below MongoDB's
/// limits.
const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// One try.
pub(super) struct Transaction<'c, 'a> {
    pub(super) context: &'c mut BatchContext<'a>,
    /// `true` if the try looks the ids up first. Otherwise the uniqueness of the records also finds
    /// a repeated id. But nothing is learned from a command that fails, because it may have been
    /// executed before.
    pub(super) careful: bool,
    /// `true` if a transaction of its own writes the fence and looks the ids up before the commands
    /// run. It settles a commit in doubt, and it finds out early that a later epoch was granted.
    /// The commands' own transaction writes the fence last, so that a command that MongoDB cannot
    /// stop does not hold the fence.
    pub(super) settle: bool,
}

/// Commands that MongoDB has refused, with their errors.
#[derive(Default)]
pub(super) struct Rejected {
    pub(super) commands: Vec<(usize, ErrorFrame)>,
    /// `true` if MongoDB refused some of them in a try that had not looked the ids up.
    pub(super) optimistic: bool,
}

/// The result of a commit.
pub(super) struct Committed {
    /// The commands that are settled, by their place, with their answers.
    pub(super) answers: Vec<(usize, Result<UncommittedReply, ErrorFrame>)>,
    /// MongoDB's time of the commit. A read at this time sees everything that was answered before
    /// the batch began.
    pub(super) at: Option<Timestamp>,
}

impl Transaction<'_, '_> {
    /// Marks a moment at which this epoch was the newest, with a majority write of the fence. A
    /// read at the time that it returns sees everything that was answered before the call.
    pub(super) async fn mark(&mut self) -> Result<Timestamp, TransactionError> {
        self.context.database.prepare().await?;
        let mut mark = record::ledger_command(self.context.epoch, &[]);
        let wait = i64::try_from(MARK_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        let majority = bson::rawdoc! { "w": "majority", "wtimeout": wait };
        mark.append(bson::cstr!("writeConcern"), majority);
        mark.append(bson::cstr!("maxTimeMS"), wait);
        // The session must not be in a transaction any more: MongoDB would wait for its end.
        self.context.session.abort().await;
        let marked = self.context.database.system().run_raw_command(mark).await;
        let reply = marked
            .map_err(Failure::from)
            .and_then(|reply| Ok((record::ledger_result(&reply, false)?, reply)));
        let reply = match reply {
            Ok((LedgerWrite::Fenced, _)) => return Err(TransactionError::Fenced),
            Ok((_, reply)) => reply,
            // The write took too long, or the majority did.
            Err(Failure::Refused(error))
                if [MAX_TIME_EXPIRED, WRITE_CONCERN_TIMEOUT].contains(&error.code) =>
            {
                return Err(TransactionError::Again(error.message));
            }
            Err(other) => return Err(other.into()),
        };
        match reply.get("operationTime") {
            Some(Bson::Timestamp(at)) => Ok(*at),
            _ => Err(TransactionError::Failed(Fault::other(
                "MongoDB's reply does not say its time",
            ))),
        }
    }

    /// Runs one transaction with the commands at these places, in their order. Looks up the ids of
    /// the commands in `rejected`, so that their errors count if this commits. `open` are all
    /// writes of the batch that have no answer yet: each of them may be in a commit in doubt.
    pub(super) async fn commit_all(
        &mut self,
        mut to_run: Vec<usize>,
        rejected: &mut Rejected,
        open: &[usize],
    ) -> Result<Committed, TransactionError> {
        self.context.database.prepare().await?;
        let mut all: Vec<usize> = to_run.iter().copied().chain(rejected.tasks()).collect();
        all.sort_unstable();
        let mut known = Vec::new();
        if self.settle {
            known = self.look_up_and_commit(open).await?;
            if known.len() == open.len() {
                self.context.state.set_in_doubt(false);
                let at = self.context.session.operation_time();
                let answers = self.answers_of(known);
                return Ok(Committed { answers, at });
            }
        }
        let latest = self.latest_deadline(&all);
        self.context.session.begin(remaining(latest)).await?;
        if self.careful && !self.settle {
            known = self.look_up(&all).await?;
        }
        if !known.is_empty() && rejected.optimistic {
            // MongoDB refused them in a state in which a command had been executed twice. So they
            // run anew.
            *rejected = Rejected::default();
            to_run = all;
        }
        for (task, _) in &known {
            to_run.retain(|other| other != task);
            rejected.commands.retain(|(other, _)| other != task);
        }
        let mut answers = self.answers_of(known);

        let mut records = Vec::new();
        let replies = self.run(&to_run).await?;
        // The commands from here on have not run. MongoDB refused the commands behind them as if
        // they had run.
        let cut = to_run.get(replies.len()).copied().unwrap_or(usize::MAX);
        for reply in replies {
            let task = &self.context.tasks[reply.task];
            if let Some(command) = task.command().filter(|command| command.kind() != Kind::Read) {
                records.push(record::new(task.id, command.fingerprints(), &reply.stored));
            }
            let pending = UncommittedReply {
                reply: reply.text,
                epoch: self.context.epoch,
                replayed: false,
            };
            answers.push((reply.task, Ok(pending)));
        }
        self.write_ledger(&records).await?;
        let errors = rejected.commands.iter().filter(|(task, _)| *task < cut);
        answers.extend(errors.map(|(task, error)| (*task, Err(error.clone()))));

        if self.context.state.is_abandoned() {
            return Err(TransactionError::Abandoned);
        }
        // The answer to an overdue command says that it was not executed, and that must stay true.
        let now = Instant::now();
        if answers
            .iter()
            .any(|(task, _)| self.context.tasks[*task].deadline <= now)
        {
            return Err(TransactionError::Overdue);
        }
        self.context.state.set_in_doubt(true);
        self.commit(latest).await?;
        self.context.state.set_in_doubt(false);
        let at = self.context.session.operation_time();
        Ok(Committed { answers, at })
    }

    fn latest_deadline(&self, tasks: &[usize]) -> Instant {
        let deadlines = tasks.iter().map(|task| self.context.tasks[*task].deadline);
        deadlines.max().unwrap_or_else(Instant::now)
    }

    fn answers_of(
        &self,
        known: Vec<(usize, StoredRecord)>,
    ) -> Vec<(usize, Result<UncommittedReply, ErrorFrame>)> {
        let answers = known.into_iter().filter_map(|(task, known)| {
            let command = self.context.tasks[task].command()?;
            Some((task, known.answer(command.fingerprints())))
        });
        answers.collect()
    }

    /// Finds the records of these commands in a transaction of its own, which settles a commit in
    /// doubt.
    async fn look_up_and_commit(
        &mut self,
        tasks: &[usize],
    ) -> Result<Vec<(usize, StoredRecord)>, TransactionError> {
        let latest = self.latest_deadline(tasks);
        self.context.session.begin(remaining(latest)).await?;
        let known = self.hold_and_look_up(tasks).await?;
        self.commit(latest).await?;
        // A record that is found may be that of the commit in doubt. Then its command is not
        // answered yet.
        if known.is_empty() {
            self.context.state.set_in_doubt(false);
        }
        Ok(known)
    }

    /// Writes the fence, which excludes every earlier transaction that might still commit, and
    /// finds the records of these commands.
    pub(super) async fn hold_and_look_up(
        &mut self,
        tasks: &[usize],
    ) -> Result<Vec<(usize, StoredRecord)>, TransactionError> {
        self.write_ledger(&[]).await?;
        self.look_up(tasks).await
    }

    /// Finds the records of these commands.
    async fn look_up(&mut self, tasks: &[usize]) -> Result<Vec<(usize, StoredRecord)>, TransactionError> {
        // A read-only command is never recorded.
        let writes = tasks
            .iter()
            .filter(|task| !self.context.tasks[**task].only_reads());
        let ids = writes.map(|task| self.context.tasks[*task].id);
        let mut found = collect(
            self.context.session,
            self.context.database.system(),
            &record::find(ids),
            usize::MAX,
        )
        .await?;
        let mut known = record::read(take_documents(&mut found));
        let known = tasks
            .iter()
            .filter_map(|task| Some((*task, known.remove(&self.context.tasks[*task].id.as_bytes()[..])?)));
        Ok(known.collect())
    }

    /// Runs the commands, and returns the replies of those that have run, in order. The others wait
    /// for another batch if this one takes too long or its replies become too large.
    async fn run(&mut self, open: &[usize]) -> Result<Vec<Reply>, TransactionError> {
        let tasks = self.context.tasks;
        let slots = open.iter().flat_map(|&task| {
            let operations = tasks[task]
                .command()
                .map_or(&[][..], |command| command.operations());
            operations.iter().enumerate().map(move |(index, operation)| Slot {
                task,
                index,
                operation,
            })
        });
        let began = Instant::now();
        let mut replies = Replies::new(tasks);
        for step in plan(slots, self.context.merging.is_on()) {
            if self.context.state.is_abandoned() {
                return Err(TransactionError::Abandoned);
            }
            let enough =
                began.elapsed() > self.context.settings.batch_time || replies.bytes() > MAX_RECORD_BYTES;
            if enough && replies.is_between_commands() {
                break;
            }
            match step {
                Step::One(slot) => {
                    let time_limit = self.time_limit(slot);
                    let run = self.runs(vec![slot.task], time_limit);
                    let users = self.context.database.users();
                    let ran = statements::run(
                        self.context.session,
                        users,
                        &tasks[slot.task],
                        slot.operation,
                        time_limit,
                    )
                    .await;
                    self.ended(run, &ran);
                    let reply = match ran.map_err(|failure| of_part(failure, slot, tasks))? {
                        Ran::Whole(reply) => reply,
                        Ran::Failed(failed) => {
                            return Err(TransactionError::Statement {
                                task: slot.task,
                                failed: Some(failed),
                            });
                        }
                    };
                    replies
                        .push(slot, reply)
                        .map_err(|failure| of_part(failure, slot, tasks))?;
                }
                Step::Merged(merged) => {
                    let operations = self.run_merged(&merged).await?;
                    for (slot, reply) in merged.slots().zip(operations) {
                        replies
                            .push(slot, reply)
                            .map_err(|failure| of_part(failure, slot, tasks))?;
                    }
                }
            }
        }
        Ok(replies.finish())
    }

    /// Runs several operations as one command and returns the reply of each.
    async fn run_merged(&mut self, merged: &Merged<'_>) -> Result<Vec<Document>, TransactionError> {
        let time_limits = merged.slots().map(|slot| self.time_limit(slot));
        let Some(time_limit) = time_limits.min() else {
            return Ok(Vec::new());
        };
        let users = self.context.database.users();
        let run = self.runs(merged.slots().map(|slot| slot.task).collect(), time_limit);
        let reply = execute_merged(self.context.session, users, merged.command(), time_limit).await;
        self.ended(run, &reply);
        match reply {
            Ok(reply) => {
                if let Some(operations) = merged.split(&reply) {
                    return Ok(operations);
                }
            }
            Err(Failure::Refused(mut error)) => {
                if let Some((slot, index)) = error.index.and_then(|index| merged.locate(index)) {
                    if self.context.tasks[slot.task].is_unordered() {
                        return Err(TransactionError::Statement {
                            task: slot.task,
                            failed: None,
                        });
                    }
                    error.index = Some(index);
                    return Err(of_part(Failure::Refused(error), slot, self.context.tasks));
                }
            }
            // It is not known which command's time is over.
            Err(Failure::OutOfTime) => {
                self.context.merging.failed();
                return Err(TransactionError::Overdue);
            }
            // An unmerged try names the command that meets the conflict.
            Err(Failure::Conflict(_)) => {}
            Err(other) => return Err(other.into()),
        }
        self.context.merging.failed();
        Err(TransactionError::Unsettled)
    }

    /// Records that MongoDB works on these commands.
    fn runs(&self, tasks: Vec<usize>, time_limit: TimeLimit) -> Run {
        let commands = tasks
            .iter()
            .filter_map(|task| self.context.tasks[*task].command());
        let run = self.context.suspects.run(commands);
        self.context.state.set_running(tasks, Some(time_limit.time()));
        run
    }

    /// Records the end of a run.
    fn ended<T>(&self, run: Run, reply: &Result<T, Failure>) {
        run.ends(reply);
        self.context.state.set_idle();
    }

    fn time_limit(&self, slot: Slot<'_>) -> TimeLimit {
        TimeLimit::new(
            slot.operation,
            self.context.tasks[slot.task].deadline,
            self.context.settings,
        )
    }

    /// Writes the fence and these records.
    pub(super) async fn write_ledger(&mut self, records: &[Record]) -> Result<(), TransactionError> {
        let ledger_command = record::ledger_command(self.context.epoch, records);
        let reply = self
            .context
            .session
            .run(self.context.database.system(), ledger_command)
            .await?;
        match record::ledger_result(&reply, !records.is_empty())? {
            LedgerWrite::Done => Ok(()),
            LedgerWrite::Fenced => Err(TransactionError::Fenced),
            LedgerWrite::Repeated if self.careful => Err(TransactionError::Failed(Fault::other(
                "the ledger holds a document under this id that is no record",
            ))),
            LedgerWrite::Repeated => Err(TransactionError::Repeated),
        }
    }

    /// Commits, and repeats the commit while it is in doubt. Ends when the time is over, or when
    /// another server can find out sooner.
    pub(super) async fn commit(&mut self, latest: Instant) -> Result<(), TransactionError> {
        let mut backoff = BACKOFF;
        loop {
            if self.context.state.is_abandoned() {
                return Err(TransactionError::Abandoned);
            }
            let Err(CommitFailure { in_doubt, failure }) = self.context.session.commit().await else {
                return Ok(());
            };
            let in_time = Instant::now() < latest && !self.is_left_to_others();
            if in_doubt && in_time {
                tracing::debug!(epoch = self.context.epoch, ?failure, "committing again");
                sleep(backoff.next()).await;
            } else if in_doubt {
                return Err(TransactionError::Again(failure.to_string()));
            } else {
                // This includes a session that a successor, or this server's own next claim, has
                // ended.
                return Err(failure.into());
            }
        }
    }

    /// Returns `true` if this server must end its work and sees no primary. The next coordinator
    /// waits for that end. It may see a primary itself, and finds the outcome of the commit there.
    fn is_left_to_others(&self) -> bool {
        *self.context.stopped.borrow() && !self.context.database.health().borrow().available
    }
}

impl Rejected {
    fn tasks(&self) -> impl Iterator<Item = usize> {
        self.commands.iter().map(|(task, _)| *task)
    }
}
