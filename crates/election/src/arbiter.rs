use core::convert::Infallible;
use core::fmt::Display;
use core::future::Future;

use crate::{Claim, Epoch};

/// Who grants epochs.
///
/// An arbiter that outlives the servers, such as a document in a database, makes epochs unique and growing
/// across any crash, pause, partition or restart. Once it has granted an epoch it must grant only larger
/// ones, and what the coordinator writes to must refuse smaller ones.
pub trait Arbiter: Send + Sync + 'static {
    /// Why a claim failed. Its text goes to the log.
    type Error: Display + Send;

    /// Grants an epoch that is larger than every epoch granted before. [`Claim::above`] is the largest the
    /// claimant knows of, for arbiters that have no memory of their own.
    ///
    /// The future runs in a task of its own and is not dropped halfway, so it need not be cancel safe; it
    /// should bound its own time. A grant that comes too late is used if it is still the newest.
    fn claim(&self, claim: Claim) -> impl Future<Output = Result<Epoch, Self::Error>> + Send;

    /// Whether `epoch` is the newest that was granted. Asked at every heartbeat interval with
    /// [`Quorum::Arbiter`](crate::Quorum::Arbiter), once at a time, and never otherwise. Runs in a task of its own
    /// like [`claim`](Self::claim).
    fn confirm(&self, epoch: Epoch) -> impl Future<Output = Result<bool, Self::Error>> + Send;
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
