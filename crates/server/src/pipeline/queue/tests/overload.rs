//! Ten times as many clients as the queue has places for. Each comes back at the time that the
//! refusal names. The clock of these tests moves only when they move it.

use std::collections::BTreeSet;

use super::*;

const PLACES: usize = 24;
const CLIENTS: usize = 10 * PLACES;
/// Number of commands of each client that are executed.
const COMMANDS: usize = 8;

/// Returns the number of refusals until all commands are executed. Each batch takes `batch`,
/// whatever its size.
async fn count_refusals(sources: &[SourceId], batch: Duration) -> usize {
    let queue = open_queue(PLACES, 1_000_000_000);
    let mut left = vec![COMMANDS; CLIENTS];
    let begin = Instant::now();
    let mut coming: BTreeSet<(Instant, usize)> = (0..CLIENTS).map(|client| (begin, client)).collect();
    let mut running: Option<(Instant, Vec<Job>)> = None;
    let mut refusals = 0;
    loop {
        let ends = running.as_ref().map(|(ends, _)| *ends);
        let comes = coming.first().map(|(at, _)| *at);
        let Some(next) = ends.into_iter().chain(comes).min() else {
            return refusals;
        };
        tokio::time::advance(next.saturating_duration_since(Instant::now())).await;
        let now = Instant::now();
        if let Some((_, jobs)) = running.take_if(|(ends, _)| *ends <= now) {
            for job in jobs {
                let client = sources.iter().position(|source| *source == job.source).unwrap();
                left[client] -= 1;
                if left[client] > 0 {
                    coming.insert((now, client));
                }
            }
        }
        while let Some((at, client)) = coming.first().copied()
            && at <= now
        {
            coming.pop_first();
            let number = client * COMMANDS + left[client];
            match queue.push(numbered_job(
                sources[client],
                number as u64,
                now + batch * 100_000,
            )) {
                Ok(()) => {}
                Err(NotTaken::Full { retry_after }) => {
                    refusals += 1;
                    coming.insert((now + retry_after, client));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        if running.is_none() {
            let jobs = queue.take(512, 1_000_000_000);
            running = (!jobs.is_empty()).then(|| (now + batch, jobs));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn coming_back_as_told_is_worth_it() {
    let one_group: Vec<SourceId> = (0..CLIENTS).map(|_| SourceId::in_group(1)).collect();
    let two_groups: Vec<SourceId> = (0..CLIENTS as u64)
        .map(|n| SourceId::in_group(n % 2 + 1))
        .collect();
    let many_groups: Vec<SourceId> = (0..CLIENTS).map(|_| SourceId::new()).collect();
    for (name, sources) in [("one", one_group), ("two", two_groups), ("many", many_groups)] {
        for millis in [5, 10, 20, 40, 80] {
            let refusals = count_refusals(&sources, Duration::from_millis(millis)).await;
            let answers = CLIENTS * COMMANDS;
            assert!(
                refusals > 0 && 2 * refusals <= 3 * answers,
                "{name}, {millis} ms: {refusals} refusals for {answers} answers"
            );
        }
    }
}
