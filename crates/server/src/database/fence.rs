//! The fence: one document that determines which epoch may commit.
//!
//! A coordinator writes it (`$inc` of `seq`, matched on its epoch) in every transaction. A server
//! that claims the next epoch writes the same document, so MongoDB itself orders the two writes.
//! Either the old transaction commits before the claim, or it does not commit.
//!
//! The position of the fence in the transaction does not matter. A transaction that began before
//! the claim meets a write conflict, and a transaction that began after it finds another epoch. A
//! fence that is only *read* does not fence. Under snapshot isolation, a transaction that read the
//! old epoch still commits after the new one was granted.
//!
//! A claim must wait for an open transaction that has written the fence. The successor's commands
//! must wait for the other writes of that transaction. The transaction of a crashed coordinator
//! would stay open for up to a minute. Therefore the document also names the session of the
//! coordinator, and a claim first kills that session. The document also names the sessions of
//! earlier epochs. A late command of a former coordinator begins a transaction in a session that
//! was already killed.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_election::{Arbiter, Claim, Epoch};
use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, rawdoc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{Acknowledgment, ReadConcern, ReturnDocument, WriteConcern};
use mongodb::{Client, ClientSession};
use thiserror::Error as ThisError;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::codes::{
    DUPLICATE_KEY, MAX_TIME_EXPIRED, WRITE_CONCERN_TIMEOUT, WRITE_CONFLICT, is_change_of_primary,
};
use super::{Database, cleaned};
use crate::backoff::Backoff;

const ID: &str = "fence";
/// The field with the sessions of earlier epochs, the newest first.
const EARLIER: &str = "earlier_sessions";

/// Time limit for a claim.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between two attempts of a claim.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
/// Time for which one attempt may wait for a transaction that holds the document. Then its session
/// is killed again.
const TRY_TIMEOUT: Duration = Duration::from_millis(500);
/// Number of remembered sessions of earlier epochs. Their commands arrive within minutes or never.
/// Epochs change more often than that only in situations in which late commands do not matter any
/// more.
const EARLIER_SESSIONS: i32 = 16;
/// Time limit for MongoDB to end sessions.
const KILL_TIMEOUT: Duration = Duration::from_millis(500);
/// Time after which the connection of a command that ends sessions is closed.
const GIVE_UP_KILLING: Duration = Duration::from_secs(10);
/// Largest number of commands in progress that end sessions, in this process.
const MAX_KILLS: usize = 4;
/// Time limit for the majority to have the claim.
const MAJORITY_TIMEOUT: Duration = Duration::from_secs(2);

/// Grants epochs. Each epoch is larger than all earlier ones, whichever servers claimed them.
///
/// A [`Pipeline`](crate::Pipeline) can lead an epoch if it has the `Fence` that claimed the epoch,
/// or a clone of that fence.
#[derive(Clone, Debug)]
pub struct Fence {
    database: Database,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Held while a claim is in progress, so that claims of one server follow one another.
    claiming: tokio::sync::Mutex<()>,
    granted: Mutex<Option<Term>>,
}

/// The right to commit under an epoch, until a later one is claimed.
#[derive(Debug)]
pub(crate) struct Term {
    epoch: u64,
    session: ClientSession,
}

impl Term {
    /// Returns the epoch and the session that the fence names. Only this session may be used under
    /// this epoch.
    pub(crate) fn into_parts(self) -> (u64, ClientSession) {
        (self.epoch, self.session)
    }
}

/// The error if no epoch was granted.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum ClaimError {
    /// MongoDB did not grant an epoch.
    #[error("MongoDB did not grant an epoch: {}", cleaned(&.0.kind.to_string()))]
    MongoDb(#[from] Error),
    /// The fence document contains no usable epoch.
    #[error("the fence document holds no usable epoch: it was changed by hand")]
    NoEpoch,
    /// The claim's task ended early: the program is shutting down.
    #[error("the claim was cut short")]
    CutShort,
}

impl Fence {
    /// The fence in this database.
    pub fn new(database: Database) -> Self {
        let state = Arc::default();
        Self { database, state }
    }

    /// Claims the next epoch for this server. From the moment of the grant, no transaction of an
    /// earlier epoch commits. A claim takes a few milliseconds, and at most about five seconds if
    /// MongoDB does not answer.
    ///
    /// `holder` and `number` describe the coordinator in the fence document. Nothing depends on
    /// them.
    ///
    /// The claim runs to its end even if the future is dropped. An abandoned claim could still be
    /// granted, and no server would know.
    ///
    /// # Errors
    /// [`ClaimError`] if MongoDB cannot be reached or refuses.
    pub async fn claim(&self, holder: &str, number: &str) -> Result<u64, ClaimError> {
        let fence = self.clone();
        let claimant = Claimant {
            holder: holder.to_owned(),
            number: number.to_owned(),
        };
        let claim = tokio::spawn(async move {
            let _one_at_a_time = fence.state.claiming.lock().await;
            let term = match fence.claim_to_the_end(&claimant).await {
                Err(ClaimError::MongoDb(error)) => {
                    let refused = Err::<(), Error>(error.clone());
                    fence.database.report_access(&refused);
                    return Err(ClaimError::MongoDb(error));
                }
                claimed => claimed?,
            };
            fence.database.report_access(&Ok(()));
            let epoch = term.epoch;
            *fence.granted() = Some(term);
            Ok(epoch)
        });
        claim.await.unwrap_or(Err(ClaimError::CutShort))
    }

    /// Returns `true` if `epoch` is still the newest. The read is linearizable: a primary that has
    /// been replaced and does not know it yet cannot answer.
    ///
    /// # Errors
    /// [`ClaimError`] if MongoDB cannot be reached or refuses.
    pub async fn is_newest(&self, epoch: u64) -> Result<bool, ClaimError> {
        Ok(self.newest().await? == epoch)
    }

    /// Returns the newest granted epoch, or 0 if none was granted. The read is linearizable, as for
    /// [`is_newest`](Self::is_newest): it shows every grant that was answered before. The read
    /// takes at most half a second if MongoDB's primary answers.
    ///
    /// # Errors
    /// [`ClaimError`] if MongoDB cannot be reached or refuses.
    pub async fn newest(&self) -> Result<u64, ClaimError> {
        let fence = self
            .database
            .fence_collection()
            .find_one(doc! { "_id": ID })
            .read_concern(ReadConcern::linearizable())
            .max_time(TRY_TIMEOUT)
            .await?;
        let Some(fence) = fence else {
            return Ok(0);
        };
        let newest = fence.get("epoch").and_then(Bson::as_i64);
        let newest = newest.and_then(|newest| u64::try_from(newest).ok());
        newest.ok_or(ClaimError::NoEpoch)
    }

    /// Returns the term of an epoch that was claimed here, once.
    pub(crate) fn take(&self, epoch: u64) -> Option<Term> {
        self.granted().take_if(|term| term.epoch == epoch)
    }

    fn granted(&self) -> std::sync::MutexGuard<'_, Option<Term>> {
        self.state.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn claim_to_the_end(&self, claimant: &Claimant) -> Result<Term, ClaimError> {
        let deadline = Instant::now() + CLAIM_TIMEOUT;
        let mut backoff = BACKOFF;
        loop {
            match self.try_to_claim(claimant).await {
                Ok((granted, session)) => {
                    let epoch = granted.get("epoch").and_then(Bson::as_i64);
                    let epoch = epoch.and_then(|epoch| u64::try_from(epoch).ok());
                    let epoch = epoch.ok_or(ClaimError::NoEpoch)?;
                    return Ok(Term { epoch, session });
                }
                Err(error) => {
                    let pause = backoff.next();
                    if !may_pass(&error) || Instant::now() + pause >= deadline {
                        return Err(error.into());
                    }
                    tracing::debug!(%error, "claiming again");
                    sleep(pause).await;
                }
            }
        }
    }

    /// Claims once. Returns the granted fence document, and the session that it names.
    async fn try_to_claim(&self, claimant: &Claimant) -> Result<(Document, ClientSession), Error> {
        let collection = self.database.fence_collection();
        let only = doc! { "_id": ID };
        let fence = collection.find_one(only.clone()).await?.unwrap_or_default();
        let session = self.session_apart_from(&fence).await?;
        let mut earlier: Vec<Bson> = Vec::new();
        if let Some(held_in) = held_in(&fence) {
            // If MongoDB does not end the session in time, the claim continues. An operation that
            // MongoDB cannot interrupt has not written the fence yet, because a batch writes the
            // fence last.
            Self::kill_sessions(self.database.client(), vec![held_in.clone()]).await;
            earlier.push(held_in.clone().into());
        }
        let claim = doc! {
            "$inc": { "epoch": 1_i64 },
            "$push": { EARLIER: { "$each": earlier, "$position": 0, "$slice": EARLIER_SESSIONS } },
            "$set": {
                "holder": &claimant.holder,
                "number": &claimant.number,
                "session": session.id().clone(),
                // Not `at`: MongoDB deletes old records by that field, and they are in the same
                // collection.
                "granted_at": DateTime::now(),
            },
            "$setOnInsert": { "seq": 0_i64 },
        };
        let majority = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .w_timeout(MAJORITY_TIMEOUT)
            .build();
        let granted = collection
            .find_one_and_update(only, claim)
            .upsert(true)
            .return_document(ReturnDocument::After)
            .max_time(TRY_TIMEOUT)
            .write_concern(majority)
            .await?;
        let granted = granted.ok_or_else(|| Error::custom("findAndModify with upsert returned nothing"))?;
        Ok((granted, session))
    }

    /// Returns a session in which no epoch was held. The driver reuses returned sessions. A command
    /// that ends the sessions of earlier epochs would also end this one.
    async fn session_apart_from(&self, fence: &Document) -> Result<ClientSession, Error> {
        // Kept until another session is found. Otherwise the driver would return the same ones
        // again.
        let mut named = Vec::new();
        loop {
            let session = self.database.client().start_session().await?;
            if held_in(fence) != Some(session.id()) && earlier_sessions(fence).all(|id| id != session.id()) {
                return Ok(session);
            }
            named.push(session);
        }
    }

    /// Ends open transactions in the sessions of earlier epochs, for the coordinator that holds the
    /// fence in `own`. For a fenced coordinator it does nothing: a transaction in its way may
    /// belong to its successor.
    ///
    /// The future must not be dropped before it ends.
    pub(crate) async fn end_earlier_sessions(database: &Database, own: &Document) -> Result<(), Error> {
        let collection = database.fence_collection();
        let fence = collection.find_one(doc! { "_id": ID }).max_time(TRY_TIMEOUT);
        let Some(fence) = fence.await?.filter(|fence| held_in(fence) == Some(own)) else {
            return Ok(());
        };
        let earlier: Vec<Document> = earlier_sessions(&fence).cloned().collect();
        if !earlier.is_empty() {
            Self::kill_sessions(database.client(), earlier).await;
        }
        Ok(())
    }

    /// Ends the transactions that are open in these sessions. Returns `true` if MongoDB confirms
    /// that within [`KILL_TIMEOUT`].
    ///
    /// MongoDB waits for an operation that it cannot interrupt, such as one expression that
    /// computes for hours. The command therefore has a time limit in MongoDB and another one here.
    /// Only [`MAX_KILLS`] such commands may be in progress, because each takes a connection. If the
    /// future is dropped, a sent command runs to its end.
    pub(crate) async fn kill_sessions(client: &Client, sessions: Vec<Document>) -> bool {
        static KILLS: Semaphore = Semaphore::const_new(MAX_KILLS);
        let Ok(permit) = KILLS.try_acquire() else {
            return false;
        };
        let client = client.clone();
        let killing = tokio::spawn(async move {
            let _permit = permit;
            let mut own = client.start_session().await?;
            // The driver may return one of these sessions for this command. The command must not
            // end its own session.
            let others: Vec<Document> = sessions.into_iter().filter(|id| id != own.id()).collect();
            if others.is_empty() {
                return Ok(());
            }
            let limit = i64::try_from(KILL_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
            let kill = doc! { "killSessions": others, "maxTimeMS": limit };
            let admin = client.database("admin");
            let killing = admin.run_command(kill).session(&mut own);
            // The connection ends with the future, and the permit is returned, even if MongoDB
            // ignores the limit.
            match timeout(GIVE_UP_KILLING, killing).await {
                Ok(killed) => killed.map(drop),
                Err(_) => Err(Error::custom("killSessions did not end")),
            }
        });
        match timeout(KILL_TIMEOUT * 2, killing).await {
            Ok(Ok(Ok(()))) => true,
            ended => {
                tracing::debug!(?ended, "MongoDB has not ended the sessions");
                false
            }
        }
    }

    /// Returns the statement of an `update` on the ledger that every transaction under `epoch`
    /// contains. The statement matches while no later epoch was granted.
    pub(crate) fn hold(epoch: u64) -> RawDocumentBuf {
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        rawdoc! { "q": { "_id": ID, "epoch": epoch }, "u": { "$inc": { "seq": 1_i64 } } }
    }
}

/// The arbiter of the election: it grants the epochs of the fence.
pub(crate) struct FenceArbiter {
    fence: Fence,
    runtime: Handle,
}

impl FenceArbiter {
    /// `runtime` has the connections to MongoDB. The thread of the election may have a runtime of
    /// its own.
    pub(crate) fn new(fence: Fence, runtime: Handle) -> Self {
        Self { fence, runtime }
    }

    async fn ask<T, A>(&self, question: impl FnOnce(Fence) -> A) -> Result<T, ClaimError>
    where
        T: Send + 'static,
        A: Future<Output = Result<T, ClaimError>> + Send + 'static,
    {
        let asked = self.runtime.spawn(question(self.fence.clone()));
        asked.await.unwrap_or(Err(ClaimError::CutShort))
    }
}

impl Arbiter for FenceArbiter {
    type Error = ClaimError;

    async fn claim(&self, claim: Claim) -> Result<Epoch, ClaimError> {
        let Claim { rank, .. } = claim;
        let number = rank.number.to_string();
        let claimed = self.ask(|fence| async move { fence.claim(rank.id.as_str(), &number).await });
        claimed.await.map(Epoch)
    }

    async fn confirm(&self, epoch: Epoch) -> Result<bool, ClaimError> {
        self.ask(|fence| async move { fence.is_newest(epoch.0).await })
            .await
    }

    async fn newest(&self) -> Result<Option<Epoch>, ClaimError> {
        let newest = self.ask(|fence| async move { fence.newest().await });
        newest.await.map(|newest| Some(Epoch(newest)))
    }
}

fn held_in(fence: &Document) -> Option<&Document> {
    fence.get_document("session").ok()
}

fn earlier_sessions(fence: &Document) -> impl Iterator<Item = &Document> {
    let ids = fence.get_array(EARLIER).into_iter().flatten();
    ids.filter_map(Bson::as_document)
}

struct Claimant {
    holder: String,
    number: String,
}

/// Returns `true` if another attempt may succeed. The document was held, the first two claims met,
/// or MongoDB was changing its primary. A grant that the majority receives too late is not used:
/// the next attempt claims a later epoch.
fn may_pass(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Command(command) => {
            [MAX_TIME_EXPIRED, WRITE_CONFLICT, DUPLICATE_KEY].contains(&command.code)
                || is_change_of_primary(command.code)
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(late)) => {
            late.code == WRITE_CONCERN_TIMEOUT
                || late.code == MAX_TIME_EXPIRED
                || is_change_of_primary(late.code)
        }
        ErrorKind::Write(_) | ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => true,
        _ => false,
    }
}
