//! The commands that wait: bounded in number and memory, and shared fairly between those who send them.
//!
//! Within one source commands keep their order. Between sources each takes its turn with one command, so a
//! source with many waiting commands delays another's by one of them, not by all.
//!
//! A source may hold as many places, and as much memory, as are still free (the dynamic threshold of Choudhury
//! and Hahne, 1998): alone it may take almost half of the queue, and the more others hold, the less. The last
//! eighth is for sources that have nothing waiting: many greedy ones may fill the rest before the threshold
//! takes hold, and still leave room for others.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bellwether_protocol::CommandId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::job::Job;
use super::pace::Pace;

/// Which part of the queue is for sources that have nothing waiting.
const RESERVED: usize = 8;

/// Whom a command comes from: one client's connection. The queue is shared fairly between sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId(u64);

impl SourceId {
    /// A source that no other is equal to in this process.
    #[expect(
        clippy::new_without_default,
        reason = "no two are equal, so none is the default"
    )]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    max_jobs: usize,
    max_memory: usize,
}

/// Why a command was not taken into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Closed,
    /// No place is left for this source; there may be one after this time.
    Full {
        retry_after: Duration,
    },
}

impl Queue {
    /// A queue that is closed.
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

    /// Closes the queue and returns what was in it.
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
        if !self.admits(&waiting, &job) {
            return Err(NotTaken::Full {
                retry_after: waiting.pace.time_for(waiting.len, Instant::now()),
            });
        }
        waiting.add(job);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    fn admits(&self, waiting: &Waiting, job: &Job) -> bool {
        if waiting.len == 0 {
            // Also one that is larger than the queue, or it would never be executed.
            return true;
        }
        let free = self.max_jobs.saturating_sub(waiting.len);
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

    /// Waits until there is a command. For one waiter.
    pub(super) async fn wait(&self) {
        while self.len() == 0 {
            self.arrival().await;
        }
    }

    /// Waits until another command comes, or one has come that nobody waited for. For one waiter.
    pub(super) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Takes commands in their order: at most `max_jobs`, and at most `max_bytes` of them, but one at least, and
    /// one that takes a turn of its own alone. No
    /// id is taken twice: a repeated one waits for the next turn, where it finds its record, and holds up
    /// its source until then.
    pub(super) fn take(&self, max_jobs: usize, max_bytes: usize) -> Vec<Job> {
        let mut waiting = self.lock();
        let mut bunch = Bunch {
            jobs: Vec::new(),
            ids: HashSet::new(),
            ended: HashSet::new(),
            alone: false,
            bytes: 0,
            max_jobs,
            max_bytes,
        };
        waiting.fill(&mut bunch);
        let others_wait = waiting.len > 0;
        waiting.pace.turn(Instant::now(), bunch.jobs.len(), others_wait);
        bunch.jobs
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
            let ((_, place), source) = first.remove_entry();
            overdue.extend(waiting.remove(source, place));
        }
        overdue
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.lock();
        waiting
            .deadlines
            .first_key_value()
            .map(|((deadline, _), _)| *deadline)
    }

    /// Whether the command with this id waits.
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

/// A command's place in the order: places grow with arrival, and are negative for what was put back.
type Place = i64;

#[derive(Debug, Default)]
struct Waiting {
    open: bool,
    /// What was put back. It comes before all lines.
    returned: Line,
    lines: HashMap<SourceId, Line>,
    /// The sources that have a line, by when it is their turn.
    turns: BTreeMap<u64, SourceId>,
    deadlines: BTreeMap<(Instant, Place), SourceId>,
    last_turn: u64,
    last_place: Place,
    first_place: Place,
    len: usize,
    memory: usize,
    pace: Pace,
}

/// The waiting commands of one source. A line in [`Waiting::lines`] is never empty.
#[derive(Debug, Default)]
struct Line {
    jobs: BTreeMap<Place, Job>,
    memory: usize,
    turn: u64,
}

impl Line {
    fn first(&self) -> Option<(Place, &Job)> {
        self.jobs.first_key_value().map(|(place, job)| (*place, job))
    }

    fn insert(&mut self, place: Place, job: Job) {
        self.memory += job.memory();
        self.jobs.insert(place, job);
    }

    fn remove(&mut self, place: Place) -> Option<Job> {
        let job = self.jobs.remove(&place)?;
        self.memory -= job.memory();
        Some(job)
    }
}

impl Waiting {
    fn add(&mut self, job: Job) {
        self.last_place += 1;
        let place = self.last_place;
        self.count_in(place, &job);
        let source = job.source;
        self.lines.entry(source).or_default().insert(place, job);
        if self.lines[&source].jobs.len() == 1 {
            self.give_turn(source);
        }
    }

    fn add_before_all(&mut self, job: Job) {
        self.first_place -= 1;
        let place = self.first_place;
        self.count_in(place, &job);
        self.returned.insert(place, job);
    }

    fn count_in(&mut self, place: Place, job: &Job) {
        self.len += 1;
        self.memory += job.memory();
        self.deadlines.insert((job.task.deadline, place), job.source);
    }

    /// Puts a source behind all others.
    fn give_turn(&mut self, source: SourceId) {
        if let Some(line) = self.lines.get_mut(&source) {
            self.last_turn += 1;
            line.turn = self.last_turn;
            self.turns.insert(line.turn, source);
        }
    }

    fn remove(&mut self, source: SourceId, place: Place) -> Option<Job> {
        let job = if place < 0 {
            self.returned.remove(place)?
        } else {
            let line = self.lines.get_mut(&source)?;
            let job = line.remove(place)?;
            if line.jobs.is_empty() {
                self.turns.remove(&line.turn);
                self.lines.remove(&source);
            }
            job
        };
        self.len -= 1;
        self.memory -= job.memory();
        self.deadlines.remove(&(job.task.deadline, place));
        Some(job)
    }

    fn fill(&mut self, bunch: &mut Bunch) {
        while let Some((place, job)) = self.returned.first() {
            if bunch.must_wait(job) || !bunch.has_room_for(job) {
                return;
            }
            let source = job.source;
            bunch.extend(self.remove(source, place));
        }
        let mut held_up = Vec::new();
        while let Some((turn, source)) = self.turns.pop_first()
            && let Some((place, job)) = self.lines.get(&source).and_then(Line::first)
        {
            if bunch.must_wait(job) {
                held_up.push((turn, source));
                continue;
            }
            if !bunch.has_room_for(job) {
                self.turns.insert(turn, source);
                break;
            }
            bunch.extend(self.remove(source, place));
            self.give_turn(source);
        }
        // They keep their turn: it is not their fault alone.
        self.turns.extend(held_up);
    }
}

/// The commands of the next turn, as far as they are chosen.
struct Bunch {
    jobs: Vec<Job>,
    ids: HashSet<CommandId>,
    /// Sources whose last command here cannot be in a transaction: a write after it would put it into one.
    ended: HashSet<SourceId>,
    /// Whether its only command takes a turn of its own.
    alone: bool,
    bytes: usize,
    max_jobs: usize,
    max_bytes: usize,
}

impl Bunch {
    fn must_wait(&self, job: &Job) -> bool {
        self.ids.contains(&job.task.id) || self.ended.contains(&job.source)
    }

    fn has_room_for(&self, job: &Job) -> bool {
        let together = !self.alone && !job.task.is_alone();
        let fits = self.jobs.len() < self.max_jobs && self.bytes + job.bytes() <= self.max_bytes;
        together && fits || self.jobs.is_empty()
    }

    fn extend(&mut self, job: Option<Job>) {
        if let Some(job) = &job {
            self.bytes += job.bytes();
            self.ids.insert(job.task.id);
            self.alone = job.task.is_alone();
            if job.task.only_beside() {
                self.ended.insert(job.source);
            }
        }
        self.jobs.extend(job);
    }
}

#[cfg(test)]
mod tests;
