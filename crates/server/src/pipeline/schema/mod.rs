//! Commands on collections and indexes, each a batch of its own.
//!
//! MongoDB executes them outside transactions, so the fence and the record cannot be in the same
//! transaction. Instead a command that changes something takes three steps:
//!
//! 1. a transaction writes the fence and a record that says *begun*, with the target of the
//!    command;
//! 2. a second transaction writes the fence; while it is open, the command is executed outside of
//!    it;
//! 3. the second transaction stores the reply in the record and commits to a majority.
//!
//! A coordinator that dies in between leaves the record behind. A server that receives the command
//! again executes it again, and knows that it may have been executed. It is then no error if the
//! collection is there already, or gone already. While the second transaction is open, no other
//! primary can have been elected. So MongoDB's replies about collections in the meantime are
//! committed together with it. For the same reason the replies to `listCollections` and
//! `listIndexes` in such a transaction show the state that a majority has.
//!
//! These steps cannot stop a change that a coordinator has sent and that is still on its way when
//! another server takes over. `drop`, `createIndexes` and `dropIndexes` therefore name the
//! collection that they were begun on by its UUID. So they never change another collection of the
//! same name.

mod target;

use std::sync::Arc;

use bellwether_protocol::{CommandResult, MAX_RESULT_BYTES, MongoError, Outcome, RawJson};
use bson::{Document, doc};
use tokio::time::{Instant, sleep};

use super::batch::{Batch, BatchResult, result};
use super::execute::{TimeLimit, collect, refused, remaining, without_driver_fields};
use super::failure::{Failure, check_reply};
use super::job::Task;
use super::record::{self, UncommittedReply};
use super::replies::{encode, write};
use super::suspects::Run;
use super::transaction::{BACKOFF, Transaction};
use super::transaction_error::{Fault, TransactionError};
use super::transaction_session::TransactionSession;
use super::{Answer, refusal};
use crate::command::{CommandName, Kind, Operation, ParsedCommand};
use crate::database::codes::{MAX_TIME_EXPIRED, NAMESPACE_NOT_FOUND};
use target::Target;

/// Returns the command on collections or indexes, if these tasks are one such command.
pub(super) fn only(tasks: &[Arc<Task>]) -> Option<(&ParsedCommand, &Operation)> {
    let [task] = tasks else {
        return None;
    };
    let command = task.command().filter(|command| command.kind() == Kind::Schema)?;
    Some((command, command.operations().first()?))
}

/// A batch with one command on collections or indexes.
pub(super) struct SchemaBatch<'a> {
    batch: Batch<'a>,
    command: &'a ParsedCommand,
    operation: &'a Operation,
    /// `true` if this batch wrote the record that says *begun*.
    began: bool,
    /// `true` if MongoDB may have executed the command.
    sent: bool,
}

/// MongoDB's answer to a change.
enum Change {
    Done(Document),
    Refused(MongoError),
}

impl<'a> SchemaBatch<'a> {
    pub(super) fn new(batch: Batch<'a>, command: &'a ParsedCommand, operation: &'a Operation) -> Self {
        Self {
            batch,
            command,
            operation,
            began: false,
            sent: false,
        }
    }

    pub(super) async fn run(mut self) -> BatchResult {
        let mut backoff = BACKOFF;
        let mut first_try = true;
        loop {
            let outcome = self.batch.context.state.outcome();
            let deadline = self.task().deadline;
            if deadline <= Instant::now() {
                return ended(Err(refusal::overdue(outcome)));
            }
            if !first_try && *self.batch.context.stopped.borrow() && outcome == Outcome::NotExecuted {
                return ended(Err(refusal::draining()));
            }
            first_try = false;
            match self.batch.wait_for_primary(&[0]).await {
                Ok(()) => {}
                Err(Some(answer)) => return ended(Err(answer)),
                Err(None) => continue,
            }
            let stop = match self.try_once().await {
                Ok(answer) => return ended(answer),
                Err(stop) => stop,
            };
            let outcome = self.batch.context.state.outcome();
            match stop {
                TransactionError::Again(reason) | TransactionError::Conflict { reason, .. } => {
                    tracing::debug!(
                        epoch = self.batch.context.epoch,
                        reason,
                        "running the command again"
                    );
                    let left = deadline.saturating_duration_since(Instant::now());
                    sleep(backoff.next().min(left)).await;
                }
                TransactionError::Repeated
                | TransactionError::Unsettled
                | TransactionError::Statement { .. } => {}
                TransactionError::Fenced => {
                    return BatchResult {
                        fenced: true,
                        ..ended(Err(refusal::fenced(self.batch.context.epoch, outcome)))
                    };
                }
                TransactionError::Overdue => return ended(Err(refusal::overdue(outcome))),
                TransactionError::Refused { answer, .. } => return ended(Err(answer)),
                TransactionError::Abandoned => return ended(Err(refusal::overdue(outcome))),
                TransactionError::Failed(fault) => {
                    let reason = fault.reason;
                    tracing::error!(
                        epoch = self.batch.context.epoch,
                        reason,
                        "a command on collections failed for no fault of its own"
                    );
                    return ended(Err(refusal::internal(outcome, reason)));
                }
            }
        }
    }

    async fn try_once(&mut self) -> Result<Answer, TransactionError> {
        if matches!(
            self.operation.name(),
            CommandName::ListCollections | CommandName::ListIndexes
        ) {
            return self.list().await;
        }
        loop {
            self.open().await?;
            let known = self.transaction().hold_and_look_up(&[0]).await?;
            self.set_sent(self.sent);
            let Some((_, known)) = known.into_iter().next() else {
                self.begin().await?;
                continue;
            };
            return match known.begun(self.command.fingerprints()) {
                Some(target) => self.carry_out(&target).await,
                None => {
                    self.commit().await?;
                    let answer = known.answer(self.command.fingerprints());
                    Ok(answer.map(|reply| result(self.task(), reply)))
                }
            };
        }
    }

    /// Lists the collections or indexes, as a transaction that holds the fence sees them.
    async fn list(&mut self) -> Result<Answer, TransactionError> {
        self.open().await?;
        self.transaction().write_ledger(&[]).await?;
        let mut body = self.operation.body().clone();
        // The result comes in one batch, unless it is too large anyway.
        body.insert("cursor", doc! { "batchSize": i32::MAX });
        let time_limit = self.time_limit();
        body.insert("maxTimeMS", time_limit.millis());
        let mut beside = self.beside().await?;
        let users = self.batch.context.database.users();
        let run = self.runs();
        let listed = collect(&mut beside, users, &body, MAX_RESULT_BYTES).await;
        self.ended(run, &listed);
        let listed = listed.map_err(|failure| time_limit.judge(failure));
        let listed = listed.and_then(|reply| write(&encode(&without_driver_fields(reply))?));
        let answer = match listed {
            Ok(written) => Ok(self.reply(written)),
            Err(failure) => Err(refused(failure, None)?),
        };
        self.commit().await?;
        Ok(answer)
    }

    /// Writes the record that says *begun*, with the target of the command.
    async fn begin(&mut self) -> Result<(), TransactionError> {
        let target = self.find_target().await?;
        let id = self.task().id;
        let fingerprints = self.command.fingerprints();
        let about = encode(&target.into_document())?;
        let begun = record::begun(id, fingerprints, &about);
        self.transaction().write_ledger(&[begun]).await?;
        self.began = true;
        self.commit().await
    }

    /// Executes the command and stores its reply.
    async fn carry_out(&mut self, begun: &Document) -> Result<Answer, TransactionError> {
        let again = self.sent || !self.began;
        self.set_sent(again);
        match self.change(&Target::from_document(begun), again).await? {
            Change::Done(reply) => {
                let written = write(&encode(&reply)?)?;
                let record = record::complete(self.task().id, reply, self.batch.context.epoch);
                self.write_record(&record).await?;
                self.commit().await?;
                self.set_sent(false);
                Ok(Ok(self.reply(written)))
            }
            Change::Refused(error) if again => {
                let mut frame = refusal::mongo(error);
                frame.outcome = Outcome::Unknown;
                Ok(Err(frame.with_hint(
                    "an earlier try may have been executed: look at the collections and indexes there are",
                )))
            }
            Change::Refused(error) => {
                self.set_sent(false);
                self.write_record(&record::forget(self.task().id)).await?;
                self.commit().await?;
                Ok(Err(refusal::mongo(error)))
            }
        }
    }

    /// Lets MongoDB make the change. `again` is `true` if the change may have been made before.
    async fn change(&mut self, begun: &Target, again: bool) -> Result<Change, TransactionError> {
        let mut body = self.operation.body().clone();
        let now = self.find_target().await?;
        if self.operation.name() == CommandName::Drop && again && now.is_other_than(begun) {
            return Ok(if begun.is_nothing() {
                Change::Refused(nothing_to_drop())
            } else {
                Change::Done(doc! { "ok": 1.0 })
            });
        }
        if let Some(uuid) = begun.uuid()
            && self.operation.name() != CommandName::Create
        {
            body.insert("collectionUUID", uuid.clone());
        }
        if self.operation.name() == CommandName::CreateIndexes {
            // MongoDB would wait for every member, also for one that is down.
            body.insert("commitQuorum", "majority");
        }
        let time_limit = self.time_limit();
        body.insert("maxTimeMS", time_limit.millis());
        let majority = doc! { "w": "majority", "wtimeout": time_limit.millis() };
        body.insert("writeConcern", majority);

        let mut beside = self.beside().await?;
        // The answer to an overdue command says that it was not executed, and that must stay true.
        if self.batch.context.state.is_abandoned() {
            return Err(TransactionError::Abandoned);
        }
        if !again && self.task().deadline <= Instant::now() {
            return Err(TransactionError::Overdue);
        }
        self.set_sent(true);
        let run = self.runs();
        let made = beside
            .run_document(self.batch.context.database.users(), &body)
            .await;
        self.ended(run, &made);
        match made {
            // The only error in such a reply is a majority that is late.
            Ok(reply) => match check_reply(&reply) {
                Ok(()) => Ok(Change::Done(without_driver_fields(reply))),
                Err(_) => Err(TransactionError::Again(
                    "a majority does not have the change yet".to_owned(),
                )),
            },
            Err(Failure::Refused(error)) if error.code == MAX_TIME_EXPIRED => Err(TransactionError::Overdue),
            Err(Failure::Refused(error)) if again && now.shows_done(self.operation, error.code) => {
                Ok(Change::Done(doc! { "ok": 1.0 }))
            }
            Err(Failure::Refused(error)) => Ok(Change::Refused(error)),
            Err(other) => Err(other.into()),
        }
    }

    /// Finds the collection or view of the command's name, as it is now.
    async fn find_target(&self) -> Result<Target, TransactionError> {
        let find = doc! { "listCollections": 1, "filter": { "name": self.operation.collection() } };
        let mut beside = self.beside().await?;
        let users = self.batch.context.database.users();
        match collect(&mut beside, users, &find, usize::MAX).await {
            Ok(mut listed) => Ok(Target::listed(&mut listed)),
            // MongoDB has no such name, or the name is not for the server's user.
            Err(Failure::Refused(error)) => {
                let mut answer = refusal::mongo(error);
                answer.outcome = self.batch.context.state.outcome();
                Err(TransactionError::Refused { task: 0, answer })
            }
            Err(other) => Err(other.into()),
        }
    }

    async fn write_record(&mut self, command: &Document) -> Result<(), TransactionError> {
        let system = self.batch.context.database.system();
        let reply = self.batch.context.session.run_document(system, command).await?;
        check_reply(&reply)?;
        match reply.get_i32("n") {
            Ok(1) => Ok(()),
            _ => Err(TransactionError::Failed(Fault::other(
                "the record of a command that was begun is gone",
            ))),
        }
    }

    async fn open(&mut self) -> Result<(), TransactionError> {
        self.batch.context.database.prepare().await?;
        let time = remaining(self.task().deadline);
        Ok(self.batch.context.session.begin(time).await?)
    }

    async fn commit(&mut self) -> Result<(), TransactionError> {
        let deadline = self.task().deadline;
        self.transaction().commit(deadline).await
    }

    /// Starts another session, for commands that cannot be in the transaction.
    async fn beside(&self) -> Result<TransactionSession, TransactionError> {
        let client = self.batch.context.database.client();
        let session = client.start_session().causal_consistency(false).await?;
        Ok(TransactionSession::new(session))
    }

    fn transaction(&mut self) -> Transaction<'_, 'a> {
        Transaction {
            context: &mut self.batch.context,
            careful: true,
            settle: false,
        }
    }

    /// Records that MongoDB works on the command. Only the deadline limits the work: a majority may
    /// need as long as the change.
    fn runs(&self) -> Run {
        self.batch.context.state.set_running(vec![0], None);
        self.batch.context.suspects.run([self.command].into_iter())
    }

    /// Records the end of a run.
    fn ended<T>(&self, run: Run, reply: &Result<T, Failure>) {
        run.ends(reply);
        self.batch.context.state.set_idle();
    }

    fn set_sent(&mut self, sent: bool) {
        self.sent = sent;
        self.batch.context.state.set_in_doubt(sent);
    }

    fn time_limit(&self) -> TimeLimit {
        TimeLimit::new(self.operation, self.task().deadline, self.batch.context.settings)
    }

    fn task(&self) -> &'a Task {
        &self.batch.context.tasks[0]
    }

    fn reply(&self, reply: RawJson) -> CommandResult {
        let pending = UncommittedReply {
            reply,
            epoch: self.batch.context.epoch,
            replayed: false,
        };
        result(self.task(), pending)
    }
}

fn ended(answer: Answer) -> BatchResult {
    BatchResult {
        answers: vec![Some(answer)],
        ..BatchResult::default()
    }
}

/// Returns the error of MongoDB 6.0 for a collection that is not there.
fn nothing_to_drop() -> MongoError {
    MongoError::new(NAMESPACE_NOT_FOUND, "NamespaceNotFound", "ns not found")
}
