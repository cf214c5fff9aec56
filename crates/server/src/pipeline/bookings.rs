//! When refused commands should come back.
//!
//! A full queue has a place for as many commands a second as are executed. So each refused command is told a time of its own,
//! one after another at that rate, and a place is kept for it then. Without that, all come back at once, and a command that
//! has never waited takes the place of one that has.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use bellwether_protocol::CommandId;
use tokio::time::Instant;

/// The shortest and the longest pause that a client is told.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(30));
/// A place is kept for this time after the client should have come back.
const KEPT: Duration = Duration::from_millis(250);
/// Largest number of commands that are expected. Further ones are told a time as well, but no place is kept for them.
const MAX_BOOKED: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Bookings {
    due: HashMap<CommandId, Instant>,
    by_time: BTreeMap<(Instant, CommandId), ()>,
    /// When the place after all booked ones is free.
    next: Option<Instant>,
}

impl Bookings {
    /// Returns the time after which a refused command should come back. `each` is the time one command takes.
    pub(super) fn book(&mut self, id: CommandId, each: Duration, now: Instant) -> Duration {
        self.forget(now);
        let (least, most) = BOUNDS;
        let begin = self.next.map_or(now, |next| next.clamp(now, now + most));
        let at = (begin + each).max(now + least).min(now + most);
        self.next = Some(begin + each);
        self.remove(id);
        if self.due.len() < MAX_BOOKED {
            self.due.insert(id, at);
            self.by_time.insert((at, id), ());
        }
        at.saturating_duration_since(now)
    }

    /// Returns `true` if a place is kept for this command now, which it takes.
    pub(super) fn take(&mut self, id: CommandId, now: Instant) -> bool {
        self.forget(now);
        self.remove(id).is_some_and(|due| due <= now)
    }

    /// Number of places that are kept now for commands that should come back.
    pub(super) fn kept(&mut self, now: Instant) -> usize {
        self.forget(now);
        self.by_time.keys().take_while(|(due, _)| *due <= now).count()
    }

    /// Forgets the commands that have not come back.
    fn forget(&mut self, now: Instant) {
        while let Some(((due, id), ())) = self.by_time.first_key_value()
            && *due + KEPT < now
        {
            let id = *id;
            self.remove(id);
        }
    }

    fn remove(&mut self, id: CommandId) -> Option<Instant> {
        let due = self.due.remove(&id)?;
        self.by_time.remove(&(due, id));
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> CommandId {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&n.to_be_bytes());
        CommandId::mint(Duration::from_secs(1_795_000_000), random)
    }

    #[test]
    fn each_refused_command_is_told_a_time_of_its_own() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let each = Duration::from_millis(10);
        let told: Vec<u128> = (0..5)
            .map(|n| bookings.book(id(n), each, now).as_millis())
            .collect();
        assert_eq!(told, [20, 20, 30, 40, 50]);
        assert_eq!(bookings.book(id(9), Duration::from_secs(99), now), BOUNDS.1);
    }

    #[test]
    fn a_place_is_kept_for_a_command_that_comes_back_in_time() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let each = Duration::from_millis(100);
        for n in 0..3 {
            bookings.book(id(n), each, now);
        }
        assert!(
            !bookings.take(id(1), now + each),
            "it comes too early, and is booked no more"
        );
        assert_eq!(bookings.kept(now + each), 1);
        assert_eq!(bookings.kept(now + 3 * each), 2);
        assert!(bookings.take(id(0), now + 3 * each));
        assert_eq!(bookings.kept(now + 3 * each), 1);
        assert_eq!(bookings.kept(now + 3 * each + KEPT * 2), 0);
        assert!(bookings.due.is_empty() && bookings.by_time.is_empty());
    }

    #[test]
    fn the_number_of_bookings_is_bounded() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        for n in 0..MAX_BOOKED as u64 + 100 {
            bookings.book(id(n), Duration::from_micros(1), now);
        }
        assert_eq!(bookings.due.len(), MAX_BOOKED);
    }
}
