//! The shares of groups and sources in places and memory. The clock stands still in these tests,
//! because the queue keeps places for refused commands after a while.

use super::*;

#[tokio::test(start_paused = true)]
async fn is_bounded_in_number_and_memory() {
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

#[tokio::test(start_paused = true)]
async fn the_greedy_leave_room_for_others() {
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

#[tokio::test(start_paused = true)]
async fn many_greedy_sources_leave_room_before_any_is_served() {
    let queue = open_queue(1_024, 1_000_000_000);
    for _ in 0..60 {
        let greedy = SourceId::new();
        while queue.push(job(greedy, 1, later())).is_ok() {}
    }
    for _ in 0..60 {
        assert_eq!(queue.push(job(SourceId::new(), 2, later())), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn many_tiny_values_take_more_than_their_bytes_and_fit_an_empty_queue() {
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

/// Sends commands by ever new sources of a group until the queue is full for them.
fn fill_by_group(queue: &Queue, group: u64) -> usize {
    let push = |n: &u64| {
        let job = numbered_job(SourceId::in_group(group), group << 32 | n, later());
        queue.push(job).is_ok()
    };
    (0..).take_while(push).count()
}

#[tokio::test(start_paused = true)]
async fn a_group_with_many_sources_cannot_fill_the_queue() {
    let queue = open_queue(1_024, 1_000_000_000);
    // As many as seven times those that are free without the reserve: 1,024 = 784 + 7 · 16 + 128.
    assert_eq!(fill_by_group(&queue, 1), 784);
    // 112 + 128 are left.
    assert_eq!(fill_by_group(&queue, 2), 98);
    assert_eq!(fill_by_group(&queue, 3), 13);
    // The reserve is for groups that have nothing waiting.
    assert!(fill_by_group(&queue, 4) < 4);
    for group in 5..100 {
        let push = queue.push(numbered_job(SourceId::in_group(group), 1, later()));
        assert_eq!(push, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_greedy_sources_of_a_group_leave_room_for_its_other_sources() {
    let queue = open_queue(1_024, 1_000_000_000);
    let source = || SourceId::in_group(1);
    let mut taken = 0;
    for _ in 0..40 {
        let greedy = source();
        taken += (0..64)
            .take_while(|n| queue.push(numbered_job(greedy, *n, later())).is_ok())
            .count();
    }
    // They may have 672, and each of them one more when nothing of it waits. The group may have
    // 784.
    assert!((672..672 + 40).contains(&taken), "{taken}");
    assert_eq!(fill_by_group(&queue, 1), 784 - taken);
}

#[tokio::test(start_paused = true)]
async fn a_group_with_many_sources_cannot_fill_the_memory() {
    let sized = |group, padding| sized_job(SourceId::in_group(group), 1, later(), padding);
    let memory = sized(1, 10_000).memory();
    let queue = open_queue(1_024, 80 * memory);
    let count = (0..).take_while(|_| queue.push(sized(1, 10_000)).is_ok()).count();
    assert_eq!(count, 62);
    assert_eq!(queue.push(sized(2, 10_000)), Ok(()));
    // A command that is larger than all that is free does not fit into a share.
    let queue = open_queue(1_024, 80 * memory);
    for group in [1, 2] {
        assert_eq!(queue.push(sized(group, 300_000)), Ok(()));
    }
    assert!(is_full(queue.push(sized(2, 300_000))));
    assert_eq!(queue.push(sized(3, 100_000)), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn two_places_are_never_those_of_one_group() {
    let queue = open_queue(2, 100_000);
    assert_eq!(fill_by_group(&queue, 1), 1);
    assert_eq!(fill_by_group(&queue, 2), 1);
    let queue = open_queue(1, 100_000);
    assert_eq!(fill_by_group(&queue, 1), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_command_of_a_group_comes_back_before_those_that_never_waited() {
    let queue = open_queue(64, 1_000_000_000);
    let source = || SourceId::in_group(1);
    let full = fill_by_group(&queue, 1);
    // Another group has a place, so the two groups share the rate of a thousand a second.
    assert_eq!(
        queue.push(numbered_job(SourceId::in_group(2), 1, later())),
        Ok(())
    );
    let mut pauses = Vec::new();
    for number in 100..120 {
        match queue.push(numbered_job(source(), number, later())) {
            Err(NotTaken::Full { retry_after }) => pauses.push(retry_after),
            other => panic!("{other:?}"),
        }
    }
    // The command before these waits a millisecond: only one group had commands then.
    assert_eq!(pauses[19], Duration::from_millis(1 + 2 * 20));
    let until = Instant::now() + pauses[19];
    tokio::time::sleep_until(until).await;
    assert_eq!(queue.take(21, 1_000_000_000).len(), 21);
    assert!(full > 21);
    // Some room is left for commands that were not refused, and then all of the others fit.
    let fresh = (0..).take_while(|n| queue.push(numbered_job(source(), 200 + n, later())).is_ok());
    let fresh = fresh.count();
    for number in 100..120 {
        let push = queue.push(numbered_job(source(), number, later()));
        assert_eq!(push, Ok(()), "{number}, after {fresh}");
    }
}
