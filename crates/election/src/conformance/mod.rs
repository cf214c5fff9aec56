//! Checks by experiment that a [`Transport`] has the properties that the election needs.
//!
//! The author of a transport implements [`Fixture`], which makes and ends its endpoints, and calls
//! [`check`]. The [`Report`] lists all checks and describes each fault in words.
//!
//! Loss is no fault: a check sends a message again if the message may get lost. Some properties are
//! not checked: malformed bytes, protection against strangers, and links that fail silently. They
//! need tests of their own.
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
/// Every check has a small cluster with ids of its own, so that no check can disturb the next.
pub trait Fixture {
    /// Type of the transport.
    type Transport: Transport;

    /// Starts the server `id` of the cluster of `members`, which include `id`. The others start
    /// before, after, or not at all.
    ///
    /// A check stops a server and starts it again. The server must then have the same address,
    /// where its peers look for it. A fixture for a network chooses an address for every member
    /// when it first receives its id.
    fn start(&mut self, id: &ServerId, members: &[ServerId]) -> impl Future<Output = Self::Transport> + Send;

    /// Ends a server as a crash of its process would: its sockets are closed, and no program is at
    /// its address when this returns. The default drops the transport and does nothing else.
    fn stop(&mut self, id: &ServerId, transport: Self::Transport) -> impl Future<Output = ()> + Send {
        let _ = id;
        drop(transport);
        core::future::ready(())
    }
}

/// Time limits and sizes of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time limit for an expected event. Default 30 s.
    ///
    /// It costs time only if the transport has a fault. So choose it longer than the slowest
    /// machine could need.
    pub time_limit: Duration,

    /// Time during which a check watches for a forbidden event. Default 300 ms. The checks wait for
    /// it in full, about a dozen times.
    ///
    /// Choose a few times the time in which the transport finds a peer again. A shorter time
    /// detects less, and never blames a correct transport.
    pub quiet: Duration,

    /// Number of messages of the largest kind, each about 1 KiB, for a peer that does not read.
    /// Default 20 000.
    ///
    /// Choose more than the transport and the sockets' buffers below it may keep. If all arrive,
    /// the report says that the transport keeps messages without a bound.
    pub flood: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_limit: Duration::from_secs(30),
            quiet: Duration::from_millis(300),
            flood: 20_000,
        }
    }
}

/// Makes all checks, one after another, and reports. Takes a few seconds for a correct transport.
///
/// Must be called within a tokio runtime of either kind. Its clock must run, because on a paused
/// clock time passes while a socket's data is on its way. The report includes a `send` that blocks
/// or panics, and a `recv` that panics. A `recv` that blocks its thread hangs the runtime.
/// `tracing` logs each check as it begins.
///
/// Dropping the future stops the checks, and drops the endpoints of the fixture.
pub async fn check<F: Fixture>(mut fixture: F, limits: Limits) -> Report {
    let mut report = Report {
        findings: alloc::vec::Vec::new(),
    };
    for check in Check::ALL {
        debug!(%check, "checking");
        let outcome = match report.failed().next() {
            // Every other check would wait in vain and report the same.
            Some(Check::Delivery) => Outcome::Skipped("messages do not arrive".into()),
            Some(_) if check == Check::Election => Outcome::Skipped("fix the failures above first".into()),
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
    // Checks of the content use ids of the largest length.
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
