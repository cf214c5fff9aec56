//! Log lines that strangers can cause, and must not fill the log with.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// One line in this time is enough.
const QUIET: Duration = Duration::from_secs(60);

/// Lets one line through a minute, and counts the others.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// How many were kept quiet since the last that was said, if this one is to be said.
    pub(crate) fn admit(&self) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| last.elapsed() < QUIET) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(Instant::now());
        Some(core::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_a_minute_is_said_and_the_others_are_counted() {
        let seldom = Seldom::default();
        assert_eq!(seldom.admit(), Some(0));
        assert_eq!(seldom.admit(), None);
        assert_eq!(seldom.admit(), None);
        tokio::time::advance(QUIET).await;
        assert_eq!(seldom.admit(), Some(2));
    }
}
