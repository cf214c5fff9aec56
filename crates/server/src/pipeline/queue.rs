//! The commands that wait: bounded in number and bytes, in order of arrival.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::job::Job;

#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    max_jobs: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    open: bool,
    jobs: VecDeque<Job>,
    bytes: usize,
}

/// Why a command was not taken into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Closed,
    Full,
}

impl Queue {
    /// A queue that is closed.
    pub(super) fn new(max_jobs: usize, max_bytes: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            max_jobs,
            max_bytes,
        }
    }

    pub(super) fn open(&self) {
        self.lock().open = true;
    }

    /// Closes the queue and returns what was in it.
    pub(super) fn close(&self) -> VecDeque<Job> {
        std::mem::take(&mut *self.lock()).jobs
    }

    pub(super) fn push(&self, job: Job) -> Result<(), NotTaken> {
        let mut waiting = self.lock();
        if !waiting.open {
            return Err(NotTaken::Closed);
        }
        let bytes = waiting.bytes + job.task.command.bytes();
        if waiting.jobs.len() >= self.max_jobs || bytes > self.max_bytes {
            return Err(NotTaken::Full);
        }
        waiting.bytes = bytes;
        waiting.jobs.push_back(job);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
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

    /// Takes up to `max` commands from the front, none of them twice: a repeated id waits for the next turn,
    /// where it finds its record.
    pub(super) fn take(&self, max: usize) -> Vec<Job> {
        let mut waiting = self.lock();
        let mut taken: Vec<Job> = Vec::new();
        while taken.len() < max.max(1)
            && let Some(next) = waiting.jobs.front()
            && taken.iter().all(|job| job.task.id != next.task.id)
        {
            waiting.bytes -= next.task.command.bytes();
            taken.extend(waiting.jobs.pop_front());
        }
        taken
    }

    /// Takes the commands whose deadline has passed.
    pub(super) fn take_overdue(&self, now: Instant) -> VecDeque<Job> {
        let mut waiting = self.lock();
        let is_overdue = |job: &Job| job.task.deadline <= now;
        if !waiting.jobs.iter().any(is_overdue) {
            return VecDeque::new();
        }
        let (overdue, rest) = waiting.jobs.drain(..).partition(is_overdue);
        waiting.jobs = rest;
        waiting.bytes = waiting.jobs.iter().map(|job| job.task.command.bytes()).sum();
        overdue
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lock().jobs.iter().map(|job| job.task.deadline).min()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use bellwether_protocol::CommandId;
    use serde_json::value::RawValue;

    use super::*;
    use crate::command::{ParsedCommand, Vocabulary};

    fn job(id: u8, deadline: Instant) -> Job {
        let raw = RawValue::from_string(r#"{"find":"c"}"#.to_owned()).unwrap();
        let id = CommandId::mint(Duration::ZERO, [id; 10]);
        Job::new(
            id,
            ParsedCommand::parse(&raw, &Vocabulary::default()).unwrap(),
            deadline,
        )
        .0
    }

    fn ids<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<u8> {
        jobs.into_iter().map(|job| job.task.id.as_bytes()[15]).collect()
    }

    #[test]
    fn takes_in_order_and_no_id_twice_in_a_turn() {
        let queue = Queue::new(10, 10_000);
        let later = Instant::now() + Duration::from_secs(9);
        assert_eq!(queue.push(job(1, later)), Err(NotTaken::Closed));
        queue.open();
        for id in [1, 2, 3, 2, 4] {
            assert_eq!(queue.push(job(id, later)), Ok(()));
        }
        assert_eq!(ids(&queue.take(2)), [1, 2]);
        assert_eq!(ids(&queue.take(9)), [3, 2, 4]);
        assert!(queue.take(9).is_empty());
        for id in [5, 6, 5] {
            assert_eq!(queue.push(job(id, later)), Ok(()));
        }
        assert_eq!(ids(&queue.take(9)), [5, 6]);
        assert_eq!(queue.close().len(), 1);
        assert_eq!(queue.push(job(1, later)), Err(NotTaken::Closed));
    }

    #[test]
    fn is_bounded_in_number_and_bytes() {
        let later = Instant::now() + Duration::from_secs(9);
        let bytes = job(1, later).task.command.bytes();
        for queue in [Queue::new(2, 10_000), Queue::new(9, 2 * bytes)] {
            queue.open();
            for id in [1, 2] {
                assert_eq!(queue.push(job(id, later)), Ok(()));
            }
            assert_eq!(queue.push(job(3, later)), Err(NotTaken::Full));
            drop(queue.take(1));
            assert_eq!(queue.push(job(3, later)), Ok(()));
        }
    }

    #[test]
    fn the_overdue_are_picked_from_the_middle() {
        let queue = Queue::new(10, 10_000);
        queue.open();
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (id, deadline) in [(1, after(5)), (2, now), (3, after(3))] {
            assert_eq!(queue.push(job(id, deadline)), Ok(()));
        }
        assert_eq!(queue.next_deadline(), Some(now));
        assert_eq!(ids(&queue.take_overdue(now)), [2]);
        assert_eq!(queue.next_deadline(), Some(after(3)));
        assert_eq!(ids(&queue.take(9)), [1, 3]);
    }
}
