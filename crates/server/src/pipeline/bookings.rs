//! Times at which refused commands should come back.
//!
//! Places in a full queue become free at the rate at which commands are executed. So each refused
//! command gets a time of its own, one after another at that rate. The queue keeps a place for the
//! command at that time. Otherwise all commands would come back at once. A command that has never
//! waited would then take the place of a command that has.
//!
//! The groups of sources, such as the connections from one address, share the rate. Each group has
//! a sequence of times of its own. So the refused commands of one group do not push back those of
//! another.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use bellwether_protocol::CommandId;
use tokio::time::Instant;

/// The shortest and the longest pause that the server tells a client.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(30));
/// Time for which a place is kept after the client should have come back.
const KEPT: Duration = Duration::from_millis(250);
/// Highest number of commands that are expected. Further commands get a time as well, but the queue
/// keeps no place for them.
const MAX_BOOKED: usize = 65_536;
/// Highest number of expected commands of one group.
const MAX_BOOKED_BY_GROUP: usize = MAX_BOOKED / 4;

#[derive(Debug, Default)]
pub(super) struct Bookings {
    due: HashMap<CommandId, Booking>,
    /// The commands whose time has not come.
    coming: BTreeSet<(Instant, CommandId)>,
    /// The commands for which a place is kept now.
    kept: BTreeSet<(Instant, CommandId)>,
    /// The groups that have bookings, or whose next free time is in the future.
    groups: HashMap<u64, Group>,
    /// The groups by their next free time. It lacks groups whose time has passed and that have
    /// bookings.
    by_next: BTreeSet<(Instant, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Booking {
    at: Instant,
    group: u64,
}

#[derive(Debug)]
struct Group {
    /// Time of the next free place, after all places that this group has booked.
    next: Instant,
    booked: usize,
    /// Number of places that are kept now.
    kept: usize,
}

impl Bookings {
    /// Returns the time after which a refused command of this group should come back. `each` is the
    /// time that one command takes. This group shares that rate with the other groups that have
    /// bookings. `sharing` is the lowest number of groups that share it.
    pub(super) fn book(
        &mut self,
        id: CommandId,
        group: u64,
        each: Duration,
        sharing: usize,
        now: Instant,
    ) -> Duration {
        self.update(now);
        self.remove(id);
        let (least, most) = BOUNDS;
        let none = Group {
            next: now,
            booked: 0,
            kept: 0,
        };
        self.groups.entry(group).or_insert(none);
        let sharing = u32::try_from(self.groups.len().max(sharing)).unwrap_or(u32::MAX);
        let full = self.due.len() >= MAX_BOOKED;
        let Some(own) = self.groups.get_mut(&group) else {
            return most;
        };
        self.by_next.remove(&(own.next, group));
        let begin = own.next.clamp(now, now + most);
        own.next = begin + each.saturating_mul(sharing).min(most);
        self.by_next.insert((own.next, group));
        let at = own.next.clamp(now + least, now + most);
        if !full && own.booked < MAX_BOOKED_BY_GROUP {
            own.booked += 1;
            self.due.insert(id, Booking { at, group });
            self.coming.insert((at, id));
        }
        at.saturating_duration_since(now)
    }

    /// Takes the place that is kept for this command. Returns `true` if a place is kept for it now.
    pub(super) fn take(&mut self, id: CommandId, now: Instant) -> bool {
        self.update(now);
        self.remove(id).is_some_and(|booking| booking.at <= now)
    }

    /// Returns the number of places that are kept now for commands that should come back.
    pub(super) fn kept(&mut self, now: Instant) -> usize {
        self.update(now);
        self.kept.len()
    }

    /// Returns the number of places that were kept for this group at the last call of
    /// [`kept`](Self::kept).
    pub(super) fn kept_for(&self, group: u64) -> usize {
        self.groups.get(&group).map_or(0, |group| group.kept)
    }

    /// Keeps places for the commands whose time has come. Forgets the commands that have not come
    /// back. Each booking costs logarithmic time once, whenever that is.
    fn update(&mut self, now: Instant) {
        while let Some((at, id)) = self.coming.first().copied()
            && at <= now
        {
            self.coming.pop_first();
            self.kept.insert((at, id));
            let booking = self.due.get(&id);
            if let Some(group) = booking.and_then(|booking| self.groups.get_mut(&booking.group)) {
                group.kept += 1;
            }
        }
        while let Some((due, id)) = self.kept.first().copied()
            && due + KEPT < now
        {
            self.remove(id);
        }
        while let Some((next, group)) = self.by_next.first().copied()
            && next <= now
        {
            self.by_next.pop_first();
            if self.groups.get(&group).is_some_and(|group| group.booked == 0) {
                self.groups.remove(&group);
            }
        }
    }

    fn remove(&mut self, id: CommandId) -> Option<Booking> {
        let booking = self.due.remove(&id)?;
        let was_kept = self.kept.remove(&(booking.at, id));
        self.coming.remove(&(booking.at, id));
        if let Some(group) = self.groups.get_mut(&booking.group) {
            group.booked -= 1;
            group.kept -= usize::from(was_kept);
            if group.booked == 0 {
                // The group is forgotten when its time has passed.
                self.by_next.insert((group.next, booking.group));
            }
        }
        Some(booking)
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
            .map(|n| bookings.book(id(n), 1, each, 1, now).as_millis())
            .collect();
        assert_eq!(told, [20, 20, 30, 40, 50]);
        assert_eq!(bookings.book(id(9), 1, Duration::from_secs(99), 1, now), BOUNDS.1);
    }

    #[test]
    fn refused_commands_of_one_group_do_not_push_back_those_of_another() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let each = Duration::from_millis(100);
        for n in 0..200 {
            bookings.book(id(n), 1, each, 1, now);
        }
        let told = bookings.book(id(999), 2, each, 1, now);
        assert_eq!(told, 2 * each, "the two groups share the rate");
        let told = bookings.book(id(1_000), 2, each, 7, now);
        assert_eq!(told, 9 * each, "seven groups share the rate");
        let later = now + Duration::from_secs(60);
        assert_eq!(bookings.kept(later), 0);
        assert!(bookings.groups.is_empty() && bookings.by_next.is_empty());
    }

    #[test]
    fn a_place_is_kept_for_a_command_that_comes_back_in_time() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let each = Duration::from_millis(100);
        for n in 0..3 {
            bookings.book(id(n), 1, each, 1, now);
        }
        assert!(
            !bookings.take(id(1), now + each),
            "it comes too early, and is booked no more"
        );
        assert_eq!(bookings.kept(now + each), 1);
        assert_eq!(bookings.kept(now + 3 * each), 2);
        assert_eq!((bookings.kept_for(1), bookings.kept_for(2)), (2, 0));
        assert!(bookings.take(id(0), now + 3 * each));
        assert_eq!(bookings.kept(now + 3 * each), 1);
        assert_eq!(bookings.kept(now + 3 * each + KEPT * 2), 0);
        assert!(bookings.due.is_empty() && bookings.coming.is_empty() && bookings.kept.is_empty());
    }

    #[test]
    fn the_number_of_bookings_is_bounded() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        for n in 0..MAX_BOOKED as u64 + 100 {
            bookings.book(id(n), n % 8, Duration::from_micros(1), 1, now);
        }
        assert_eq!(bookings.due.len(), MAX_BOOKED);
        let mut bookings = Bookings::default();
        for n in 0..MAX_BOOKED as u64 {
            bookings.book(id(n), 1, Duration::from_micros(1), 1, now);
        }
        assert_eq!(bookings.due.len(), MAX_BOOKED_BY_GROUP);
    }
}
