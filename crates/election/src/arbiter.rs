use core::convert::Infallible;
use core::fmt::Display;
use core::future::Future;

use crate::{Claim, Epoch};

/// The party that grants epochs.
///
/// An arbiter that outlives the servers, such as a document in a database, makes epochs unique and
/// growing. That holds across any crash, pause, partition or restart. After it has granted an epoch
/// it must grant larger epochs only. The data store of the coordinator must refuse smaller epochs:
/// that makes a paused and replaced coordinator harmless.
///
/// # Example: a database
///
/// The best arbiter is the database to which the coordinator writes anyway. Keep one record with
/// the newest epoch, and increment it to grant an epoch. Every transaction of the coordinator must
/// *write* that record, under the condition that its own epoch is still the newest. A read alone is
/// not enough if transactions see a snapshot.
///
/// ```
/// # use std::sync::{Arc, Mutex};
/// # use bellwether_election::{Arbiter, Claim, Epoch};
/// # #[derive(Debug)] struct Unreachable;
/// # impl core::fmt::Display for Unreachable {
/// #     fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { f.write_str("unreachable") }
/// # }
/// # #[derive(Clone, Default)] struct Database(Arc<Mutex<(u64, Vec<String>)>>);
/// # impl Database {
/// #     async fn increment(&self, _record: &str) -> Result<u64, Unreachable> {
/// #         let mut data = self.0.lock().unwrap(); data.0 += 1; Ok(data.0)
/// #     }
/// #     async fn read(&self, _record: &str) -> Result<u64, Unreachable> { Ok(self.0.lock().unwrap().0) }
/// #     async fn insert_if(&self, _record: &str, epoch: u64, row: &str) -> Result<bool, Unreachable> {
/// #         let mut data = self.0.lock().unwrap();
/// #         if data.0 == epoch { data.1.push(row.to_owned()); }
/// #         Ok(data.0 == epoch)
/// #     }
/// # }
/// struct DatabaseArbiter(Database);
///
/// impl Arbiter for DatabaseArbiter {
///     type Error = Unreachable;
///
///     async fn claim(&self, _: Claim) -> Result<Epoch, Unreachable> {
///         self.0.increment("epoch").await.map(Epoch)
///     }
///
///     async fn confirm(&self, epoch: Epoch) -> Result<bool, Unreachable> {
///         Ok(self.0.read("epoch").await? == epoch.0)
///     }
///
///     async fn newest(&self) -> Result<Option<Epoch>, Unreachable> {
///         self.0.read("epoch").await.map(Epoch).map(Some)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Unreachable> {
/// # let database = Database::default(); let arbiter = DatabaseArbiter(database.clone());
/// # let rank = bellwether_election::Member::new("a".parse().unwrap(), bellwether_election::Number(1)).rank;
/// # let claim = || Claim { rank: rank.clone(), above: Epoch::ZERO };
/// let paused = arbiter.claim(claim()).await?;
/// let successor = arbiter.claim(claim()).await?;
/// assert!(!database.insert_if("epoch", paused.0, "too late").await?, "it is fenced off");
/// assert!(database.insert_if("epoch", successor.0, "in time").await?);
/// # assert_eq!(arbiter.newest().await?, Some(successor));
/// # assert!(arbiter.confirm(successor).await? && !arbiter.confirm(paused).await?);
/// # Ok(()) }
/// ```
///
/// With MongoDB, the grant is a `findAndModify` with `$inc` on one document, with a majority write
/// concern. The condition is `update {_id, epoch: mine} {$inc: {seq: 1}}` as the first statement of
/// every transaction; it must match exactly one document. A confirmation is a linearizable read.
///
/// A crashed coordinator's open transaction could block the next grant for up to a minute. So the
/// document also names the session of its holder, and the next claimant kills that session first.
pub trait Arbiter: Send + Sync + 'static {
    /// The error of a failed claim. Its text goes to the log.
    type Error: Display + Send;

    /// Grants an epoch that is larger than every epoch granted before. [`Claim::above`] is the
    /// largest epoch that the claimant knows, for arbiters without a record of their own.
    ///
    /// The future runs in a task of its own and is not dropped halfway, so it need not be cancel
    /// safe. It should limit its own time. A late grant is used if it is still the newest.
    fn claim(&self, claim: Claim) -> impl Future<Output = Result<Epoch, Self::Error>> + Send;

    /// Returns `true` if `epoch` is the newest that was granted. The server calls this at every
    /// heartbeat interval with [`Quorum::Arbiter`](crate::Quorum::Arbiter), once at a time, and
    /// never otherwise. Runs in a task of its own like [`claim`](Self::claim).
    fn confirm(&self, epoch: Epoch) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Returns the newest epoch that was granted, [`Epoch::ZERO`] if none was, or `None` if this
    /// arbiter keeps no record.
    ///
    /// The server calls this once for each new larger epoch that a peer names, once at a time. If
    /// the newest granted epoch is smaller, the peer has invented its epoch, and the server forgets
    /// it. So the answer must not be older than the call: it must include every grant that was
    /// published before the call.
    ///
    /// After an error, the server continues to believe its peers, and asks again after
    /// [`Config::claim_retry`](crate::Config::claim_retry). Runs in a task of its own like
    /// [`claim`](Self::claim). The future should limit its own time, because the server does not
    /// ask again before it has answered.
    ///
    /// By default there is no record, and the server believes its peers. An arbiter that can read
    /// its newest epoch should return it.
    fn newest(&self) -> impl Future<Output = Result<Option<Epoch>, Self::Error>> + Send {
        async { Ok(None) }
    }
}

/// Grants the epoch after the largest that the claimant knows.
///
/// This arbiter protects from nothing. Two servers that cannot reach each other are granted the
/// same epoch, and after a restart of all servers epochs begin at one again. Use it where two
/// coordinators at a time do no harm, with [`Quorum::Majority`](crate::Quorum::Majority), or in
/// tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalArbiter;

impl Arbiter for LocalArbiter {
    type Error = Infallible;

    async fn claim(&self, claim: Claim) -> Result<Epoch, Infallible> {
        Ok(claim.above.next())
    }

    /// This arbiter has no record, so it confirms every epoch.
    async fn confirm(&self, _: Epoch) -> Result<bool, Infallible> {
        Ok(true)
    }
}
