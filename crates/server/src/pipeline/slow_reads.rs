//! Slow reads have few places of their own, so that MongoDB has time left for all other commands.
//!
//! MongoDB shares its processors among all its operations. With thirty slow reads in progress, a
//! read of a millisecond takes thirty times as long. A read counts as slow if a read with the same
//! body, or of the same connection, was slow a moment ago. A read with a large reply is slow in
//! this sense, too. The server's own processors decode the reply and write its text.

use core::hash::Hash;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::SourceId;
use super::shares::{Place, Shares};
use crate::command::{Fingerprint, ParsedCommand};

/// Time after which a read is slow.
const SLOW: Duration = Duration::from_millis(250);
/// Size of a reply, in bytes of BSON, above which its read is slow.
const LARGE: usize = 1024 * 1024;
/// Time for which a body, a connection or a collection is remembered after its last slow read.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Largest number of bodies, of connections, and of collections that are remembered.
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
    /// Collections in which a find for several commands was slow.
    collections: HashMap<String, Instant>,
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

    /// Learns from the time that MongoDB has worked on a read, and from the size of its reply in
    /// bytes of BSON.
    pub(super) fn took(
        &self,
        source: SourceId,
        command: &ParsedCommand,
        time: Duration,
        size: usize,
        now: Instant,
    ) {
        if time <= SLOW && size <= LARGE {
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

    /// Records that a find for several commands was slow in this collection.
    pub(super) fn was_slow_in(&self, collection: &str, now: Instant) {
        remember(&mut self.lock().collections, collection.to_owned(), now);
    }

    /// Returns `true` if a find for several commands was slow in this collection a moment ago.
    pub(super) fn expects_in(&self, collection: &str, now: Instant) -> bool {
        is_recent(self.lock().collections.get(collection), now)
    }

    fn knows(&self, source: SourceId, body: &Fingerprint, now: Instant) -> bool {
        let known = self.lock();
        is_recent(known.sources.get(&source), now) || is_recent(known.bodies.get(body), now)
    }

    fn lock(&self) -> MutexGuard<'_, KnownSlow> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_recent(at: Option<&Instant>, now: Instant) -> bool {
    at.is_some_and(|at| *at + REMEMBERED > now)
}

fn remember<K: Hash + Eq + Clone>(known: &mut HashMap<K, Instant>, key: K, now: Instant) {
    if known.len() >= MAX_REMEMBERED && !known.contains_key(&key) {
        known.retain(|_, at| *at + REMEMBERED > now);
        let oldest = known.iter().min_by_key(|(_, at)| **at);
        let oldest = oldest.map(|(key, _)| key.clone());
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
        slow.took(other, &light, SLOW, LARGE, now);
        slow.took(one, &heavy, SLOW * 2, 0, now);
        let expects = |source, command: &ParsedCommand, now| slow.knows(source, command.fingerprint(), now);
        assert!(expects(one, &heavy, now) && expects(one, &light, now) && expects(other, &heavy, now));
        assert!(!expects(other, &light, now));
        assert!(!expects(one, &heavy, now + REMEMBERED));
    }

    #[test]
    fn a_read_with_a_large_reply_is_slow() {
        let (slow, now, source) = (SlowReads::new(4), Instant::now(), SourceId::new());
        slow.took(source, &find("large"), Duration::ZERO, LARGE + 1, now);
        assert!(slow.expects(source, &find("large")));
    }

    #[test]
    fn a_collection_is_remembered_for_a_while() {
        let (slow, now) = (SlowReads::new(4), Instant::now());
        slow.was_slow_in("view", now);
        assert!(slow.expects_in("view", now) && !slow.expects_in("c", now));
        assert!(!slow.expects_in("view", now + REMEMBERED));
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
                0,
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
        slow.took(source, &find("c"), SLOW * 2, 0, now);
        let place = slow.place_for(source, &find("c")).await;
        assert!(place.is_some());
        let again = find("c");
        let mut other = pin!(slow.place_for(source, &again));
        assert!(futures_util::poll!(&mut other).is_pending());
        drop(place);
        assert!(other.await.is_some());
    }
}
