//! The promises of the queue, whatever its sources have done.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Sources of the same group have the same group number.
const GROUPS: [u64; 7] = [1, 1, 1, 1, 2, 2, 3];

#[derive(Clone, Debug)]
enum Step {
    /// `kind` selects a read, a write, or a command that needs a batch of its own.
    Push {
        source: usize,
        kind: usize,
    },
    /// Takes a batch, and puts the end of it back.
    Take {
        most: usize,
        put_back: usize,
        apart: bool,
    },
    Penalize {
        source: usize,
        tries: u32,
    },
    Abandon {
        sources: Vec<usize>,
    },
    /// Closes and opens the queue, as between two terms.
    NewTerm,
    Pass {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let source = 0..GROUPS.len();
    prop_oneof![
        12 => (source.clone(), 0..8_usize).prop_map(|(source, kind)| Step::Push { source, kind }),
        6 => (1..8_usize, 0..4_usize, any::<bool>())
            .prop_map(|(most, put_back, apart)| Step::Take { most, put_back, apart }),
        1 => (source.clone(), 1..200_u32).prop_map(|(source, tries)| Step::Penalize { source, tries }),
        1 => prop::collection::vec(source, 1..3).prop_map(|sources| Step::Abandon { sources }),
        1 => Just(Step::NewTerm),
        3 => (0..3_000_u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

fn text(kind: usize) -> &'static str {
    match kind {
        0 => r#"{"drop":"c"}"#,
        1 => r#"{"aggregate":"c","pipeline":[{"$unionWith":"d"}]}"#,
        2..5 => r#"{"find":"c"}"#,
        _ => r#"{"insert":"c","documents":[{}]}"#,
    }
}

/// The accepted commands, and the commands that a batch has taken and not put back.
#[derive(Default)]
struct Seen {
    accepted: HashMap<usize, Vec<CommandId>>,
    taken: HashMap<usize, Vec<CommandId>>,
}

proptest! {
    /// No command is lost or taken twice, each source keeps its order, and the queue ends empty.
    #[test]
    fn nothing_is_lost_or_repeated_and_each_source_keeps_its_order(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let runtime = paused_runtime();
        runtime.block_on(async {
            let sources: Vec<SourceId> = GROUPS.into_iter().map(SourceId::in_group).collect();
            let name = |job: &Job| sources.iter().position(|source| *source == job.source).unwrap();
            let queue = open_queue(24, 1_000_000);
            let mut seen = Seen::default();
            let deadline = Instant::now() + Duration::from_secs(100_000);
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Push { source, kind } => {
                        let id = numbered_id(number);
                        if queue.push(job_with(sources[source], id, deadline, text(kind))).is_ok() {
                            seen.accepted.entry(source).or_default().push(id);
                        }
                    }
                    Step::Take { most, put_back, apart } => {
                        let mut jobs = queue.take(most, 1_000_000);
                        assert!(jobs.len() <= most, "{} of {most}", jobs.len());
                        if queue.last_was_apart() {
                            assert!(jobs.iter().all(|job| job.source == jobs[0].source));
                        }
                        let mut back = jobs.split_off(jobs.len().saturating_sub(put_back));
                        if let Some(first) = back.first_mut() {
                            first.notes.apart |= apart;
                        }
                        queue.put_back(back).unwrap();
                        for job in jobs {
                            seen.taken.entry(name(&job)).or_default().push(job.task.id);
                        }
                    }
                    Step::Penalize { source, tries } => {
                        queue.penalize(sources[source], tries, Instant::now());
                        queue.rest(Duration::from_millis(u64::from(tries)), Instant::now());
                    }
                    Step::Abandon { sources: blamed } => {
                        let blamed: Vec<SourceId> = blamed.iter().map(|source| sources[*source]).collect();
                        queue.abandoned(&blamed, Duration::from_secs(4), Instant::now());
                    }
                    Step::NewTerm => {
                        let mut left: HashMap<usize, Vec<CommandId>> = HashMap::new();
                        for job in queue.close() {
                            left.entry(name(&job)).or_default().push(job.task.id);
                        }
                        assert_eq!(queue.len(), 0);
                        for (source, ids) in left {
                            seen.taken.entry(source).or_default().extend(ids);
                        }
                        queue.open();
                    }
                    Step::Pass { millis } => tokio::time::advance(Duration::from_millis(millis)).await,
                }
            }
            // All that waits can be taken, after rests.
            while queue.len() > 0 {
                queue.wait().await;
                let jobs = queue.take(5, 1_000_000);
                assert!(!jobs.is_empty(), "{} wait", queue.len());
                for job in jobs {
                    seen.taken.entry(name(&job)).or_default().push(job.task.id);
                }
            }
            assert_eq!(seen.accepted, seen.taken);
            assert_eq!(queue.next_deadline(), None);
        });
    }
}
