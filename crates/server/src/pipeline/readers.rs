//! Places for reads, so that no source has all of them.

use core::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant};

use super::SourceId;
use super::shares::{Place, Shares};
use super::slow_reads::SlowReads;
use crate::log_throttle::LogThrottle;
use crate::own_thread::OwnThread;
use crate::refusal_pace::RefusalPace;

/// Reads that are expected to end in a second, until more is measured.
const LEAST_RATE: f64 = 10.0;
/// The shortest pause after which a refused read is sent again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// The limits for reads in progress.
#[derive(Debug)]
pub(super) struct Readers {
    /// Places for reads that wait or run.
    pub(super) places: Arc<Shares>,
    /// Places for reads that run.
    pub(super) running: Arc<Shares>,
    /// The one place for reads that may have caused the loss of a primary.
    pub(super) suspects: Arc<Shares>,
    pub(super) slow: SlowReads,
    /// The thread that decodes the replies to slow reads, which may be large. No socket and no
    /// batch has to wait for it.
    pub(super) thread: Option<OwnThread>,
    /// Permits for the large replies that are written as text at a time.
    pub(super) writing: Semaphore,
    /// The pace at which reads end.
    pub(super) pace: RefusalPace,
    pub(super) left_behind: LogThrottle,
}

impl Readers {
    pub(super) fn new(places: usize, running: usize, slow: usize) -> Self {
        Self {
            places: Shares::new(places),
            running: Shares::new(running),
            suspects: Shares::new(1),
            slow: SlowReads::new(slow),
            thread: OwnThread::start("slow-reads")
                .inspect_err(|error| tracing::warn!(%error, "slow reads have no thread of their own"))
                .ok(),
            writing: Semaphore::new(available_parallelism().map_or(1, NonZero::get)),
            pace: RefusalPace::new(LEAST_RATE, SHORTEST_PAUSE),
            left_behind: LogThrottle::default(),
        }
    }

    /// Records that a read has ended.
    pub(super) fn done(&self) {
        self.pace.freed(1, Instant::now());
    }

    /// Waits until one more read may run. It may run until this place is dropped.
    pub(super) async fn running(&self, source: SourceId) -> Option<Place> {
        self.running.take(source).await
    }
}
