//! Times at which refused commands should come back.
//!
//! Places in a full queue become free at the rate at which commands are executed. [`RetryTimes`]
//! gives each refused command a time of its own at that rate. The queue keeps a place for the
//! command at that time. Otherwise a command that has never waited would take the place of a
//! command that has.

use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

use bellwether_protocol::CommandId;
use tokio::time::Instant;

use crate::retry_times::RetryTimes;

/// The shortest pause that the server tells a client.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// Time for which a place is kept after the client should have come back.
const KEPT: Duration = Duration::from_millis(250);
/// Time for which a group still shares the rate after its latest time. Places can be kept for its
/// commands until then.
const SHARES_FOR: Duration = Duration::from_millis(270);
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
    /// The groups that have bookings.
    groups: HashMap<u64, Group>,
    times: RetryTimes,
}

#[derive(Clone, Copy, Debug)]
struct Booking {
    at: Instant,
    group: u64,
}

#[derive(Debug, Default)]
struct Group {
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
        let at = self.times.next(group, each, sharing, now);
        let at = at.max(now + SHORTEST_PAUSE);
        let booked_by_group = self.groups.get(&group).map_or(0, |group| group.booked);
        if self.due.len() < MAX_BOOKED && booked_by_group < MAX_BOOKED_BY_GROUP {
            self.groups.entry(group).or_default().booked += 1;
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
        if let Some(until) = now.checked_sub(SHARES_FOR) {
            self.times.forget(until);
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
                self.groups.remove(&booking.group);
            }
        }
        Some(booking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry_times::LONGEST_PAUSE;

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
        assert_eq!(
            bookings.book(id(9), 1, Duration::from_secs(99), 1, now),
            LONGEST_PAUSE
        );
    }

    #[test]
    fn a_group_shares_the_rate_until_its_commands_have_come_back() {
        let (mut bookings, now) = (Bookings::default(), Instant::now());
        let each = Duration::from_millis(100);
        bookings.book(id(1), 1, each, 1, now);
        let last_moment = now + each + KEPT;
        assert_eq!(bookings.book(id(2), 2, each, 1, last_moment), 2 * each);
        assert_eq!(bookings.kept(now + Duration::from_secs(60)), 0);
        assert!(bookings.groups.is_empty());
        let later = now + Duration::from_secs(60);
        assert_eq!(bookings.book(id(3), 2, each, 1, later), each, "alone");
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
