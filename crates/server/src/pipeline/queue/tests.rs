use bellwether_protocol::{CommandId, RawJson};
use proptest::prelude::*;

use super::*;
use crate::command::{AllowedCommands, ParsedCommand};

fn job(source: SourceId, id: u8, deadline: Instant) -> Job {
    sized_job(source, id, deadline, 0)
}

fn sized_job(source: SourceId, id: u8, deadline: Instant, padding: usize) -> Job {
    let text = format!(r#"{{"find":"c","comment":"{}"}}"#, "x".repeat(padding));
    job_of(source, id, deadline, &text)
}

fn job_of(source: SourceId, id: u8, deadline: Instant, text: &str) -> Job {
    let raw = RawJson::object(text).unwrap();
    let id = CommandId::mint(Duration::ZERO, [id; 10]);
    let command = ParsedCommand::parse(&raw, &AllowedCommands { schema: true }).unwrap();
    Job::execute(source, id, command, deadline).0
}

fn ids<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<u8> {
    jobs.into_iter().map(|job| job.task.id.as_bytes()[15]).collect()
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(9)
}

fn open_queue(max_jobs: usize, max_bytes: usize) -> Queue {
    let queue = Queue::new(max_jobs, max_bytes);
    queue.open();
    queue
}

fn is_full(pushed: Result<(), NotTaken>) -> bool {
    matches!(pushed, Err(NotTaken::Full { .. }))
}

#[test]
fn takes_in_order_and_no_id_twice_in_a_batch() {
    let queue = Queue::new(20, 100_000);
    let source = SourceId::new();
    assert_eq!(queue.push(job(source, 1, later())), Err(NotTaken::Closed));
    queue.open();
    for id in [1, 2, 3, 2, 4] {
        assert_eq!(queue.push(job(source, id, later())), Ok(()));
    }
    assert_eq!(ids(&queue.take(2, 10_000)), [1, 2]);
    assert_eq!(ids(&queue.take(9, 10_000)), [3, 2, 4]);
    assert!(queue.take(9, 10_000).is_empty());
    for id in [5, 6, 5, 7] {
        assert_eq!(queue.push(job(source, id, later())), Ok(()));
    }
    assert_eq!(queue.push(job(SourceId::new(), 8, later())), Ok(()));
    assert_eq!(ids(&queue.take(9, 10_000)), [5, 8, 6]);
    assert_eq!(queue.close().len(), 2);
    assert_eq!(queue.push(job(source, 1, later())), Err(NotTaken::Closed));
}

#[test]
fn sources_take_turns() {
    let queue = open_queue(100, 100_000);
    let [greedy, modest] = [SourceId::new(), SourceId::new()];
    for id in 1..=6 {
        assert_eq!(queue.push(job(greedy, id, later())), Ok(()));
    }
    for id in [11, 12] {
        assert_eq!(queue.push(job(modest, id, later())), Ok(()));
    }
    assert_eq!(ids(&queue.take(3, 100_000)), [1, 11, 2]);
    assert_eq!(ids(&queue.take(9, 100_000)), [12, 3, 4, 5, 6]);
}

#[test]
fn is_bounded_in_number_and_memory() {
    let memory = job(SourceId::new(), 1, later()).memory();
    for queue in [open_queue(2, 100_000), open_queue(9, 2 * memory)] {
        for id in [1, 2] {
            assert_eq!(queue.push(job(SourceId::new(), id, later())), Ok(()));
        }
        assert!(is_full(queue.push(job(SourceId::new(), 3, later()))));
        drop(queue.take(1, 10_000));
        assert_eq!(queue.push(job(SourceId::new(), 3, later())), Ok(()));
    }
}

#[test]
fn the_greedy_leave_room_for_others() {
    let queue = open_queue(100, 1_000_000);
    let greedy = [SourceId::new(), SourceId::new(), SourceId::new()];
    let mut held = [0; 3];
    for round in 0..300 {
        if queue.push(job(greedy[round % 3], 1, later())).is_ok() {
            held[round % 3] += 1;
        }
    }
    // Each has as many places as are free without the reserve: 100 = 3 · 22 + 22 + 12.
    assert_eq!(held, [22, 22, 22]);
    for _ in 0..34 {
        assert_eq!(queue.push(job(SourceId::new(), 2, later())), Ok(()));
    }
    assert!(is_full(queue.push(job(SourceId::new(), 2, later()))));

    let memory = sized_job(greedy[0], 1, later(), 1_000).memory();
    let queue = open_queue(100, 10 * memory);
    let large = || queue.push(sized_job(greedy[0], 1, later(), 1_000));
    let taken = (0..10).filter(|_| large().is_ok()).count();
    assert_eq!(taken, 4);
    assert_eq!(queue.push(sized_job(greedy[1], 1, later(), 1_000)), Ok(()));
}

#[test]
fn many_greedy_sources_leave_room_before_any_is_served() {
    let queue = open_queue(1_024, 1_000_000_000);
    for _ in 0..60 {
        let greedy = SourceId::new();
        while queue.push(job(greedy, 1, later())).is_ok() {}
    }
    for _ in 0..60 {
        assert_eq!(queue.push(job(SourceId::new(), 2, later())), Ok(()));
    }
}

#[test]
fn a_batch_is_bounded_in_bytes_and_never_empty() {
    let queue = open_queue(100, 1_000_000);
    let source = SourceId::new();
    for id in [1, 2, 3] {
        assert_eq!(queue.push(sized_job(source, id, later(), 1_000)), Ok(()));
    }
    let bytes = sized_job(source, 1, later(), 1_000).bytes();
    assert_eq!(ids(&queue.take(9, 2 * bytes)), [1, 2]);
    assert_eq!(ids(&queue.take(9, 1)), [3]);
}

#[test]
fn many_tiny_values_take_more_than_their_bytes_and_fit_an_empty_queue() {
    let tiny = |values: usize| {
        let values = vec![r#"{"":0}"#; values].join(",");
        let text = format!(r#"{{"find":"c","comment":[{values}]}}"#);
        let raw = RawJson::object(&text).unwrap();
        ParsedCommand::parse(&raw, &AllowedCommands::default()).unwrap()
    };
    let id = CommandId::mint(Duration::ZERO, [1; 10]);
    let job = |values| Job::execute(SourceId::new(), id, tiny(values), later()).0;
    assert!(job(1_000).memory() > 30 * job(1_000).bytes());

    let queue = open_queue(10, 50_000);
    assert_eq!(queue.push(job(1_000)), Ok(()));
    assert!(is_full(queue.push(job(1))));
}

#[test]
fn what_is_put_back_comes_first_and_in_its_order() {
    let queue = open_queue(6, 100_000);
    let sources = [SourceId::new(), SourceId::new()];
    for id in [1, 2, 3, 4] {
        assert_eq!(queue.push(job(sources[usize::from(id) % 2], id, later())), Ok(()));
    }
    let taken = queue.take(3, 100_000);
    assert_eq!(ids(&taken), [1, 2, 3]);
    for id in [5, 6, 7] {
        assert_eq!(queue.push(job(SourceId::new(), id, later())), Ok(()));
    }
    assert!(queue.put_back(taken).is_ok());
    assert_eq!(queue.len(), 7);
    assert!(is_full(queue.push(job(SourceId::new(), 8, later()))));
    let again = queue.take(2, 100_000);
    assert_eq!(ids(&again), [1, 2]);
    assert!(queue.put_back(again).is_ok());
    let all = queue.take(9, 100_000);
    assert_eq!(ids(&all), [1, 2, 3, 4, 5, 6, 7]);
    drop(queue.close());
    assert_eq!(queue.put_back(all).unwrap_err().len(), 7);
}

#[test]
fn the_overdue_are_picked_from_the_middle() {
    let queue = open_queue(10, 100_000);
    let source = SourceId::new();
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    for (id, deadline) in [(1, after(5)), (2, now), (3, after(3))] {
        assert_eq!(queue.push(job(source, id, deadline)), Ok(()));
    }
    assert_eq!(queue.next_deadline(), Some(now));
    assert_eq!(ids(&queue.take_overdue(now)), [2]);
    assert_eq!(queue.next_deadline(), Some(after(3)));
    assert_eq!(ids(&queue.take(9, 10_000)), [1, 3]);
    assert_eq!(queue.next_deadline(), None);
}

/// A model of the queue without any index: every step looks at everything.
struct Model {
    /// In the order of arrival; the commands that were put back stand first.
    waiting: Vec<Entry>,
    /// The sources with waiting commands, in the order of their turns.
    ring: Vec<usize>,
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

const MAX_JOBS: usize = 12;
const MAX_MEMORY: usize = 10_000;

impl Model {
    fn memory(&self) -> usize {
        self.waiting.iter().map(|entry| entry.memory).sum()
    }

    fn push(&mut self, entry: Entry) -> bool {
        let own = || {
            let waiting = self.waiting.iter();
            waiting.filter(|other| other.source == entry.source && !other.returned)
        };
        let free = MAX_JOBS.saturating_sub(self.waiting.len());
        let free_memory = MAX_MEMORY.saturating_sub(self.memory());
        let own_memory: usize = own().map(|entry| entry.memory).sum();
        let first = own().count() == 0;
        let (reserved, reserved_memory) = (MAX_JOBS / RESERVED, MAX_MEMORY / RESERVED);
        let fits = free >= 1 && entry.memory <= free_memory;
        let too_many = own().count() + reserved >= free;
        let too_large = own_memory + entry.memory + reserved_memory > free_memory;
        if !self.waiting.is_empty() && (!fits || !first && (too_many || too_large)) {
            return false;
        }
        if first {
            self.ring.push(entry.source);
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
        let mut index = 0;
        while let Some(&source) = self.ring.get(index) {
            let at = self
                .waiting
                .iter()
                .position(|entry| entry.source == source)
                .unwrap();
            if repeated(&taken, &self.waiting[at]) {
                index += 1;
                continue;
            }
            if !room(&taken, &self.waiting[at]) {
                break;
            }
            taken.push(self.waiting.remove(at));
            self.ring.remove(index);
            if self.waiting.iter().any(|entry| entry.source == source) {
                self.ring.push(source);
            }
        }
        taken
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
        let has_line = |source: &usize| {
            let mut own = waiting.iter().filter(|entry| !entry.returned);
            own.any(|entry| entry.source == *source)
        };
        self.ring.retain(has_line);
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
    let push = (0..4_usize, 0..40_u8, 0..100_usize, 0..1_000_u64);
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
        let start = Instant::now();
        let sources: Vec<SourceId> = (0..4).map(|_| SourceId::new()).collect();
        let queue = open_queue(MAX_JOBS, MAX_MEMORY);
        let mut model = Model { waiting: Vec::new(), ring: Vec::new() };
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

#[test]
fn what_cannot_share_a_transaction_is_taken_so_that_it_need_not() {
    let queue = open_queue(20, 20_000);
    let (one, other) = (SourceId::new(), SourceId::new());
    let drop = r#"{"drop":"c"}"#;
    let union = r#"{"aggregate":"c","pipeline":[{"$unionWith":"d"}]}"#;
    for (source, id, text) in [
        (one, 1, None),
        (one, 2, Some(drop)),
        (one, 3, Some(union)),
        (one, 4, None),
        (other, 5, None),
        (other, 6, None),
    ] {
        let job = match text {
            Some(text) => job_of(source, id, later(), text),
            None => job(source, id, later()),
        };
        assert_eq!(queue.push(job), Ok(()));
    }
    assert_eq!(ids(&queue.take(9, 10_000)), [1, 5]);
    // A change of collections has a batch of its own.
    assert_eq!(ids(&queue.take(9, 10_000)), [2]);
    // After a command that can only read, its source waits: a write would put it into the
    // transaction.
    assert_eq!(ids(&queue.take(9, 10_000)), [6, 3]);
    assert_eq!(ids(&queue.take(9, 10_000)), [4]);
}

/// Puts the only command of a queue back as one that needs a batch of its own.
fn put_back_apart(queue: &Queue) {
    let mut taken = queue.take(9, 100_000);
    for job in &mut taken {
        job.notes.apart = true;
    }
    queue.put_back(taken).unwrap();
}

#[test]
fn a_command_that_needs_a_batch_of_its_own_is_taken_without_the_commands_of_others() {
    let queue = open_queue(100, 100_000);
    let [apart, other] = [SourceId::new(), SourceId::new()];
    assert_eq!(queue.push(job(apart, 1, later())), Ok(()));
    put_back_apart(&queue);
    for (source, id) in [(apart, 2), (other, 11), (other, 12)] {
        assert_eq!(queue.push(job(source, id, later())), Ok(()));
    }
    assert_eq!(
        ids(&queue.take(9, 100_000)),
        [1],
        "no other, not even of its source"
    );
    assert!(queue.last_was_apart());
    assert_eq!(ids(&queue.take(9, 100_000)), [2, 11, 12]);
}

#[test]
fn every_other_batch_is_for_those_that_need_none_of_their_own() {
    let queue = open_queue(100, 100_000);
    let [apart, other] = [SourceId::new(), SourceId::new()];
    assert_eq!(queue.push(job(apart, 1, later())), Ok(()));
    put_back_apart(&queue);
    put_back_apart(&queue);
    // The only source that waits has an ordinary command behind: it must not be held up without
    // end.
    assert_eq!(queue.push(job(apart, 2, later())), Ok(()));
    let taken = queue.take(1, 100_000);
    assert_eq!(ids(&taken), [1]);
    queue
        .put_back(
            taken
                .into_iter()
                .map(|mut job| {
                    job.notes.apart = true;
                    job
                })
                .collect(),
        )
        .unwrap();
    assert_eq!(queue.push(job(other, 11, later())), Ok(()));
    assert_eq!(ids(&queue.take(9, 100_000)), [11], "the batch before was apart");
    assert_eq!(ids(&queue.take(9, 100_000)), [1]);
    assert_eq!(ids(&queue.take(9, 100_000)), [2]);
}

#[tokio::test(start_paused = true)]
async fn after_a_batch_that_failed_others_have_nine_times_as_long() {
    let queue = open_queue(10, 100_000);
    let [apart, other] = [SourceId::new(), SourceId::new()];
    let took = Duration::from_millis(20);
    queue.rest(took, Instant::now());
    queue.penalize(apart, 100, Instant::now());
    assert_eq!(queue.push(job(apart, 1, later())), Ok(()));
    assert!(queue.take(9, 100_000).is_empty());
    assert_eq!(queue.push(job(other, 2, later())), Ok(()));
    queue.wait().await;
    assert_eq!(ids(&queue.take(9, 100_000)), [2]);
    let began = Instant::now();
    queue.wait().await;
    assert!(began.elapsed() >= took * REST_FACTOR - Duration::from_millis(1));
    assert_eq!(ids(&queue.take(9, 100_000)), [1]);

    // An ordinary command behind one that rests waits with it.
    let began = Instant::now();
    queue.rest(took, began);
    let [held, behind] = [job(other, 4, later()), job(other, 5, later())];
    assert_eq!(queue.push(held), Ok(()));
    put_back_apart(&queue);
    assert_eq!(queue.push(behind), Ok(()));
    queue.wait().await;
    assert!(began.elapsed() >= took * REST_FACTOR - Duration::from_millis(1));
    assert_eq!(ids(&queue.take(9, 100_000)), [4]);
    assert_eq!(ids(&queue.take(9, 100_000)), [5]);

    // A deadline that passes meanwhile is noticed.
    queue.rest(took, Instant::now());
    let deadline = Instant::now() + took;
    assert_eq!(queue.push(job(apart, 3, deadline)), Ok(()));
    queue.wait().await;
    assert_eq!(ids(&queue.take_overdue(deadline)), [3]);
}
