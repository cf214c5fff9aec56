//! The statements of a command with `ordered: false`: the failed statements are left out, the
//! others are executed.
//!
//! MongoDB aborts a transaction at the first statement that fails. So the server runs the command
//! again without that statement, until a run succeeds. Each run finds one statement that fails, so
//! there are at most two more runs than statements. A failed run counts only if its transaction
//! held nothing but the command itself: then all data that it saw is committed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bson::{Bson, Document, doc};
use mongodb::Database;

use super::execute::{TimeLimit, execute, without_driver_fields};
use super::failure::{Failure, check_reply};
use super::job::Task;
use super::transaction_session::TransactionSession;
use super::write_errors::{self, TOLD_IN_FULL};
use crate::command::{CommandName, Operation};
use crate::database::cleaned;
use crate::database::codes::{MAX_TIME_EXPIRED, TRANSACTION_TOO_LARGE_FOR_CACHE};

/// The statements of one command that MongoDB has refused, by their place, with MongoDB's errors.
#[derive(Debug, Default)]
pub(super) struct FailedStatements(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    errors: BTreeMap<usize, Document>,
    /// Size of the errors in bytes. The reply tells at most [`TOLD_IN_FULL`] bytes of them in full.
    bytes: usize,
    /// The primary that refused the statements, as
    /// [`Health::primaries`](crate::database::Health::primaries) counts.
    primary: u64,
}

impl Kept {
    fn add(&mut self, FailedStatement { place, error }: FailedStatement) {
        // The statements behind it were tried as if this one had been executed.
        if !self.errors.split_off(&(place + 1)).is_empty() {
            self.bytes = self.errors.values().map(size).sum();
        }
        let in_full = self.bytes.saturating_add(size(&error)) <= TOLD_IN_FULL;
        let error = if in_full {
            error
        } else {
            write_errors::shortened(&error)
        };
        self.bytes += size(&error);
        self.errors.insert(place, error);
    }
}

fn size(error: &Document) -> usize {
    error.to_vec().map_or(usize::MAX, |encoded| encoded.len())
}

/// The result of a run.
#[derive(Debug)]
pub(super) enum Ran {
    /// The statements that have not failed were executed. The reply also has the errors of the
    /// failed statements.
    Whole(Document),
    /// One more statement fails.
    Failed(FailedStatement),
}

/// A statement that MongoDB refuses.
#[derive(Debug)]
pub(super) struct FailedStatement {
    place: usize,
    error: Document,
}

impl FailedStatements {
    pub(super) fn are_there(&self) -> bool {
        !self.lock().errors.is_empty()
    }

    pub(super) fn add(&self, failed: FailedStatement) {
        self.lock().add(failed);
    }

    /// Forgets the failed statements: the server that refused them may no longer be the primary.
    pub(super) fn forget(&self) {
        let mut kept = self.lock();
        let primary = kept.primary;
        *kept = Kept {
            primary,
            ..Kept::default()
        };
    }

    /// Begins a batch under this primary. Forgets the failed statements if another primary refused
    /// them: the writes that it saw may have been rolled back.
    pub(super) fn begin(&self, primary: u64) {
        let mut kept = self.lock();
        if kept.primary != primary {
            *kept = Kept {
                primary,
                ..Kept::default()
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the statements of an unordered operation that have not failed.
    async fn run_others(
        &self,
        session: &mut TransactionSession,
        users: &Database,
        operation: &Operation,
        time_limit: TimeLimit,
    ) -> Result<Ran, Failure> {
        let places = {
            let failed = self.lock();
            operation.places_without(|place| failed.errors.contains_key(&place))
        };
        if places.is_empty() && self.are_there() {
            let reply = nothing_done(operation.name());
            return Ok(Ran::Whole(reply_with(reply, &places, &self.lock().errors)));
        }
        let mut command = operation.to_send_only(&places);
        command.insert("maxTimeMS", time_limit.millis());
        let reply = session.run_document(users, &command).await;
        let reply = reply.map_err(|failure| time_limit.judge(failure))?;
        match check_reply(&reply) {
            Ok(()) => Ok(Ran::Whole(reply_with(
                without_driver_fields(reply),
                &places,
                &self.lock().errors,
            ))),
            Err(failure) => match failed_statement(&failure, &reply, &places) {
                Some(failed) => Ok(Ran::Failed(failed)),
                None => Err(time_limit.judge(failure)),
            },
        }
    }
}

/// Runs one operation of a command in a transaction. Of a command with `ordered: false`, runs the
/// statements that have not failed in an earlier try.
///
/// # Errors
/// A failure that is not the fault of one statement of such a command.
pub(super) async fn run(
    session: &mut TransactionSession,
    users: &Database,
    task: &Task,
    operation: &Operation,
    time_limit: TimeLimit,
) -> Result<Ran, Failure> {
    if task.is_unordered() {
        task.failed
            .run_others(session, users, operation, time_limit)
            .await
    } else {
        execute(session, users, operation, time_limit, None)
            .await
            .map(Ran::Whole)
    }
}

/// Returns the statement that MongoDB refuses in this reply, if the statement is at fault. It is
/// not at fault if the time is over, or if the transaction is too large.
fn failed_statement(failure: &Failure, reply: &Document, places: &[usize]) -> Option<FailedStatement> {
    match failure {
        Failure::Refused(error)
            if ![MAX_TIME_EXPIRED, TRANSACTION_TOO_LARGE_FOR_CACHE].contains(&error.code) =>
        {
            let mut error = reply
                .get_array("writeErrors")
                .ok()?
                .first()?
                .as_document()?
                .clone();
            let index = usize::try_from(error.get_i32("index").ok()?).ok()?;
            let place = *places.get(index)?;
            error.insert("index", i32::try_from(place).ok()?);
            if let Ok(message) = error.get_str("errmsg").map(cleaned) {
                error.insert("errmsg", message);
            }
            Some(FailedStatement { place, error })
        }
        _ => None,
    }
}

/// Returns the reply to statements of which none does anything.
fn nothing_done(name: CommandName) -> Document {
    match name {
        CommandName::Update => doc! { "n": 0, "nModified": 0, "ok": 1.0 },
        _ => doc! { "n": 0, "ok": 1.0 },
    }
}

/// Returns the reply of the statements at these places, as part of a reply that also has the errors
/// of the failed statements.
fn reply_with(mut reply: Document, places: &[usize], failed: &BTreeMap<usize, Document>) -> Document {
    if failed.is_empty() {
        return reply;
    }
    if let Ok(upserted) = reply.get_array_mut("upserted") {
        for entry in upserted.iter_mut().filter_map(Bson::as_document_mut) {
            let index = entry
                .get_i32("index")
                .ok()
                .and_then(|index| usize::try_from(index).ok());
            let place = index.and_then(|index| i32::try_from(*places.get(index)?).ok());
            if let Some(place) = place {
                entry.insert("index", place);
            }
        }
    }
    write_errors::add(&mut reply, failed);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(places: &[usize]) -> BTreeMap<usize, Document> {
        let error = |place: &usize| {
            (
                *place,
                doc! { "index": i32::try_from(*place).unwrap(), "code": 11000, "errmsg": "x" },
            )
        };
        places.iter().map(error).collect()
    }

    #[test]
    fn places_are_those_of_the_client() {
        let reply = doc! { "n": 2, "upserted": [{ "index": 1, "_id": "x" }], "nModified": 1, "ok": 1.0 };
        let failed = errors(&[0, 2]);
        assert_eq!(
            reply_with(reply, &[1, 3], &failed),
            doc! {
                "n": 2,
                "upserted": [{ "index": 3, "_id": "x" }],
                "nModified": 1,
                "writeErrors": [failed[&0].clone(), failed[&2].clone()],
                "ok": 1.0,
            }
        );
    }

    #[test]
    fn a_primary_does_not_go_by_what_another_has_judged() {
        let failed = FailedStatements::default();
        let statement = || FailedStatement {
            place: 1,
            error: doc! { "index": 1, "code": 11000 },
        };
        failed.begin(1);
        failed.add(statement());
        failed.begin(1);
        assert!(
            failed.are_there(),
            "judged by the same primary in an earlier batch"
        );
        failed.begin(2);
        assert!(!failed.are_there());
        failed.add(statement());
        failed.forget();
        assert!(!failed.are_there());
        failed.add(statement());
        failed.begin(2);
        assert!(failed.are_there());
    }

    #[test]
    fn only_a_statement_at_fault_is_left_out() {
        let reply = |code: i32| doc! { "n": 0, "writeErrors": [{ "index": 1, "code": code, "errmsg": "x" }], "ok": 1.0 };
        let failed = |reply: &Document| {
            let failure = check_reply(reply).unwrap_err();
            failed_statement(&failure, reply, &[4, 7])
                .map(|failed| (failed.place, failed.error.get_i32("index").ok()))
        };
        assert_eq!(failed(&reply(11000)), Some((7, Some(7))));
        assert_eq!(failed(&reply(MAX_TIME_EXPIRED)), None);
        // A write conflict, and an error that belongs to no statement.
        assert_eq!(failed(&reply(112)), None);
        assert_eq!(
            failed(&doc! { "writeConcernError": { "code": 64, "errmsg": "x" }, "ok": 1.0 }),
            None
        );
    }
}
