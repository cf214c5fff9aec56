//! A server that has the command and is silent: the client asks the other servers.

use core::time::Duration;

use bellwether_client::{AttemptEnd, ErrorCode, Event, Lost, Outcome, Stop};

use crate::network::{Network, command};
use crate::script::Does;
use crate::{A, B, C};

#[tokio::test(start_paused = true)]
async fn a_new_coordinator_gets_the_command_of_one_that_fell_silent() {
    let elected = Does::Follows(Some(A)).until(500, Does::Executes.in_epoch(8));
    let network = Network::new(&[
        ("a", &[Does::GoesSilent]),
        ("b", &[Does::Follows(Some(A)), Does::Follows(Some(C))]),
        ("c", &[elected]),
    ]);
    let mut seen = Vec::new();
    let watch = |event: Event<'_>| match event {
        Event::Trying { server, .. } => seen.push(format!("{server} trying")),
        Event::Sent { server, .. } => seen.push(format!("{server} sent")),
        Event::Ended { server, tried } => seen.push(format!("{server} {}", tried.end.code())),
        _ => {}
    };
    let shot = network.one_shot().deadline(Duration::from_secs(30));
    let executed = shot.execute(&command(), watch).await.unwrap();
    assert_eq!((executed.url.as_str(), executed.epoch), (C, 8));
    assert!(!executed.replayed);
    assert_eq!(
        seen.join(", "),
        "0 trying, 0 sent, 1 trying, 1 not_coordinator, 2 trying, 0 lost, 2 sent, 2 executed"
    );
    let arrived = network.arrived();
    assert_eq!(arrived[0].1, arrived[1].1, "the same id");
    let lost = &executed.attempts[1];
    assert_eq!(lost.end, AttemptEnd::Lost(Lost::Superseded { epoch: 8 }));
    assert_eq!(lost.outcome(), Outcome::Unknown);
    assert!(
        network.elapsed() < Duration::from_millis(1_100),
        "{:?}",
        network.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_has_a_hint_of_its_own() {
    let network = Network::new(&[
        ("a", &[Does::Follows(Some(B)), Does::Follows(Some("ws://d:1/v1"))]),
        ("b", &[Does::GoesSilent]),
        ("c", &[Does::SwallowsConnect]),
        ("d", &[Does::Executes.in_epoch(8)]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(network.asked(), "a b a b d");
    assert!(executed.attempts.last().unwrap().hinted);
}

#[tokio::test(start_paused = true)]
async fn what_the_silent_one_executed_is_replayed() {
    let executes_and_goes_silent = Does::Executes.answering_in(60_000);
    let network = Network::new(&[
        ("a", &[executes_and_goes_silent]),
        ("b", &[Does::Executes.in_epoch(8)]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!((executed.url.as_str(), executed.replayed), (B, true));
    assert_eq!(network.executions(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_later_epoch_the_slow_coordinator_keeps_the_command() {
    for other in [
        Does::Follows(Some(A)),
        Does::Executes,
        Does::Executes.in_epoch(6),
        Does::SwallowsConnect,
        Does::Refuses,
    ] {
        let network = Network::new(&[
            ("a", &[Does::Executes.answering_in(2_500)]),
            ("b", core::slice::from_ref(&other)),
        ]);
        let executed = network.run(network.one_shot()).await.unwrap();
        assert_eq!(executed.url.as_str(), A, "{other:?}");
        assert_eq!(network.arrived().len(), 1, "{other:?}");
        let asked = &executed.attempts[0];
        assert!(!asked.sent && executed.attempts.len() == 2, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_longer_the_silence_the_rarer_the_looks() {
    let network = Network::new(&[
        ("a", &[Does::Executes.answering_in(20_000)]),
        ("b", &[Does::Follows(Some(A))]),
    ]);
    let mut looks = Vec::new();
    let watch = |event: Event<'_>| {
        if let Event::Trying { server: 1, .. } = event {
            looks.push(network.elapsed().as_secs());
        }
    };
    let shot = network.one_shot().deadline(Duration::from_secs(90));
    shot.execute(&command(), watch).await.unwrap();
    assert_eq!(looks, [1, 2, 4, 8, 16]);
}

#[tokio::test(start_paused = true)]
async fn a_later_look_finds_who_was_not_elected_at_the_first() {
    let elected = Does::Follows(Some(A)).until(1_500, Does::Executes.in_epoch(9));
    let network = Network::new(&[("a", &[Does::GoesSilent]), ("b", &[elected])]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.epoch, 9);
    assert_eq!(network.asked(), "a b a b a");
    assert_eq!(network.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_quick_answer_is_not_doubted() {
    let network = Network::new(&[
        ("a", &[Does::Executes.answering_in(900)]),
        ("b", &[Does::Executes.in_epoch(8)]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
    assert_eq!(network.asked(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_question_is_handed_to_the_new_coordinator_as_well() {
    let id = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e".parse().unwrap();
    let network = Network::new(&[("a", &[Does::GoesSilent]), ("b", &[Does::Executes.in_epoch(8)])]);
    let outcome_result = network.one_shot().outcome(id, |_| {}).await.unwrap();
    assert_eq!(
        (outcome_result.url.as_str(), outcome_result.outcome),
        (B, Outcome::NotExecuted)
    );
    assert_eq!(network.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_pass_goes_on_where_it_was_when_the_answer_disappoints() {
    // The client greets b and a at the look, and b again in its turn.
    let fenced = Does::Fails(ErrorCode::Fenced, Outcome::Unknown);
    let network = Network::new(&[
        ("a", &[fenced.answering_in(1_200)]),
        ("b", &[Does::Follows(None), Does::Executes]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(network.asked(), "a b a b");
    assert_eq!(executed.attempts.last().unwrap().pass, 1);
}

#[tokio::test(start_paused = true)]
async fn looking_ends_with_the_attempt() {
    let network = Network::new(&[
        ("a", &[Does::GoesSilent]),
        ("b", &[Does::SwallowsConnect]),
        ("c", &[Does::SaysNothing]),
    ]);
    let shot = network.one_shot().deadline(Duration::from_millis(1_700));
    let failure = network.run(shot).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome, failure.code()),
        (Stop::Deadline, Outcome::Unknown, "lost")
    );
    assert_eq!(network.elapsed().as_millis(), 1_700);

    let cancelled = tokio::time::sleep(Duration::from_millis(1_100));
    let mut ends = Vec::new();
    let watch = |event: Event<'_>| {
        if let Event::Ended { tried, .. } = event {
            ends.push((tried.end.code(), tried.sent));
        }
    };
    let failure = network
        .one_shot()
        .execute_until(cancelled, &command(), watch)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome),
        (Stop::Cancelled, Outcome::Unknown)
    );
    assert_eq!(ends, [("cancelled", true), ("cancelled", false)]);
}
