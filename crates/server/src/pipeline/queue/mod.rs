//! The queue of waiting commands: bounded in number and memory, and fair between the sources.
//!
//! Commands of one source keep their order. Sources take turns with one command each. So a source
//! with many waiting commands delays another source's command by one of them, not by all.
//!
//! A source may hold as many places, and as much memory, as are still free (the dynamic threshold
//! of Choudhury and Hahne, 1998). Alone it may take almost half of the queue; the more others hold,
//! the less it may take. The last eighth is for sources that have nothing waiting. Many greedy
//! sources may fill the rest before the threshold takes effect, and still leave room for others.

use core::ops::Bound;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwether_protocol::CommandId;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::bookings::Bookings;
use super::drain_rate::DrainRate;
use super::job::Job;
use super::penalties::Penalties;
use super::source::SourceId;
use selection::Selection;

mod selection;

/// One in this many places is for sources that have nothing waiting.
const RESERVED: usize = 8;

/// After a batch for one source that fails again and again, all others have this many times the
/// batch's own time.
const REST_FACTOR: u32 = 9;
/// The longest time for which no such batch begins.
const LONGEST_REST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    max_jobs: usize,
    max_memory: usize,
}

/// The reason why the queue did not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Closed,
    /// No place is left for this source; there may be one after this time.
    Full {
        retry_after: Duration,
    },
}

impl Queue {
    /// Returns a closed queue.
    pub(super) fn new(max_jobs: usize, max_memory: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            max_jobs,
            max_memory,
        }
    }

    pub(super) fn open(&self) {
        self.lock().open = true;
    }

    /// Closes the queue and returns the commands that were in it.
    pub(super) fn close(&self) -> Vec<Job> {
        let waiting = std::mem::take(&mut *self.lock());
        let lines = waiting.lines.into_values();
        let jobs = waiting.returned.jobs.into_values();
        jobs.chain(lines.flat_map(|line| line.jobs.into_values()))
            .collect()
    }

    pub(super) fn push(&self, job: Job) -> Result<(), NotTaken> {
        let mut waiting = self.lock();
        if !waiting.open {
            return Err(NotTaken::Closed);
        }
        let now = Instant::now();
        let booked = waiting.bookings.take(job.task.id, now);
        if !self.admits(&mut waiting, &job, booked, now) {
            let (own, each) = (waiting.own(job.source), waiting.drain_rate.time_for(1, now));
            let retry_after = if own > 0 && waiting.len < self.max_jobs {
                // Other sources have places left: this source waits for its own commands.
                waiting.drain_rate.pause_for(own, now)
            } else {
                waiting.bookings.book(job.task.id, job.source.group(), each, now)
            };
            return Err(NotTaken::Full { retry_after });
        }
        waiting.add(job);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// Returns `true` if the queue has room for the command. `booked` is `true` if a place is kept
    /// for it.
    fn admits(&self, waiting: &mut Waiting, job: &Job, booked: bool, now: Instant) -> bool {
        if waiting.len == 0 {
            // This includes a command that is larger than the queue, which would otherwise never be
            // executed.
            return true;
        }
        let free = self.max_jobs.saturating_sub(waiting.len);
        // Some places are left for sources that have nothing waiting, in addition to the kept
        // places.
        let most = free.saturating_sub(self.max_jobs / RESERVED);
        let kept = if booked {
            0
        } else {
            waiting.bookings.kept(now).min(most)
        };
        let free = free - kept;
        let free_memory = self.max_memory.saturating_sub(waiting.memory);
        match waiting.lines.get(&job.source) {
            None => free > 0 && job.memory() <= free_memory,
            Some(line) => {
                let for_more = free.saturating_sub(self.max_jobs / RESERVED);
                let memory_for_more = free_memory.saturating_sub(self.max_memory / RESERVED);
                line.jobs.len() < for_more && line.memory + job.memory() <= memory_for_more
            }
        }
    }

    /// Waits until a command may be taken, or until the deadline of a command has passed. For one
    /// waiter.
    pub(super) async fn wait(&self) {
        loop {
            let until = {
                let waiting = self.lock();
                match waiting.rests_until(Instant::now()) {
                    _ if waiting.len == 0 => None,
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
        if selection.jobs.is_empty() && waiting.len > 0 && waiting.rests_until(now).is_none() {
            // The only source that waits has a command that needs a batch of its own, and that
            // command holds up another.
            waiting.last_was_apart = false;
            selection.held.clear();
            waiting.fill(&mut selection, now);
        }
        let others_wait = waiting.len > 0;
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
        let mut overdue = Vec::new();
        while let Some(first) = waiting.deadlines.first_entry()
            && first.key().0 <= now
        {
            let ((_, sequence), source) = first.remove_entry();
            overdue.extend(waiting.remove(source, sequence));
        }
        overdue
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lock().next_deadline()
    }

    /// Returns `true` if the command with this id waits.
    pub(super) fn holds(&self, id: CommandId) -> bool {
        let waiting = self.lock();
        let lines = waiting.lines.values().chain([&waiting.returned]);
        let mut jobs = lines.flat_map(|line| line.jobs.values());
        jobs.any(|job| job.task.id == id && job.task.command().is_some())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The position of a command in the order. It grows with arrival, and is negative for a command
/// that was put back.
type Sequence = i64;

#[derive(Debug, Default)]
struct Waiting {
    open: bool,
    /// The commands that were put back. They come before all lines.
    returned: SourceQueue,
    lines: HashMap<SourceId, SourceQueue>,
    /// The sources that have a line, in the order of their turns.
    turns: BTreeMap<u64, SourceId>,
    deadlines: BTreeMap<(Instant, Sequence), SourceId>,
    last_turn: u64,
    last_sequence: Sequence,
    first_sequence: Sequence,
    len: usize,
    memory: usize,
    drain_rate: DrainRate,
    bookings: Bookings,
    penalties: Penalties,
    /// `true` if the last batch was for a single source.
    last_was_apart: bool,
    /// Time until which no batch for a single source begins.
    rest_until: Option<Instant>,
}

/// The waiting commands of one source. A line in [`Waiting::lines`] is never empty.
#[derive(Debug, Default)]
struct SourceQueue {
    jobs: BTreeMap<Sequence, Job>,
    memory: usize,
    turn: u64,
}

impl SourceQueue {
    fn first(&self) -> Option<(Sequence, &Job)> {
        self.jobs
            .first_key_value()
            .map(|(sequence, job)| (*sequence, job))
    }

    /// Returns the next sequence after this one.
    fn after(&self, sequence: Sequence) -> Option<Sequence> {
        let behind = (Bound::Excluded(sequence), Bound::Unbounded);
        self.jobs.range(behind).next().map(|(sequence, _)| *sequence)
    }

    fn insert(&mut self, sequence: Sequence, job: Job) {
        self.memory += job.memory();
        self.jobs.insert(sequence, job);
    }

    fn remove(&mut self, sequence: Sequence) -> Option<Job> {
        let job = self.jobs.remove(&sequence)?;
        self.memory -= job.memory();
        Some(job)
    }
}

impl Waiting {
    fn add(&mut self, job: Job) {
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        self.count_in(sequence, &job);
        let source = job.source;
        self.lines.entry(source).or_default().insert(sequence, job);
        if self.lines[&source].jobs.len() == 1 {
            self.give_turn(source);
        }
    }

    fn add_before_all(&mut self, job: Job) {
        self.first_sequence -= 1;
        let sequence = self.first_sequence;
        self.count_in(sequence, &job);
        self.returned.insert(sequence, job);
    }

    fn count_in(&mut self, sequence: Sequence, job: &Job) {
        self.len += 1;
        self.memory += job.memory();
        self.deadlines.insert((job.task.deadline, sequence), job.source);
    }

    /// Puts a source behind all others.
    fn give_turn(&mut self, source: SourceId) {
        if let Some(line) = self.lines.get_mut(&source) {
            self.last_turn += 1;
            line.turn = self.last_turn;
            self.turns.insert(line.turn, source);
        }
    }

    /// Returns the number of waiting commands of this source, without those that were put back.
    fn own(&self, source: SourceId) -> usize {
        self.lines.get(&source).map_or(0, |line| line.jobs.len())
    }

    fn is_apart(&self, job: &Job, now: Instant) -> bool {
        job.notes.apart || self.penalties.is_apart(job.source, now)
    }

    fn remove(&mut self, source: SourceId, sequence: Sequence) -> Option<Job> {
        let job = if sequence < 0 {
            self.returned.remove(sequence)?
        } else {
            let line = self.lines.get_mut(&source)?;
            let job = line.remove(sequence)?;
            if line.jobs.is_empty() {
                self.turns.remove(&line.turn);
                self.lines.remove(&source);
            }
            job
        };
        self.len -= 1;
        self.memory -= job.memory();
        self.deadlines.remove(&(job.task.deadline, sequence));
        Some(job)
    }

    fn fill(&mut self, selection: &mut Selection, now: Instant) {
        // Every other batch is for commands that need no batch of their own, if there are any.
        let rests = self.rest_until.is_some_and(|rest| rest > now);
        let apart_may_begin = !rests && (!self.last_was_apart || self.all_are_apart(now));
        let mut is_full = false;
        let mut next = self.returned.first().map(|(sequence, _)| sequence);
        while let Some(sequence) = next {
            next = self.returned.after(sequence);
            let Some(job) = self.returned.jobs.get(&sequence) else {
                break;
            };
            let (source, apart) = (job.source, self.is_apart(job, now));
            if selection.must_wait(job) || selection.excludes(source, apart, apart_may_begin) {
                // No command of the same source may go before it.
                selection.held.insert(source);
                continue;
            }
            if !selection.has_room_for(job) {
                is_full = true;
                break;
            }
            selection.extend(self.remove(source, sequence), apart);
        }
        let mut held_up = Vec::new();
        while !is_full
            && let Some((turn, source)) = self.turns.pop_first()
            && let Some((sequence, job)) = self.lines.get(&source).and_then(SourceQueue::first)
        {
            let apart = self.is_apart(job, now);
            if selection.must_wait(job) || selection.excludes(source, apart, apart_may_begin) {
                held_up.push((turn, source));
                continue;
            }
            if !selection.has_room_for(job) {
                self.turns.insert(turn, source);
                break;
            }
            selection.extend(self.remove(source, sequence), apart);
            self.give_turn(source);
        }
        // The sources keep their turn: the delay is not their fault alone.
        self.turns.extend(held_up);
        if !selection.jobs.is_empty() {
            self.last_was_apart = selection.apart.is_some();
        }
    }

    /// Returns the time until which none of the waiting commands may be taken.
    fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rest_until
            .filter(|rest| *rest > now && self.all_are_apart(now))
    }

    fn next_deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first_key_value();
        first.map(|((deadline, _), _)| *deadline)
    }

    /// Returns `true` if every command needs a batch for its source alone, or waits behind such a
    /// command of its source.
    fn all_are_apart(&self, now: Instant) -> bool {
        let mut apart = HashSet::new();
        for job in self.returned.jobs.values() {
            if self.is_apart(job, now) {
                apart.insert(job.source);
            } else if !apart.contains(&job.source) {
                return false;
            }
        }
        let mut first_of_lines = self.lines.values().filter_map(SourceQueue::first);
        first_of_lines.all(|(_, job)| apart.contains(&job.source) || self.is_apart(job, now))
    }
}

#[cfg(test)]
mod tests;
