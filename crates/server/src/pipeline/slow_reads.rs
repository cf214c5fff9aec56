//! Slow reads have few places of their own, so that MongoDB has time left for all other commands.
//!
//! MongoDB shares its processors among all its operations. With thirty slow reads in progress, a
//! read of a millisecond takes thirty times as long. A read counts as slow if a read with the same
//! body, or of the same connection, was slow a moment ago.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::SourceId;
use super::shares::{Place, Shares};
use crate::command::{Fingerprint, ParsedCommand};

/// Time after which a read is slow.
const SLOW: Duration = Duration::from_millis(250);
/// Time for which a body or a connection is remembered after its last slow read.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Largest number of bodies, and of connections, that are remembered.
const MAX_REMEMBERED: usize = 1_024;

#[derive(Debug)]
pub(super) struct SlowReads {
    places: Arc<Shares>,
    known: Mutex<KnownSlow>,
}

#[derive(Debug, Default)]
struct KnownSlow {
    sources: HashMap<SourceId, Instant>,
    bodies: HashMap<Fingerprint, Instant>,
}

impl SlowReads {
    /// Returns the state in which no slow read is known. `places` is the number of slow reads that
    /// MongoDB works on at a time, but one at least.
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Shares::new(places),
            known: Mutex::default(),
        }
    }

    /// Waits for a place if the read is expected to be slow. May be dropped at any time.
    pub(super) async fn place_for(&self, source: SourceId, command: &ParsedCommand) -> Option<Place> {
        if !self.expects(source, command) {
            return None;
        }
        self.places.take(source).await
    }

    /// Learns from the time that MongoDB has worked on a read.
    pub(super) fn took(&self, source: SourceId, command: &ParsedCommand, time: Duration, now: Instant) {
        if time <= SLOW {
            return;
        }
        let mut known = self.lock();
        remember(&mut known.sources, source, now);
        remember(&mut known.bodies, *command.fingerprint(), now);
    }

    /// Returns `true` if the read is expected to be slow.
    pub(super) fn expects(&self, source: SourceId, command: &ParsedCommand) -> bool {
        self.knows(source, command.fingerprint(), Instant::now())
    }

    fn knows(&self, source: SourceId, body: &Fingerprint, now: Instant) -> bool {
        let known = self.lock();
        let is_recent = |at: Option<&Instant>| at.is_some_and(|at| *at + REMEMBERED > now);
        is_recent(known.sources.get(&source)) || is_recent(known.bodies.get(body))
    }

    fn lock(&self) -> MutexGuard<'_, KnownSlow> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember<K: std::hash::Hash + Eq + Copy>(known: &mut HashMap<K, Instant>, key: K, now: Instant) {
    if known.len() >= MAX_REMEMBERED && !known.contains_key(&key) {
        known.retain(|_, at| *at + REMEMBERED > now);
        let oldest = known.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| known.len() >= MAX_REMEMBERED) {
            known.remove(&oldest);
        }
    }
    known.insert(key, now);
}

#[cfg(test)]
mod tests {
    use core::pin::pin;

    use bellwether_protocol::RawJson;

    use super::*;
    use crate::command::AllowedCommands;

    fn find(collection: &str) -> ParsedCommand {
        let raw = RawJson::object(&format!(r#"{{"find":"{collection}"}}"#)).unwrap();
        ParsedCommand::parse(&raw, &AllowedCommands::default()).unwrap()
    }

    #[test]
    fn the_body_and_the_connection_of_a_slow_read_are_remembered_for_a_while() {
        let (slow, now) = (SlowReads::new(4), Instant::now());
        let (one, other) = (SourceId::new(), SourceId::new());
        let (heavy, light) = (find("heavy"), find("light"));
        slow.took(other, &light, SLOW, now);
        slow.took(one, &heavy, SLOW * 2, now);
        let expects = |source, command: &ParsedCommand, now| slow.knows(source, command.fingerprint(), now);
        assert!(expects(one, &heavy, now) && expects(one, &light, now) && expects(other, &heavy, now));
        assert!(!expects(other, &light, now));
        assert!(!expects(one, &heavy, now + REMEMBERED));
    }

    #[test]
    fn a_bounded_number_is_remembered() {
        let (slow, now) = (SlowReads::new(4), Instant::now());
        for n in 0..=MAX_REMEMBERED as u64 {
            let command = find(&format!("c{n}"));
            slow.took(
                SourceId::new(),
                &command,
                SLOW * 2,
                now + Duration::from_micros(n),
            );
        }
        let known = slow.lock();
        assert_eq!(
            (known.sources.len(), known.bodies.len()),
            (MAX_REMEMBERED, MAX_REMEMBERED)
        );
        assert!(!known.bodies.contains_key(find("c0").fingerprint()));
    }

    #[tokio::test]
    async fn quick_reads_need_no_place_and_slow_ones_wait_for_theirs() {
        let (slow, now, source) = (SlowReads::new(1), Instant::now(), SourceId::new());
        assert!(slow.place_for(source, &find("c")).await.is_none());
        slow.took(source, &find("c"), SLOW * 2, now);
        let place = slow.place_for(source, &find("c")).await;
        assert!(place.is_some());
        let again = find("c");
        let mut other = pin!(slow.place_for(source, &again));
        assert!(futures_util::poll!(&mut other).is_pending());
        drop(place);
        assert!(other.await.is_some());
    }
}
