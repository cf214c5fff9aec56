//! The pings of one connection.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use crate::Keepalive;

/// The pings of one connection of [`Native`](super::Native). Clones belong to the same connection.
#[derive(Clone, Debug, Default)]
pub struct Pings(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_due: AtomicBool,
    /// Microseconds since the clock of the platform started.
    heard: AtomicU64,
}

impl Pings {
    /// Returns `true` if a ping must be sent now. Each ping is due once.
    pub(super) fn take_due(&self) -> bool {
        self.0.is_due.swap(false, Ordering::Relaxed)
    }

    /// Records that a byte has arrived.
    pub(super) fn heard_at(&self, now: Duration) {
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.0.heard.store(micros, Ordering::Relaxed);
    }
}

impl Keepalive for Pings {
    fn ask_for_ping(&self) {
        self.0.is_due.store(true, Ordering::Relaxed);
    }

    fn heard(&self) -> Duration {
        Duration::from_micros(self.0.heard.load(Ordering::Relaxed))
    }
}
