//! Places for reads, so that no source has all of them.

use core::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant};

use super::SourceId;
use super::shares::{Place, Shares};
use super::slow_reads::SlowReads;
use crate::log_throttle::LogThrottle;
use crate::own_thread::OwnThread;

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
    pub(super) drain_rate: ReadRate,
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
            drain_rate: ReadRate::default(),
            left_behind: LogThrottle::default(),
        }
    }

    /// Takes places for a find that serves this number of commands, if enough places are free.
    pub(super) fn places(&self, count: usize) -> Option<Place> {
        self.places.try_take_for_all(count)
    }

    /// Waits until one more read may run. It may run until this place is dropped.
    pub(super) async fn running(&self, source: SourceId) -> Option<Place> {
        self.running.take(source).await
    }
}

/// Rate at which reads are answered. It determines the pause that the server tells a refused
/// client.
#[derive(Debug, Default)]
pub(super) struct ReadRate(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    answered: u32,
    refused: u32,
    /// Reads a second in the window before.
    per_second: f64,
}

impl ReadRate {
    pub(super) fn done(&self) {
        self.window().answered += 1;
    }

    /// Counts a refused read. Returns the pause in which as many reads are answered as were refused
    /// in this window.
    pub(super) fn retry_after(&self) -> Duration {
        let mut window = self.window();
        window.refused += 1;
        let per_second = window.per_second.max(f64::from(window.answered)).max(10.0);
        let seconds = f64::from(window.refused) / per_second;
        Duration::from_secs_f64(seconds).clamp(SHORTEST_PAUSE, Duration::from_secs(30))
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let took = window.began.map(|began| now.saturating_duration_since(began));
        if took.is_none_or(|took| took >= Duration::from_secs(1)) {
            let took = took.unwrap_or_default().as_secs_f64().max(1.0);
            *window = Window {
                began: Some(now),
                per_second: f64::from(window.answered) / took,
                ..Window::default()
            };
        }
        window
    }
}
