//! The queue of waiting commands: bounded in places and memory, and fair between groups of sources,
//! and between the sources of a group.
//!
//! Commands of one source keep their order. Groups, such as the connections from one address, take
//! turns with one command each. Within a group its sources take turns. So a group with many
//! commands delays another group's command by one of them, not by all. The number of its sources
//! does not matter.
//!
//! An eighth of the room, places and memory alike, is a reserve for groups that have nothing
//! waiting. Groups and sources share the rest by dynamic thresholds (Choudhury and Hahne, 1998):
//!
//! - a group may have seven times as much as is still free. Alone it may take 77 % of the queue;
//!   the more others hold, the less it may take;
//! - a source may have as much as is still free: alone almost half of the queue. Sources with
//!   something waiting leave another eighth of the queue to the other sources of their group.
//!
//! So greedy groups fill the rest before the thresholds take effect, and still leave the reserve to
//! others. Commands that were put back count, too. Only they may exceed the size of the queue.

use core::time::Duration;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwether_protocol::CommandId;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::abandonments::Refusal;
use super::job::{Job, Waits};
use super::source::SourceId;
use crate::subject::SubjectHash;
use room::Room;
use selection::Selection;
use waiting::Waiting;

mod room;
mod selection;
mod source_queue;
mod turns;
mod waiting;

/// A group may have this many times the room that is still free without the reserve.
const GROUP_SHARE: usize = 7;

/// After a batch for one source that fails again and again, all others have this many times the
/// batch's own time.
const REST_FACTOR: u32 = 9;
/// The longest time for which no such batch begins.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// The same after a batch that was abandoned. It is half of the deadline of a command that names
/// none. So a command that must wait for it, and is not at fault, still has time.
const LONGEST_REST_OF_ABANDONED: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    size: Room,
}

/// The reason why the queue did not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Closed,
    /// No place is left for this source; there may be one after this time.
    Full {
        retry_after: Duration,
    },
    /// MongoDB did not end earlier commands of this source, or of its group.
    Refused(Refusal),
}

/// The part of the queue that has no room for a command.
enum Exceeded {
    Queue,
    ShareOfGroup,
    ShareOfSource,
}

impl Queue {
    /// Returns a closed queue.
    pub(super) fn new(max_jobs: usize, max_memory: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            size: Room {
                places: max_jobs,
                memory: max_memory,
            },
        }
    }

    pub(super) fn open(&self) {
        let mut waiting = self.lock();
        waiting.open = true;
        if let Some(rest) = waiting.rest_of_abandoned.take() {
            waiting.rest_until = Some(Instant::now() + rest);
        }
    }

    /// Closes the queue and returns the commands that were in it. What the queue has learned about
    /// sources, and about its own speed, stays.
    pub(super) fn close(&self) -> Vec<Job> {
        self.lock().close()
    }

    pub(super) fn push(&self, job: Job) -> Result<(), NotTaken> {
        let mut waiting = self.lock();
        if !waiting.open {
            return Err(NotTaken::Closed);
        }
        let now = Instant::now();
        // A read takes part in the transaction of a batch only if a write of its source follows.
        if !job.task.only_reads()
            && let Some(refusal) = waiting.abandonments.refusal(job.source, now)
        {
            return Err(NotTaken::Refused(refusal));
        }
        let booked = waiting.bookings.take(job.task.id, now);
        if let Err(exceeded) = self.admit(&mut waiting, &job, booked, now) {
            waiting.drain_rate.refused();
            let each = waiting.drain_rate.time_for(1, now);
            let sharing = match exceeded {
                Exceeded::ShareOfSource => {
                    // Other sources have places left: this source waits for its own commands.
                    let own = waiting.of_source(job.source).places;
                    let before = waiting.turns_for(job.source, own);
                    let retry_after = waiting.drain_rate.pause_for(before, now);
                    return Err(NotTaken::Full { retry_after });
                }
                // Its places become free only when its group has a turn.
                Exceeded::ShareOfGroup => waiting.groups(),
                Exceeded::Queue => 1,
            };
            let group = job.source.group();
            let retry_after = waiting.bookings.book(job.task.id, group, each, sharing, now);
            return Err(NotTaken::Full { retry_after });
        }
        waiting.add(job);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Checks that the queue has room for the command. `booked` is `true` if a place is kept for
    /// it.
    fn admit(&self, waiting: &mut Waiting, job: &Job, booked: bool, now: Instant) -> Result<(), Exceeded> {
        if waiting.len() == 0 {
            // This includes a command that is larger than the queue, which would otherwise never be
            // executed.
            return Ok(());
        }
        let (group, reserve, needed) = (job.source.group(), self.size.reserve(), Room::of(job));
        let of_group = waiting.of_group(group);
        let free = self.size - waiting.room();
        let (kept, kept_for_group) = if booked {
            Default::default()
        } else {
            let kept = waiting.bookings.kept(now);
            // The kept places are no part of the reserve.
            let most = (free - reserve).places;
            let kept_for_group = waiting.bookings.kept_for(group);
            (kept.min(most), kept_for_group.min(most))
        };
        let free = free - Room::places(kept);
        if !needed.fits_into(free) {
            return Err(Exceeded::Queue);
        }
        if of_group.is_none() {
            return Ok(());
        }
        let shared = free - reserve;
        let for_group = of_group + Room::places(kept_for_group) + needed;
        // A kept place may exceed the share of the group: the group got it at its own rate.
        let within_share = booked || for_group.fits_into(shared.times(GROUP_SHARE));
        if !needed.fits_into(shared) || !within_share {
            return Err(Exceeded::ShareOfGroup);
        }
        let of_source = waiting.of_source(job.source);
        if of_source.is_none() {
            return Ok(());
        }
        // Greedy sources of a group leave a part of its share to its other sources.
        let for_more = (shared - reserve).times(GROUP_SHARE);
        let leaves_a_part = booked || for_group.fits_into(for_more);
        if !leaves_a_part || !(of_source + needed).fits_into(shared) {
            return Err(Exceeded::ShareOfSource);
        }
        Ok(())
    }

    /// Waits until a command may be taken, or until the deadline of a command has passed. For one
    /// waiter.
    pub(super) async fn wait(&self) {
        loop {
            let until = {
                let waiting = self.lock();
                match waiting.rests_until(Instant::now()) {
                    _ if waiting.len() == 0 => None,
                    None => return,
                    Some(rest) => {
                        let deadline = waiting.next_deadline();
                        Some(deadline.map_or(rest, |deadline| deadline.min(rest)))
                    }
                }
            };
            match until {
                None => self.arrival().await,
                Some(until) => {
                    if timeout_at(until, self.arrival()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Records that a batch for one source, which failed again and again, took `time`. The next
    /// such batch begins later, so that these batches take no more than a tenth of the time. The
    /// other sources have the rest.
    pub(super) fn rest(&self, time: Duration, now: Instant) {
        let rest = time.saturating_mul(REST_FACTOR).min(LONGEST_REST);
        self.lock().rest_until = Some(now + rest);
    }

    /// Waits until another command comes. Returns at once if a command has come while no task
    /// waited. For one waiter.
    pub(super) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Takes commands in their order: at most `max_jobs` and at most `max_bytes` of them, but at
    /// least one. A command that needs a batch of its own is taken alone. No id is taken twice. A
    /// repeated id waits for the next batch, where it finds its record, and holds up its source
    /// until then.
    pub(super) fn take(&self, max_jobs: usize, max_bytes: usize) -> Vec<Job> {
        let mut waiting = self.lock();
        let mut selection = Selection {
            jobs: Vec::new(),
            ids: HashSet::new(),
            ended: HashSet::new(),
            held: HashSet::new(),
            alone: false,
            apart: None,
            bytes: 0,
            max_jobs,
            max_bytes,
        };
        let now = Instant::now();
        waiting.fill(&mut selection, now);
        if selection.jobs.is_empty() && waiting.len() > 0 && waiting.rests_until(now).is_none() {
            // The only source that waits has a command that needs a batch of its own, and that
            // command holds up another.
            waiting.last_was_apart = false;
            selection.held.clear();
            waiting.fill(&mut selection, now);
        }
        let others_wait = waiting.len() > 0;
        if !selection.jobs.is_empty() {
            waiting
                .drain_rate
                .batch(Instant::now(), selection.jobs.len(), others_wait);
        }
        selection.jobs
    }

    /// Returns `true` if the batch that was taken last is for one source only.
    pub(super) fn last_was_apart(&self) -> bool {
        self.lock().last_was_apart
    }

    /// Records that a command of this source made this number of tries fail that had commands of
    /// others.
    pub(super) fn penalize(&self, source: SourceId, tries: u32, now: Instant) {
        self.lock().penalties.add(source, tries, now);
    }

    /// Records that MongoDB did not end a statement of these sources, in a batch that has taken
    /// `took`. They have batches of their own from then on. If all are one source, it rests for a
    /// while after the queue has opened again, and it is refused if that happens again. Returns
    /// `true` if it is refused now.
    pub(super) fn abandoned(&self, sources: &[SourceId], took: Duration, now: Instant) -> bool {
        let mut waiting = self.lock();
        waiting.abandonments.add(sources, took, now);
        let rest = took.saturating_mul(REST_FACTOR).min(LONGEST_REST_OF_ABANDONED);
        waiting.rest_of_abandoned = Some(rest);
        let first = sources.first();
        first.is_some_and(|first| waiting.abandonments.refusal(*first, now).is_some())
    }

    /// Records that MongoDB has ended the statements of a batch that this source had for itself.
    pub(super) fn ended_apart(&self, source: SourceId) {
        self.lock().abandonments.ended_apart(source);
    }

    /// Puts commands back before all others, in this order, even if the queue is full.
    ///
    /// # Errors
    /// The commands, if the queue has been closed meanwhile.
    pub(super) fn put_back(&self, jobs: Vec<Job>) -> Result<(), Vec<Job>> {
        let mut waiting = self.lock();
        if !waiting.open {
            return Err(jobs);
        }
        for job in jobs.into_iter().rev() {
            waiting.add_before_all(job);
        }
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the commands whose deadline has passed, the earliest first.
    pub(super) fn take_overdue(&self, now: Instant) -> Vec<Job> {
        let mut waiting = self.lock();
        std::iter::from_fn(|| waiting.take_overdue(now)).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lock().next_deadline()
    }

    /// Returns the state of the command with this id, for a question of this subject.
    pub(super) fn holds(&self, id: CommandId, asking: Option<&SubjectHash>) -> Waits {
        self.lock().holds(id, asking)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
