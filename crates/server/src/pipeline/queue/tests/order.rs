//! The order in which commands are taken.

use super::*;

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
    assert!(is_full(queue.push(job(sources[0], 8, later()))));
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

#[test]
fn a_thousand_sources_of_one_group_take_turns_with_one_of_another() {
    let queue = open_queue(4_096, 1_000_000_000);
    let many: Vec<SourceId> = (0..1_000).map(|_| SourceId::in_group(1)).collect();
    let one = SourceId::in_group(2);
    for (n, source) in (0..).zip(many.iter().chain(&many)) {
        assert_eq!(queue.push(numbered_job(*source, n, later())), Ok(()));
    }
    for n in 0..50 {
        assert_eq!(queue.push(numbered_job(one, 10_000 + n, later())), Ok(()));
    }
    let taken = queue.take(100, 1_000_000);
    for (turn, pair) in taken.chunks(2).enumerate() {
        assert_eq!([pair[0].source, pair[1].source], [many[turn], one]);
    }
    // Without others, the group has all turns.
    let sources: Vec<SourceId> = queue
        .take(1_000, 1_000_000)
        .iter()
        .map(|job| job.source)
        .collect();
    let expected = many[50..].iter().chain(&many[..50]);
    assert!(sources.iter().eq(expected), "its sources take turns, too");
}
