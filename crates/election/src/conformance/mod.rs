//! Whether a [`Transport`] does what the election needs, found out by trying.
//!
//! Whoever writes a transport implements [`Fixture`], which makes and ends its endpoints, and calls [`check`].
//! The [`Report`] names everything that was checked and says in words what is wrong.
//!
//! Loss is no fault: what may get lost is sent again. What the checks cannot see is how a transport takes bytes
//! that no transport of its kind has sent, whether it keeps strangers out, and what it does on links that fail
//! without a word; those need tests of their own.
//!
//! ```
//! use bellwether_election::conformance::{self, Fixture, Limits};
//! use bellwether_election::{ServerId, memory};
//!
//! struct InMemory(memory::Network);
//!
//! impl Fixture for InMemory {
//!     type Transport = memory::Endpoint;
//!
//!     async fn start(&mut self, id: &ServerId, _members: &[ServerId]) -> memory::Endpoint {
//!         self.0.join(id.clone())
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() {
//! // In a test: `#[tokio::test] async fn it_conforms() { … }`
//! conformance::check(InMemory(memory::Network::new()), Limits::default()).await.assert();
//! # }
//! ```

mod absence;
mod cluster;
mod delivery;
mod election;
mod pressure;
mod report;
mod samples;

use alloc::format;
use alloc::string::String;
use core::any::Any;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::debug;

use self::cluster::{Cluster, Fault};
pub use self::report::{Check, Outcome, Report};
pub use self::samples::samples;
use crate::{ServerId, Transport};

/// Makes the endpoints of a transport.
///
/// Every check has a small cluster of its own, with ids of its own, so that none can disturb the next.
pub trait Fixture {
    /// The transport to be checked.
    type Transport: Transport;

    /// Starts the server `id` of the cluster of `members`; `id` itself is among them. The others start before,
    /// after, or not at all.
    ///
    /// A server is started again after it was stopped, and then has to be where its peers look for it: at the
    /// same address. A fixture for a network chooses an address for every member when it first hears of it.
    fn start(&mut self, id: &ServerId, members: &[ServerId]) -> impl Future<Output = Self::Transport> + Send;

    /// Ends a server as a crash of its process would: its sockets are closed, and nobody is at its address when
    /// this returns. Dropping the transport is all that happens by default.
    fn stop(&mut self, id: &ServerId, transport: Self::Transport) -> impl Future<Output = ()> + Send {
        let _ = id;
        drop(transport);
        core::future::ready(())
    }
}

/// How far the checks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long to wait for what must happen before it is taken as not happening. Default 30 s.
    ///
    /// It costs time only where something is wrong, so choose it longer than the slowest machine could need.
    pub patience: Duration,

    /// How long to watch for what must not happen. Default 300 ms. It is spent in full, about a dozen times.
    ///
    /// Choose a few times as long as the transport takes to find a peer again. A shorter watch sees less and
    /// never blames a transport wrongly.
    pub quiet: Duration,

    /// How many messages of the largest kind, each about 1 KiB, are sent to a peer that does not read. Default
    /// 20 000.
    ///
    /// Choose more than the transport and the sockets' buffers below it may keep: if all arrive, the transport
    /// is said to keep whatever comes.
    pub flood: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(30),
            quiet: Duration::from_millis(300),
            flood: 20_000,
        }
    }
}

/// Makes all checks, one after another, and reports. It takes a few seconds if all is well.
///
/// Must be called within a tokio runtime of either kind, with its clock running: on a paused one, time passes
/// while a socket's data is on its way. A `send` that blocks or panics and a `recv` that panics are reported; a
/// `recv` that blocks its thread hangs the runtime. The check that is being made is logged through `tracing`.
///
/// Dropping the future stops the checks; what the fixture has made is dropped.
pub async fn check<F: Fixture>(mut fixture: F, limits: Limits) -> Report {
    let mut report = Report {
        findings: alloc::vec::Vec::new(),
    };
    for check in Check::ALL {
        debug!(%check, "checking");
        let outcome = match report.failed().next() {
            // Every other check would wait in vain and say the same.
            Some(Check::Delivery) => Outcome::Skipped("messages do not arrive".into()),
            Some(_) if check == Check::Election => Outcome::Skipped("what failed above comes first".into()),
            _ => make(check, &mut fixture, limits).await,
        };
        report.findings.push((check, outcome));
    }
    report
}

async fn make<F: Fixture>(check: Check, fixture: &mut F, limits: Limits) -> Outcome {
    let ids = ["a", "b", "c"].map(|name| server_id(check, name));
    let mut cluster = Cluster::new(fixture, limits, ids.into());
    let result = catch(run(check, &mut cluster)).await;
    let stopped = catch(cluster.stop_all()).await;
    match result.and(stopped) {
        Ok(()) => Outcome::Passed,
        Err(Fault::Wrong(seen)) => Outcome::Failed(seen),
        Err(Fault::Unclear(why)) => Outcome::Skipped(why),
    }
}

fn server_id(check: Check, name: &str) -> ServerId {
    let short = format!("{check:?}-{name}");
    // Where the content matters, ids as long as they may be.
    let text = if check == Check::Content {
        format!("{short:.<64}")
    } else {
        short
    };
    text.parse()
        .unwrap_or_else(|_| unreachable!("letters, a hyphen and dots"))
}

async fn run<F: Fixture>(check: Check, cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    match check {
        Check::Delivery => delivery::delivery(cluster).await,
        Check::Sender => delivery::sender(cluster).await,
        Check::Content => delivery::content(cluster).await,
        Check::Echo => delivery::echo(cluster).await,
        Check::Addressee => delivery::addressee(cluster).await,
        Check::Nowhere => delivery::nowhere(cluster).await,
        Check::FullQueue => pressure::full_queue(cluster).await,
        Check::Backlog => pressure::backlog(cluster).await,
        Check::Cancellation => pressure::cancellation(cluster).await,
        Check::Alive => absence::alive(cluster).await,
        Check::Gone => absence::gone(cluster).await,
        Check::Return => absence::comes_back(cluster).await,
        Check::LinkAgain => absence::link_again(cluster).await,
        Check::Stale => absence::stale(cluster).await,
        Check::Election => election::election(cluster).await,
    }
}

/// Turns a panic of the transport or the fixture into a fault.
async fn catch(check: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    let mut check = pin!(check);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| check.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Fault::Wrong(text_of(&*panic)))))
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("without a text"))
}
