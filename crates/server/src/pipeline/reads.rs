//! Reading at a moment.
//!
//! Read-only commands need no transaction of their own. One majority write marks a moment for all
//! of them: the batch's commit, or the fence alone. Each command then reads the snapshot of that
//! moment. A majority has this state, it holds everything answered before the moment, and no later
//! write can change it. So reads run at the same time as each other and as the batches that follow,
//! and a slow read delays no other command. The answers are those of an execution one after another
//! at that moment. Nothing is recorded: a read that is sent again reads anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_protocol::{
    CommandId, CommandResult, ErrorCode, ErrorFrame, MAX_RESULT_BYTES, MongoError, Outcome, OutcomeResult,
    RawJson,
};
use bson::{Document, RawDocumentBuf, Timestamp, doc};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout, timeout_at};

use super::execute::{TimeLimit, collect, execute, refused, take_documents};
use super::executor::OVERRUN;
use super::failure::Failure;
use super::job::{Job, Task, Waits, Work};
use super::record::{self, StoredRecord};
use super::replies::{EncodedReplies, write};
use super::shared::Shared;
use super::shares::Place;
use super::transaction_session::TransactionSession;
use super::{Answer, SourceId, refusal};
use crate::backoff::Backoff;
use crate::database::Fence;
use crate::own_thread::OwnThread;
use crate::subject::SubjectHash;

/// Pause of a reader before its next attempt.
const PAUSE: Duration = Duration::from_millis(20);
/// Pauses of a reader before it asks for another moment.
const BACKOFF: Backoff = Backoff::new(PAUSE, Duration::from_secs(1)).jitter(0.5);
/// Number of moments at which a read is tried. A snapshot that MongoDB does not have yet is there
/// at a later moment. A capped collection never has a snapshot.
const MOMENTS: u32 = 5;
/// Largest reply, in bytes of BSON, that is written as text without a thread of its own.
const SMALL: usize = 16 * 1024;
/// Time in which MongoDB stops a read by itself after its deadline.
const STOPS_BY_ITSELF: Duration = Duration::from_millis(200);

/// The result of a reader.
enum Found {
    /// Canonical Extended JSON.
    Reply(RawJson),
    OutcomeResult(OutcomeResult),
}

/// The data that MongoDB gave to a reader.
enum Read {
    Reply(RawDocumentBuf),
    OutcomeResult(OutcomeResult),
}

/// The reason why a reader found nothing.
enum NotFound {
    /// The reader may find it at the same moment, a little later.
    Yet(String),
    /// The reader may find it at another moment.
    Here(MongoError),
    Ever(ErrorFrame),
}

/// Reads in the background and answers the command.
pub(super) fn read_at(shared: &Arc<Shared>, epoch: u64, at: Timestamp, job: Job, place: Place) {
    drop(tokio::spawn(read(Arc::clone(shared), epoch, at, job, place)));
}

/// Answers that too many reads are in progress.
pub(super) fn no_place(shared: &Shared, job: Job) {
    let pace = &shared.readers.pace;
    let retry_after = pace.retry_after(1, job.source.group(), Instant::now());
    job.answer(Err(refusal::overloaded(retry_after)), &shared.counts);
}

async fn read(shared: Arc<Shared>, epoch: u64, at: Timestamp, job: Job, _place: Place) {
    let (source, mut notes, task, mut reply) = job.into_parts();
    let session = ReadSession::default();
    let reader = Reader {
        shared: Arc::clone(&shared),
        at,
        source,
        task: Arc::clone(&task),
        waits: notes.waits,
        session: session.clone(),
    };
    // The reader has a task of its own, so that a read that MongoDB does not end can be left
    // behind.
    let mut finding = {
        let is_slow = task
            .command()
            .is_some_and(|command| shared.readers.slow.expects(source, command));
        let _own_thread = is_slow.then(|| shared.readers.thread.as_ref().map(OwnThread::enter));
        tokio::spawn(reader.find())
    };
    let found = tokio::select! {
        biased;
        found = &mut finding => found,
        () = sleep_until(task.deadline) => {
            let overdue = refusal::overdue(Outcome::NotExecuted);
            reply.answer(&task, Some(epoch), Err(overdue), &shared.counts);
            return end(&shared, &task, &session, finding, STOPS_BY_ITSELF).await;
        }
        () = reply.abandoned() => {
            return end(&shared, &task, &session, finding, Duration::ZERO).await;
        }
    };
    let answer = match found {
        Ok(Ok(Found::OutcomeResult(outcome_result))) => {
            shared.readers.done();
            return reply.tell(outcome_result);
        }
        Ok(Ok(Found::Reply(reply))) => answer_with(&task, epoch, Ok(reply)),
        Ok(Err(NotFound::Yet(reason))) => {
            return put_back(
                &shared,
                reason,
                BACKOFF.after(0),
                Job::from_parts(source, notes, task, reply),
            )
            .await;
        }
        Ok(Err(NotFound::Here(error))) if notes.lost_moments + 1 < MOMENTS => {
            let pause = BACKOFF.after(notes.lost_moments);
            notes.lost_moments += 1;
            let job = Job::from_parts(source, notes, task, reply);
            return put_back(&shared, error.message, pause, job).await;
        }
        Ok(Err(NotFound::Here(error))) => Err(refusal::no_moment(error)),
        Ok(Err(NotFound::Ever(error))) => Err(error),
        Err(error) => Err(failed(&error)),
    };
    shared.readers.done();
    shared.note(&answer);
    reply.answer(&task, Some(epoch), answer, &shared.counts);
}

async fn put_back(shared: &Shared, reason: String, pause: Duration, job: Job) {
    tracing::debug!(reason, "reading again at another moment");
    sleep(pause).await;
    shared.put_back(vec![job]);
}

fn failed(error: &JoinError) -> ErrorFrame {
    refusal::internal(Outcome::NotExecuted, format!("the read failed: {error}"))
}

/// Ends a read that no client waits for any more. MongoDB has `time` to end the read by itself;
/// then the server ends the read's session. If the read still goes on, the server leaves it behind
/// and closes its connection. If its deadline has passed, the server refuses its command for a
/// while.
async fn end(
    shared: &Shared,
    task: &Task,
    session: &ReadSession,
    mut finding: JoinHandle<Result<Found, NotFound>>,
    time: Duration,
) {
    session.close();
    let until = Instant::now() + OVERRUN;
    let Some(id) = session.id() else {
        // The read waits for its turn, and nothing of it has been sent.
        return finding.abort();
    };
    if timeout(time, &mut finding).await.is_ok() {
        return;
    }
    Fence::kill_sessions(shared.database.client(), vec![id]).await;
    if timeout_at(until, &mut finding).await.is_ok() {
        return;
    }
    finding.abort();
    // A read whose client has gone is not at fault: it may just be slow.
    if let Some(command) = task.command()
        && task.deadline <= Instant::now()
    {
        shared.blame(&[command]);
    }
    if let Some(suppressed) = shared.readers.left_behind.admit() {
        tracing::warn!(suppressed, "leaving a read behind that MongoDB does not end");
    }
}

/// The session of a read, once it has one.
#[derive(Clone, Default)]
struct ReadSession {
    id: Arc<Mutex<Option<Document>>>,
    closed: Arc<AtomicBool>,
}

impl ReadSession {
    fn set(&self, id: Option<Document>) {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    fn id(&self) -> Option<Document> {
        self.id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that no client waits for the read any more: it must not begin again.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

/// Writes a reply as text. A large reply has a thread for the time of the writing. May be dropped
/// at any time.
pub(super) async fn convert(shared: &Shared, reply: RawDocumentBuf) -> Result<RawJson, Failure> {
    if reply.as_bytes().len() <= SMALL {
        return write(&reply);
    }
    let _permit = shared.readers.writing.acquire().await;
    let writing = tokio::task::spawn_blocking(move || write(&reply));
    let written = writing.await;
    written.map_err(|error| Failure::Broken(format!("the reply could not be written: {error}")))?
}

/// Returns the answer to a read.
pub(super) fn answer_with(task: &Task, epoch: u64, written: Result<RawJson, Failure>) -> Answer {
    match written {
        Ok(result) => Ok(CommandResult {
            id: task.id,
            epoch,
            replayed: false,
            result,
        }),
        Err(failure) => Err(match refused(failure, None) {
            Ok(frame) => frame,
            Err(failure) => refusal::internal(Outcome::NotExecuted, failure.to_string()),
        }),
    }
}

/// Returns the read concern for a read at this moment.
pub(super) fn moment(at: Timestamp) -> Document {
    doc! { "level": "snapshot", "atClusterTime": at }
}

/// One read.
struct Reader {
    shared: Arc<Shared>,
    at: Timestamp,
    source: SourceId,
    task: Arc<Task>,
    waits: Waits,
    session: ReadSession,
}

/// Starts a session for reads, at whatever moment.
pub(super) async fn reading_session(shared: &Shared) -> Result<TransactionSession, Failure> {
    let session = shared.database.client().start_session();
    // A causally consistent session adds a field to a command that would contradict the moment.
    Ok(TransactionSession::new(session.causal_consistency(false).await?))
}

impl Reader {
    /// Reads, and tries again after a passing failure. A majority has the moment, so any primary
    /// can read at it.
    async fn find(self) -> Result<Found, NotFound> {
        let shared = &self.shared;
        loop {
            match self.try_to_find().await {
                Err(NotFound::Yet(reason)) if !self.session.is_closed() => {
                    tracing::debug!(reason, "reading again at the same moment");
                }
                found => return found,
            }
            sleep(PAUSE.mul_f64(rand::random())).await;
            let mut health = shared.database.health();
            let patience = self
                .task
                .deadline
                .min(Instant::now() + shared.settings.primary_wait);
            let available = timeout_at(patience, health.wait_for(|health| health.available)).await;
            if !available.is_ok_and(|health| health.is_ok()) {
                let reason = health.borrow().error.clone().unwrap_or_default();
                return Err(NotFound::Ever(refusal::unavailable(
                    Outcome::NotExecuted,
                    &reason,
                )));
            }
        }
    }

    async fn try_to_find(&self) -> Result<Found, NotFound> {
        let (shared, task) = (&self.shared, &self.task);
        let command = task.command();
        let is_suspect = |command| shared.suspects.check(command, Instant::now());
        let alone = match command {
            Some(command) if is_suspect(command).map_err(NotFound::Ever)? => {
                shared.readers.suspects.take(self.source).await
            }
            _ => None,
        };
        let slow = match command {
            Some(command) => shared.readers.slow.place_for(self.source, command).await,
            None => None,
        };
        let place = shared.readers.running(self.source).await;
        if task.deadline <= Instant::now() {
            return Err(NotFound::Ever(refusal::overdue(Outcome::NotExecuted)));
        }
        // The command may have become a suspect while this read waited.
        if let Some(command) = command
            && is_suspect(command).map_err(NotFound::Ever)?
            && alone.is_none()
        {
            return Err(NotFound::Yet("it must be read alone from now on".to_owned()));
        }
        let mut session = reading_session(shared).await?;
        self.session.set(Some(session.session_id().clone()));
        let began = Instant::now();
        let read = self.find_in(&mut session).await;
        self.session.set(None);
        // If the read has to begin again, its time was lost elsewhere.
        if let Some(command) = command
            && !matches!(read, Err(NotFound::Yet(_)))
        {
            let now = Instant::now();
            let size = match &read {
                Ok(Read::Reply(reply)) => reply.as_bytes().len(),
                Err(NotFound::Ever(error)) if error.code == ErrorCode::ResultTooLarge => MAX_RESULT_BYTES,
                _ => 0,
            };
            let slow = &shared.readers.slow;
            slow.took(self.source, command, now - began, size, now);
        }
        let found = match read? {
            Read::Reply(reply) => match convert(shared, reply).await {
                Ok(written) => Ok(Found::Reply(written)),
                Err(failure) => Err(NotFound::Ever(refused(failure, None)?)),
            },
            Read::OutcomeResult(outcome_result) => Ok(Found::OutcomeResult(outcome_result)),
        };
        drop((place, slow, alone));
        found
    }

    async fn find_in(&self, session: &mut TransactionSession) -> Result<Read, NotFound> {
        let (shared, task) = (&self.shared, &self.task);
        let moment = moment(self.at);
        let command = match &task.work {
            Work::Execute(command) => command,
            Work::FindOutcome(asking) => {
                let known = find_known(shared, session, moment, task.id).await?;
                let found = outcome_result(task.id, asking.as_ref(), self.waits, known);
                return found.map(Read::OutcomeResult).map_err(NotFound::Ever);
            }
        };
        let mut replies = EncodedReplies::default();
        for (place, operation) in command.operations().iter().enumerate() {
            let time_limit = TimeLimit::new(operation, task.deadline, &shared.settings);
            let users = shared.database.users();
            let run = shared.suspects.run([command].into_iter());
            let reply = execute(session, users, operation, time_limit, Some(&moment)).await;
            run.ends(&reply);
            if let Err(failure) = reply.and_then(|reply| replies.push(&reply)) {
                let error = refused(failure, command.is_list().then_some(place))?;
                return Err(NotFound::Ever(error));
            }
        }
        match replies.finish(command.is_list()) {
            Ok(reply) => Ok(Read::Reply(reply)),
            Err(failure) => Err(NotFound::Ever(refused(failure, None)?)),
        }
    }
}

/// Finds the record of a command, as it was at this moment.
async fn find_known(
    shared: &Shared,
    session: &mut TransactionSession,
    moment: Document,
    id: CommandId,
) -> Result<Option<StoredRecord>, Failure> {
    let mut find = record::find([id].into_iter());
    find.insert("readConcern", moment);
    let mut found = collect(session, shared.database.system(), &find, usize::MAX).await?;
    Ok(record::read(take_documents(&mut found)).remove(&id.as_bytes()[..]))
}

/// Returns the answer to a question. A subject learns nothing about the commands of another.
fn outcome_result(
    id: CommandId,
    asking: Option<&SubjectHash>,
    waits: Waits,
    known: Option<StoredRecord>,
) -> Result<OutcomeResult, ErrorFrame> {
    let outcome = match known {
        Some(known) if known.is_of_another(asking) => return Err(refusal::forbidden()),
        Some(known) => return Ok(known.outcome_result(id)),
        None => match waits {
            Waits::OfAnother => return Err(refusal::forbidden()),
            // A waiting command may be executed at any time.
            Waits::Yes => Outcome::Unknown,
            Waits::No => Outcome::NotExecuted,
        },
    };
    Ok(OutcomeResult {
        id,
        outcome,
        epoch: None,
        result: None,
    })
}

impl From<Failure> for NotFound {
    fn from(failure: Failure) -> Self {
        let not_executed = Outcome::NotExecuted;
        match failure {
            Failure::Transient(reason) | Failure::Disconnected(reason) | Failure::Conflict(reason) => {
                Self::Yet(reason)
            }
            Failure::MomentGone(error) => Self::Here(error),
            Failure::OutOfTime => Self::Ever(refusal::overdue(not_executed)),
            Failure::Broken(reason) => Self::Ever(refusal::internal(not_executed, reason)),
            Failure::Refused(error) => Self::Ever(refusal::mongo(error)),
            Failure::TooLarge => Self::Ever(refusal::too_large()),
        }
    }
}
