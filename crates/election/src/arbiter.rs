use core::convert::Infallible;
use core::fmt::Display;
use core::future::Future;

use crate::{Claim, Epoch};

/// Who grants epochs.
///
/// An arbiter that outlives the servers, such as a document in a database, makes epochs unique and growing
/// across any crash, pause, partition or restart. Once it has granted an epoch it must grant only larger
/// ones, and what the coordinator writes to must refuse smaller ones: that is what makes a coordinator harmless
/// that was paused and does not know yet that it has been replaced.
///
/// # Example: a database
///
/// Best is the database that the coordinator writes to anyway. Keep one record with the newest epoch, count it
/// up to grant one, and make every transaction of the coordinator *write* that record under the condition that
/// its epoch is still the newest. Only to read it is not enough where transactions see a snapshot.
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
/// With MongoDB the grant is a `findAndModify` with `$inc` on one document and a majority write concern, the
/// condition is `update {_id, epoch: mine} {$inc: {seq: 1}}` as the first statement of every transaction, which
/// must match exactly one document, and what is confirmed is read linearizably. One thing more is needed
/// there: a crashed coordinator's open transaction would hold up the next grant for up to a minute, so the
/// document also names the session its holder works in, and whoever claims kills that session first.
pub trait Arbiter: Send + Sync + 'static {
    /// Why a claim failed. Its text goes to the log.
    type Error: Display + Send;

    /// Grants an epoch that is larger than every epoch granted before. [`Claim::above`] is the largest the
    /// claimant knows of, for arbiters that have no memory of their own.
    ///
    /// The future runs in a task of its own and is not dropped halfway, so it need not be cancel safe; it
    /// should bound its own time. A grant that comes too late is used if it is still the newest.
    fn claim(&self, claim: Claim) -> impl Future<Output = Result<Epoch, Self::Error>> + Send;

    /// Returns `true` if `epoch` is the newest that was granted. Asked at every heartbeat interval with
    /// [`Quorum::Arbiter`](crate::Quorum::Arbiter), once at a time, and never otherwise. Runs in a task of its own
    /// like [`claim`](Self::claim).
    fn confirm(&self, epoch: Epoch) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// The newest epoch that was granted, [`Epoch::ZERO`] if none was, or `None` if this arbiter keeps no record.
    ///
    /// Asked once for each new larger epoch that a peer names, once at a time. If the newest is smaller, the peer has
    /// made its epoch up, and the server forgets it. So the answer must not be older than the question: a grant that
    /// was made known before `newest` was called must be in it. If this fails, the server goes on to believe its peers
    /// and asks again after [`Config::claim_retry`](crate::Config::claim_retry). Runs in a task of its own like
    /// [`claim`](Self::claim), and should bound its own time: it is not asked again before it has answered.
    ///
    /// By default there is no record, and peers are believed. An arbiter that can read its newest epoch should say it.
    fn newest(&self) -> impl Future<Output = Result<Option<Epoch>, Self::Error>> + Send {
        async { Ok(None) }
    }
}

/// Grants the epoch after the largest the claimant has heard of.
///
/// It protects from nothing: two servers that cannot hear each other are granted the same epoch, and after
/// a restart of all servers epochs begin at one again. Use it where two coordinators at a time do no harm, with
/// [`Quorum::Majority`](crate::Quorum::Majority), or in tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalArbiter;

impl Arbiter for LocalArbiter {
    type Error = Infallible;

    async fn claim(&self, claim: Claim) -> Result<Epoch, Infallible> {
        Ok(claim.above.next())
    }

    /// It has no memory, so it believes.
    async fn confirm(&self, _: Epoch) -> Result<bool, Infallible> {
        Ok(true)
    }
}
