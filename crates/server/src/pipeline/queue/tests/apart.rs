//! Commands and sources that have batches of their own.

use super::*;

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

fn write(source: SourceId, id: u8) -> Job {
    job_of(source, id, later(), r#"{"insert":"c","documents":[{}]}"#)
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_batch_was_abandoned_has_batches_of_its_own_and_is_refused_at_the_second() {
    let queue = open_queue(100, 1_000_000);
    let [bad, mate, other] = [
        SourceId::in_group(1),
        SourceId::in_group(1),
        SourceId::in_group(2),
    ];
    let took = Duration::from_secs(4);
    queue.abandoned(&[bad], took, Instant::now());
    // A new term on the same server knows it, too.
    for id in [1, 2] {
        assert_eq!(queue.push(write(bad, id)), Ok(()));
    }
    assert_eq!(ids(&queue.close()), [1, 2]);
    assert_eq!(queue.push(write(bad, 1)), Err(NotTaken::Closed));
    queue.open();
    for (source, id) in [(bad, 3), (other, 4), (bad, 5), (other, 6)] {
        assert_eq!(queue.push(write(source, id)), Ok(()));
    }
    assert_eq!(queue.push(write(mate, 7)), Ok(()));
    assert_eq!(
        ids(&queue.take(9, 100_000)),
        [7, 4, 6],
        "it rests, and the other source of its group does not"
    );
    assert!(!queue.last_was_apart());
    assert!(queue.take(9, 100_000).is_empty(), "it still rests");
    let began = Instant::now();
    queue.wait().await;
    assert_eq!(began.elapsed(), LONGEST_REST_OF_ABANDONED);
    assert_eq!(ids(&queue.take(9, 100_000)), [3, 5]);

    queue.abandoned(&[bad], took, Instant::now());
    drop(queue.close());
    queue.open();
    let NotTaken::Refused(refusal) = queue.push(write(bad, 7)).unwrap_err() else {
        panic!("it is not refused");
    };
    assert!(!refusal.by_group && refusal.left > Duration::from_secs(60));
    assert_eq!(queue.push(write(other, 8)), Ok(()));
    // Reads and questions are not refused.
    assert_eq!(queue.push(job(bad, 9, later())), Ok(()));
    let id = CommandId::mint(Duration::ZERO, [7; 10]);
    let (question, _receiver) = Job::find_outcome(bad, id, later(), None);
    assert_eq!(queue.push(question), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_new_term_knows_the_penalties_the_rest_and_the_drain_rate() {
    let queue = open_queue(4, 1_000_000);
    let [bad, good] = [SourceId::in_group(1), SourceId::in_group(2)];
    let retry_after = || {
        let sources: Vec<SourceId> = (0..5).map(|_| SourceId::new()).collect();
        let push = |source: &SourceId| queue.push(job(*source, 1, later())).err();
        let full = sources.iter().find_map(push);
        match full {
            Some(NotTaken::Full { retry_after }) => retry_after,
            other => panic!("{other:?}"),
        }
    };
    // Two commands in ten seconds.
    for _ in 0..9 {
        let [one, another, third] = [SourceId::new(), SourceId::new(), SourceId::new()];
        for source in [one, another, third] {
            let _ = queue.push(job(source, 1, later()));
        }
        queue.take(1, 1_000_000);
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    let before = retry_after();
    queue.penalize(bad, 1_000, Instant::now());
    queue.rest(Duration::from_secs(1), Instant::now());
    drop(queue.close());
    queue.open();
    for (source, id) in [(bad, 1), (good, 2)] {
        assert_eq!(queue.push(job(source, id, later())), Ok(()));
    }
    assert_eq!(ids(&queue.take(9, 100_000)), [2]);
    assert!(queue.take(9, 100_000).is_empty(), "it rests");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ids(&queue.take(9, 100_000)), [1]);
    let after = retry_after();
    assert!(
        after > Duration::from_secs(1) && before > Duration::from_secs(1),
        "{before:?}, {after:?}"
    );
}

#[tokio::test]
async fn a_question_is_about_the_own_command_and_not_about_that_of_another_subject() {
    let queue = open_queue(4, 1_000_000);
    let (alice, bob) = (SubjectHash::of("i", "alice"), SubjectHash::of("i", "bob"));
    let id = CommandId::mint(Duration::ZERO, [1; 10]);
    let push = |subject| {
        let raw = RawJson::object(r#"{"find":"c"}"#).unwrap();
        let command = ParsedCommand::parse(&raw, &AllowedCommands::default()).unwrap();
        let (job, _) = Job::execute(SourceId::new(), id, command.of_subject(subject), later());
        assert_eq!(queue.push(job), Ok(()));
    };
    assert_eq!(queue.holds(id, Some(&alice)), Waits::No);
    push(Some(alice));
    assert_eq!(queue.holds(id, Some(&alice)), Waits::Yes);
    assert_eq!(queue.holds(id, Some(&bob)), Waits::OfAnother);
    assert_eq!(queue.holds(id, None), Waits::Yes);
    push(Some(bob));
    assert_eq!(queue.holds(id, Some(&bob)), Waits::Yes);
    drop(queue.close());
    assert_eq!(queue.holds(id, Some(&alice)), Waits::No);
}
