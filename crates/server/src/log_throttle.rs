//! A limit for log lines that strangers can cause, so that these lines do not fill the log.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Time in which a text is written at most once.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);
/// Number of different texts for one key in [`INTERVAL`]. A stranger can cause any number of them.
pub(crate) const MAX_TEXTS: usize = 8;

/// Admits each text once a minute for each key, and counts the others.
#[derive(Debug)]
pub(crate) struct LogThrottle<K = ()>(Mutex<BTreeMap<K, Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    texts: Vec<String>,
    suppressed: u64,
}

impl<K> Default for LogThrottle<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl LogThrottle {
    /// Admits one line a minute, whatever its text. Returns the number of lines suppressed since
    /// the last one, or `None` if this line must not be written.
    pub(crate) fn admit(&self) -> Option<u64> {
        self.admit_text((), "")
    }
}

impl<K: Ord> LogThrottle<K> {
    /// Returns the number of lines of this key that were suppressed since its last one, or `None`
    /// if this line must not be written. The throttle keeps every key, so there must be few of
    /// them.
    pub(crate) fn admit_text(&self, key: K, text: &str) -> Option<u64> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(key).or_insert_with(|| Window {
            began: Instant::now(),
            texts: Vec::new(),
            suppressed: 0,
        });
        if window.began.elapsed() >= INTERVAL {
            window.began = Instant::now();
            window.texts.clear();
        }
        if window.texts.len() >= MAX_TEXTS || window.texts.iter().any(|earlier| earlier == text) {
            window.suppressed += 1;
            return None;
        }
        window.texts.push(text.to_owned());
        Some(core::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_minute_is_admitted_and_the_others_are_counted() {
        let throttle = LogThrottle::default();
        assert_eq!(throttle.admit(), Some(0));
        assert_eq!(throttle.admit(), None);
        assert_eq!(throttle.admit(), None);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(throttle.admit(), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn each_text_is_admitted_once_a_minute_for_each_key() {
        let throttle = LogThrottle::default();
        assert_eq!(throttle.admit_text(1, "a"), Some(0));
        assert_eq!(throttle.admit_text(1, "a"), None);
        assert_eq!(throttle.admit_text(2, "a"), Some(0));
        assert_eq!(throttle.admit_text(1, "b"), Some(1));
        tokio::time::advance(INTERVAL).await;
        assert_eq!(throttle.admit_text(1, "a"), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn invented_texts_do_not_fill_the_log() {
        let throttle = LogThrottle::default();
        let admitted = (0..1_000)
            .filter(|n: &usize| throttle.admit_text((), &n.to_string()).is_some())
            .count();
        assert_eq!(admitted, MAX_TEXTS);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(throttle.admit_text((), "again"), Some(1_000 - MAX_TEXTS as u64));
    }
}
