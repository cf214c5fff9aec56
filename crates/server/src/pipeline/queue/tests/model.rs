//! The queue against a model of it.

use proptest::prelude::*;

use super::*;
use crate::pipeline::queue::room::RESERVED;

/// A model of the queue without any index: every step looks at everything.
struct Model {
    /// In the order of arrival; the commands that were put back stand first.
    waiting: Vec<Entry>,
    /// The groups in the order of their turns, each with its sources in the order of their turns.
    groups: Vec<Vec<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    source: usize,
    id: u8,
    bytes: usize,
    memory: usize,
    deadline: Instant,
    returned: bool,
}

const MAX_JOBS: usize = 16;
const MAX_MEMORY: usize = 12_000;
/// The group of each source.
const GROUPS: [u64; 6] = [1, 1, 1, 2, 2, 3];

impl Model {
    /// Returns the number of commands, and their memory.
    fn taken(&self, counts: impl Fn(&Entry) -> bool) -> (usize, usize) {
        let counted = self.waiting.iter().filter(|entry| counts(entry));
        let memory = counted.clone().map(|entry| entry.memory).sum();
        (counted.count(), memory)
    }

    fn admits(&self, entry: Entry) -> bool {
        let group = GROUPS[entry.source];
        let of_group = self.taken(|other| GROUPS[other.source] == group);
        let of_source = self.taken(|other| other.source == entry.source && !other.returned);
        let all = self.taken(|_| true);
        let free = (MAX_JOBS.saturating_sub(all.0), MAX_MEMORY.saturating_sub(all.1));
        if self.waiting.is_empty() {
            return true;
        }
        if of_group.0 == 0 {
            return free.0 > 0 && free.1 >= entry.memory;
        }
        let shared = (
            free.0.saturating_sub(MAX_JOBS / RESERVED),
            free.1.saturating_sub(MAX_MEMORY / RESERVED),
        );
        let for_more = (
            shared.0.saturating_sub(MAX_JOBS / RESERVED),
            shared.1.saturating_sub(MAX_MEMORY / RESERVED),
        );
        let within = |(places, memory): (usize, usize), share: (usize, usize), factor: usize| {
            places < share.0 * factor && memory + entry.memory <= share.1 * factor
        };
        let source_may =
            of_source.0 == 0 || within(of_source, shared, 1) && within(of_group, for_more, GROUP_SHARE);
        within((0, 0), shared, 1) && within(of_group, shared, GROUP_SHARE) && source_may
    }

    fn push(&mut self, entry: Entry) -> bool {
        if !self.admits(entry) {
            return false;
        }
        if self
            .taken(|other| other.source == entry.source && !other.returned)
            .0
            == 0
        {
            let group = GROUPS[entry.source];
            let mut groups = self.groups.iter_mut();
            match groups.find(|sources| GROUPS[sources[0]] == group) {
                Some(sources) => sources.push(entry.source),
                None => self.groups.push(vec![entry.source]),
            }
        }
        self.waiting.push(entry);
        true
    }

    fn take(&mut self, max_jobs: usize, max_bytes: usize) -> Vec<Entry> {
        let mut taken: Vec<Entry> = Vec::new();
        let room = |taken: &[Entry], next: &Entry| {
            let bytes: usize = taken.iter().map(|entry| entry.bytes).sum();
            taken.is_empty() || taken.len() < max_jobs && bytes + next.bytes <= max_bytes
        };
        let repeated = |taken: &[Entry], next: &Entry| taken.iter().any(|entry| entry.id == next.id);
        while let Some(next) = self.waiting.first().filter(|entry| entry.returned) {
            if repeated(&taken, next) || !room(&taken, next) {
                return taken;
            }
            taken.push(self.waiting.remove(0));
        }
        let mut skipped = Vec::new();
        loop {
            let mut groups = self.groups.iter().enumerate();
            let next = groups.find_map(|(group, sources)| {
                let source = sources.iter().position(|source| !skipped.contains(source))?;
                Some((group, source))
            });
            let Some((group, at)) = next else {
                return taken;
            };
            let source = self.groups[group][at];
            let first = self.waiting.iter().position(|entry| entry.source == source);
            let first = first.expect("a source with a turn has a command");
            if repeated(&taken, &self.waiting[first]) {
                skipped.push(source);
                continue;
            }
            if !room(&taken, &self.waiting[first]) {
                return taken;
            }
            taken.push(self.waiting.remove(first));
            let mut sources = self.groups.remove(group);
            sources.remove(at);
            if self.waiting.iter().any(|entry| entry.source == source) {
                sources.push(source);
            }
            if !sources.is_empty() {
                self.groups.push(sources);
            }
        }
    }

    fn put_back(&mut self, entries: &[Entry]) {
        let returned = entries.iter().map(|entry| Entry {
            returned: true,
            ..*entry
        });
        self.waiting.splice(0..0, returned);
    }

    fn take_overdue(&mut self, now: Instant) -> Vec<Entry> {
        let (mut overdue, rest): (Vec<_>, _) =
            self.waiting.drain(..).partition(|entry| entry.deadline <= now);
        self.waiting = rest;
        let waiting = &self.waiting;
        let has_turn = |source: &usize| {
            let mut own = waiting.iter().filter(|entry| !entry.returned);
            own.any(|entry| entry.source == *source)
        };
        for sources in &mut self.groups {
            sources.retain(has_turn);
        }
        self.groups.retain(|sources| !sources.is_empty());
        overdue.sort_by_key(|entry| entry.deadline);
        overdue
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        source: usize,
        id: u8,
        padding: usize,
        deadline: u64,
    },
    Take {
        max_jobs: usize,
        max_bytes: usize,
        put_back: usize,
    },
    Overdue {
        at: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let push = (0..GROUPS.len(), 0..40_u8, 0..100_usize, 0..1_000_u64);
    let push = push.prop_map(|(source, id, padding, deadline)| Step::Push {
        source,
        id,
        padding,
        deadline,
    });
    let take = (0..6_usize, 0..600_usize, 0..4_usize);
    let take = take.prop_map(|(max_jobs, max_bytes, put_back)| Step::Take {
        max_jobs,
        max_bytes,
        put_back,
    });
    let overdue = (0..300_u64).prop_map(|at| Step::Overdue { at });
    prop_oneof![6 => push, 2 => take, 1 => overdue]
}

proptest! {
    #[test]
    fn does_what_the_model_does(steps in prop::collection::vec(step(), 1..120)) {
        // The clock stands still. So no place is kept for a command that was refused.
        let runtime = paused_runtime();
        let _clock = runtime.enter();
        let start = Instant::now();
        let sources: Vec<SourceId> = GROUPS.into_iter().map(SourceId::in_group).collect();
        let queue = open_queue(MAX_JOBS, MAX_MEMORY);
        let mut model = Model { waiting: Vec::new(), groups: Vec::new() };
        let seen = |job: &Job| Entry {
            source: sources.iter().position(|source| *source == job.source).unwrap(),
            id: job.task.id.as_bytes()[15],
            bytes: job.bytes(),
            memory: job.memory(),
            deadline: job.task.deadline,
            returned: false,
        };
        let plain = |entries: &[Entry]| -> Vec<Entry> {
            entries.iter().map(|entry| Entry { returned: false, ..*entry }).collect()
        };
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { source, id, padding, deadline } => {
                    // No two deadlines are equal, so that the overdue have one order.
                    let deadline = Duration::from_millis(deadline) + Duration::from_nanos(number as u64);
                    let job = sized_job(sources[source], id, start + deadline, padding);
                    let entry = seen(&job);
                    prop_assert_eq!(queue.push(job).is_ok(), model.push(entry));
                }
                Step::Take { max_jobs, max_bytes, put_back } => {
                    let mut jobs = queue.take(max_jobs, max_bytes);
                    let entries = model.take(max_jobs, max_bytes);
                    prop_assert_eq!(jobs.iter().map(seen).collect::<Vec<_>>(), plain(&entries));
                    let from = jobs.len().saturating_sub(put_back);
                    prop_assert!(queue.put_back(jobs.split_off(from)).is_ok());
                    model.put_back(&entries[from..]);
                }
                Step::Overdue { at } => {
                    let now = start + Duration::from_millis(at);
                    let jobs = queue.take_overdue(now);
                    let entries = model.take_overdue(now);
                    prop_assert_eq!(jobs.iter().map(seen).collect::<Vec<_>>(), plain(&entries));
                }
            }
            let next = model.waiting.iter().map(|entry| entry.deadline).min();
            prop_assert_eq!(queue.next_deadline(), next);
            prop_assert_eq!(queue.len(), model.waiting.len());
        }
        let mut left: Vec<Entry> = queue.close().iter().map(seen).collect();
        let mut expected = plain(&model.waiting);
        left.sort_by_key(|entry| entry.deadline);
        expected.sort_by_key(|entry| entry.deadline);
        prop_assert_eq!(left, expected);
    }
}
