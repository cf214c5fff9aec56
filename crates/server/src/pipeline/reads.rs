//! Reading at a moment.
//!
//! Commands that only read need no transaction of their own. One majority write marks a moment for all of them
//! (the turn's commit, or the fence alone), and each then reads the snapshot of that moment: a state that a majority has,
//! that holds everything answered before the moment, and that no later write can change. So reads run beside
//! each other and beside the turns that follow, a slow one delays nobody, and the answers are those of an execution
//! one after another at that moment. Nothing is recorded: a read that is sent again reads anew.

use std::sync::Arc;

use bellwether_protocol::{CommandFate, CommandId, ErrorFrame, Outcome};
use bson::{Document, Timestamp, doc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Duration, Instant, sleep, sleep_until, timeout_at};

use super::execute::{Allowance, collect, execute, refused, take_documents};
use super::failure::Failure;
use super::job::{Job, Task, Work};
use super::lane::Lane;
use super::record::{self, Known, Pending};
use super::replies::{encode, whole};
use super::turn::result;
use super::{Answer, Shared, refusal};

/// How long a reader waits before it asks for another moment.
const PAUSE: Duration = Duration::from_millis(20);

/// The bounds on reads that are under way.
#[derive(Debug)]
pub(super) struct Readers {
    /// How many may wait or run.
    places: Arc<Semaphore>,
    /// How many may run.
    running: Semaphore,
}

impl Readers {
    pub(super) fn new(places: usize, running: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            running: Semaphore::new(running.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    /// Places for so many, if there are.
    pub(super) fn places(&self, count: usize) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(count).ok()?;
        Arc::clone(&self.places).try_acquire_many_owned(count).ok()
    }

    /// Waits until one more may run; it does until what this gives is dropped.
    pub(super) async fn running(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.running.acquire().await.ok()
    }
}

/// What a reader found.
enum Found {
    Reply(Document),
    Fate(CommandFate),
}

/// Why a reader found nothing.
enum NotFound {
    /// It may at the same moment, a little later.
    Yet(String),
    /// It may at another moment.
    Here(String),
    Ever(ErrorFrame),
}

/// Reads in the background and answers.
pub(super) fn read_at(shared: &Arc<Shared>, epoch: u64, at: Timestamp, job: Job) {
    match shared.readers.places(1) {
        Some(place) => drop(tokio::spawn(read(Arc::clone(shared), epoch, at, job, place))),
        None => no_place(shared, job),
    }
}

/// Answers that too many reads are under way.
pub(super) fn no_place(shared: &Shared, job: Job) {
    job.answer(Err(refusal::overloaded(PAUSE)), &shared.counts);
}

async fn read(shared: Arc<Shared>, epoch: u64, at: Timestamp, job: Job, _place: OwnedSemaphorePermit) {
    let (source, task, reply) = job.into_parts();
    let mut reply = Some(reply);
    let found = {
        let mut reading = std::pin::pin!(find(&shared, at, &task));
        tokio::select! {
            biased;
            found = &mut reading => found,
            () = sleep_until(task.deadline) => {
                if let Some(reply) = reply.take() {
                    let overdue = refusal::overdue(Outcome::NotExecuted);
                    reply.answer(&task, Some(epoch), Err(overdue), &shared.counts);
                }
                // The driver's futures must not be dropped.
                reading.await
            }
        }
    };
    let Some(reply) = reply else {
        return;
    };
    let answer = match found {
        Ok(Found::Fate(fate)) => return reply.tell(fate),
        Ok(Found::Reply(reply)) => reply_with(&task, epoch, reply),
        Err(NotFound::Yet(reason) | NotFound::Here(reason)) => {
            tracing::debug!(epoch, reason, "reading again at another moment");
            sleep(PAUSE.mul_f64(rand::random())).await;
            return shared.put_back(vec![Job::from_parts(source, task, reply)]);
        }
        Err(NotFound::Ever(error)) => Err(error),
    };
    reply.answer(&task, Some(epoch), answer, &shared.counts);
}

/// The answer to a read.
pub(super) fn reply_with(task: &Task, epoch: u64, reply: Document) -> Answer {
    let pending = Pending {
        reply,
        epoch,
        replayed: false,
    };
    result(task, pending)
}

/// The read concern that reads at a moment.
pub(super) fn moment(at: Timestamp) -> Document {
    doc! { "level": "snapshot", "atClusterTime": at }
}

/// Reads until it has read: a majority has the moment, so whichever member is primary can read at it.
async fn find(shared: &Shared, at: Timestamp, task: &Task) -> Result<Found, NotFound> {
    loop {
        match try_to_find(shared, at, task).await {
            Err(NotFound::Yet(reason)) => tracing::debug!(reason, "reading again at the same moment"),
            found => return found,
        }
        sleep(PAUSE.mul_f64(rand::random())).await;
        let mut health = shared.database.health();
        let patience = task.deadline.min(Instant::now() + shared.settings.primary_wait);
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

/// A session to read in, at whatever moment.
pub(super) async fn reading_lane(shared: &Shared) -> Result<Lane, Failure> {
    let session = shared.database.client().start_session();
    // What a causally consistent one adds to a command would contradict the moment.
    Ok(Lane::new(session.causal_consistency(false).await?))
}

async fn try_to_find(shared: &Shared, at: Timestamp, task: &Task) -> Result<Found, NotFound> {
    let _permit = shared.readers.running().await;
    if task.deadline <= Instant::now() {
        return Err(NotFound::Ever(refusal::overdue(Outcome::NotExecuted)));
    }
    let mut lane = reading_lane(shared).await?;
    let moment = moment(at);
    let command = match &task.work {
        Work::Execute(command) => command,
        Work::TellFate { waits } => {
            let known = find_known(shared, &mut lane, moment, task.id).await?;
            return Ok(Found::Fate(fate(task.id, *waits, known)));
        }
    };

    let mut replies = Vec::new();
    for (place, part) in command.parts().iter().enumerate() {
        let allowance = Allowance::new(part, task.deadline, &shared.settings);
        let users = shared.database.users();
        match execute(&mut lane, users, part, allowance, Some(&moment)).await {
            Ok(reply) => replies.push(reply),
            Err(failure) => {
                let error = refused(failure, command.is_list().then_some(place))?;
                return Err(NotFound::Ever(error));
            }
        }
    }
    let reply = whole(command.is_list(), replies);
    match encode(&reply) {
        Ok(_) => Ok(Found::Reply(reply)),
        Err(failure) => Err(NotFound::Ever(refused(failure, None)?)),
    }
}

/// What was known of a command at this moment.
async fn find_known(
    shared: &Shared,
    lane: &mut Lane,
    moment: Document,
    id: CommandId,
) -> Result<Option<Known>, Failure> {
    let mut find = record::find([id].into_iter());
    find.insert("readConcern", moment);
    let mut found = collect(lane, shared.database.system(), &find, usize::MAX).await?;
    Ok(record::read(take_documents(&mut found)).remove(&id.as_bytes()[..]))
}

fn fate(id: CommandId, waits: bool, known: Option<Known>) -> CommandFate {
    match known {
        Some(known) => known.fate(id),
        None => CommandFate {
            id,
            // One that waits may be executed at any time.
            outcome: if waits {
                Outcome::Unknown
            } else {
                Outcome::NotExecuted
            },
            epoch: None,
            result: None,
        },
    }
}

impl From<Failure> for NotFound {
    fn from(failure: Failure) -> Self {
        let not_executed = Outcome::NotExecuted;
        match failure {
            Failure::Transient(reason) | Failure::Conflict(reason) => Self::Yet(reason),
            Failure::MomentGone(reason) => Self::Here(reason),
            Failure::OutOfTime => Self::Ever(refusal::overdue(not_executed)),
            Failure::Broken(reason) => Self::Ever(refusal::internal(not_executed, reason)),
            Failure::Refused(error) => Self::Ever(refusal::mongo(error)),
            Failure::TooLarge => Self::Ever(refusal::too_large()),
        }
    }
}
