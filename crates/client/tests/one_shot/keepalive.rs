//! A server that has the command and is silent, on a platform that can send pings.

use core::time::Duration;

use bellwether_client::{AttemptEnd, Event, Lost, Outcome, Stop};

use crate::network::{Network, command};
use crate::script::Does;
use crate::{A, B};

fn long() -> Duration {
    Duration::from_secs(60)
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_replaced_by_another_to_the_same_server() {
    let network = Network::new(&[
        ("a", &[Does::CutsOff, Does::Executes]),
        ("b", &[Does::Follows(Some(A))]),
    ])
    .with_pings();
    let mut seen = Vec::new();
    let watch = |event: Event<'_>| match event {
        Event::Trying { server: 0, .. } => seen.push("trying".to_owned()),
        Event::Greeted { server: 0, .. } => seen.push("greeted".to_owned()),
        Event::Sent { server, .. } => seen.push(format!("sent {server}")),
        Event::Ended { server: 0, tried } => seen.push(tried.end.code().to_owned()),
        _ => {}
    };
    let shot = network.one_shot().deadline(long());
    let executed = shot.execute(&command(), watch).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
    assert_eq!(
        seen.join(", "),
        "trying, greeted, sent 0, lost, trying, greeted, sent 0, executed"
    );
    let arrived = network.arrived();
    assert_eq!(arrived[0].1, arrived[1].1, "the same id");
    // The ping goes out after 1 s of silence, and the second greeting 1 s later.
    assert_eq!(network.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_executed_before_the_cut_is_replayed() {
    let network = Network::new(&[("a", &[Does::CutsOffAfterExecution, Does::Executes])]).with_pings();
    let executed = network.run(network.one_shot()).await.unwrap();
    assert!(executed.replayed);
    assert_eq!(network.executions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_server_settles_the_command_of_one_that_is_gone() {
    let elected = Does::Follows(Some(A)).until(4_000, Does::Executes);
    let network = Network::new(&[
        ("a", &[Does::CutsOffAfterExecution, Does::SwallowsConnect]),
        ("b", &[elected]),
    ])
    .with_pings();
    // The epoch of b is not larger than that of a, so the silence alone decides.
    let shot = network.one_shot().deadline(long());
    let executed = shot.execute(&command(), |_| {}).await.unwrap();
    assert_eq!((executed.url.as_str(), executed.replayed), (B, true));
    let lost = &executed.attempts[0];
    assert_eq!(lost.end, AttemptEnd::Lost(Lost::Silence));
    assert_eq!(lost.outcome(), Outcome::Unknown);
    assert_eq!(network.executions(), 1);
    // 1 s of silence, and 7 s without a pong. The deadline is 60 s.
    assert_eq!(network.elapsed().as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_question_leaves_a_dead_connection_as_well() {
    let id = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e".parse().unwrap();
    let network = Network::new(&[("a", &[Does::CutsOff, Does::Executes])]).with_pings();
    let outcome_result = network.one_shot().outcome(id, |_| {}).await.unwrap();
    assert_eq!(outcome_result.outcome, Outcome::NotExecuted);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_pings_keeps_the_command_and_is_not_greeted_again() {
    let network = Network::new(&[
        ("a", &[Does::Executes.answering_in(40_000)]),
        ("b", &[Does::Follows(Some(A))]),
    ])
    .with_pings();
    let shot = network.one_shot().deadline(long());
    let executed = shot.execute(&command(), |_| {}).await.unwrap();
    assert!(!executed.replayed);
    assert_eq!(network.arrived().len(), 1);
    assert!(!network.asked()[1..].contains('a'), "{}", network.asked());
}

#[tokio::test(start_paused = true)]
async fn a_server_without_room_for_a_second_connection_is_given_up_without_a_pong() {
    let network = Network::new(&[
        ("a", &[Does::CutsOff, Does::HasNoRoom]),
        ("b", &[Does::Follows(Some(A)).until(3_000, Does::Executes)]),
    ])
    .with_pings();
    let shot = network.one_shot().deadline(long());
    assert_eq!(shot.execute(&command(), |_| {}).await.unwrap().url.as_str(), B);
    assert_eq!(network.elapsed().as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn each_dead_connection_doubles_the_time_of_the_next() {
    let network = Network::new(&[("a", &[Does::CutsOff])]).with_pings();
    let mut sent = Vec::new();
    let watch = |event: Event<'_>| {
        if let Event::Sent { .. } = event {
            sent.push(network.elapsed().as_secs());
        }
    };
    let shot = network.one_shot().deadline(long());
    let failure = shot.execute(&command(), watch).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome),
        (Stop::Deadline, Outcome::Unknown)
    );
    // A second of silence, and then 1, 3, 7 and 15 s until the second greeting.
    assert_eq!(sent, [0, 2, 6, 14, 30]);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_a_missing_pong_tells_silence_from_work() {
    for (does, end) in [
        (Does::GoesSilent, Lost::StillWorking),
        (Does::CutsOff, Lost::Silence),
    ] {
        let network = Network::new(&[("a", &[does, Does::SwallowsConnect])]).with_pings();
        let shot = network.one_shot().deadline(Duration::from_secs(5));
        let failure = network.run(shot).await.unwrap_err();
        assert_eq!(failure.attempts[0].end, AttemptEnd::Lost(end));
        assert_eq!(failure.outcome, Outcome::Unknown);
    }
}
