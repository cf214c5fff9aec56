//! The deadline is one budget: a server that is alive gets all that is left of it, and only silence
//! moves the command on.

use core::time::Duration;

use bellwether_client::{AttemptEnd, CommandText, ErrorCode, Lost, Outcome, Stop};

use crate::network::Network;
use crate::script::Does;
use crate::{A, B};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

fn aggregate() -> CommandText {
    r#"{"aggregate":"notes","pipeline":[]}"#.parse().expect("this is JSON")
}

#[tokio::test(start_paused = true)]
async fn a_long_command_succeeds_at_the_first_try() {
    let follows: &[Does] = &[Does::Follows(Some(A))];
    for others in [0, 2] {
        let servers = [
            ("a", &[Does::Executes.answering_in(12_000)] as &[Does]),
            ("b", follows),
            ("c", follows),
        ];
        let network = Network::new(&servers[..=others]);
        let shot = network.one_shot().deadline(HALF_A_MINUTE);
        let executed = shot.execute(&aggregate(), |_| {}).await.unwrap();
        assert_eq!(executed.url.as_str(), A);
        let arrived = network.arrived();
        assert_eq!(arrived.len(), 1, "{arrived:?}");
        assert!(
            arrived[0].2 > Duration::from_secs(29),
            "all that is left: {arrived:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_needed_longer_is_not_sent_again() {
    let needs_longer = Does::Fails(ErrorCode::Deadline, Outcome::NotExecuted).answering_in(29_700);
    let network = Network::new(&[("a", &[needs_longer]), ("b", &[Does::Follows(Some(A))])]);
    let shot = network.one_shot().deadline(HALF_A_MINUTE);
    let failure = shot.execute(&aggregate(), |_| {}).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome, failure.code()),
        (Stop::NeededLonger, Outcome::NotExecuted, "deadline")
    );
    assert_eq!(network.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_gives_no_sign_of_life_is_given_up() {
    // No server takes its place; when it goes on, the client sends it the command again.
    let goes_on = Does::SaysNothing.until(15_000, Does::Executes);
    let network = Network::new(&[("a", &[Does::GoesSilent, goes_on])]);
    let shot = network.one_shot().deadline(HALF_A_MINUTE);
    network.run(shot).await.unwrap();
    let arrived = network.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].1, arrived[1].1, "the same id");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fell_silent_late_is_given_up_at_a_later_look() {
    let paused = Does::Follows(None).until(3_000, Does::SaysNothing);
    let network = Network::new(&[
        ("a", &[Does::GoesSilent, paused]),
        (
            "b",
            &[Does::Follows(Some(A)).until(9_000, Does::Executes.in_epoch(8))],
        ),
    ]);
    let shot = network.one_shot().deadline(HALF_A_MINUTE);
    let executed = network.run(shot).await.unwrap();
    assert_eq!(executed.url.as_str(), B);
    let silent = executed
        .attempts
        .iter()
        .find(|tried| tried.url.as_str() == A)
        .unwrap();
    assert_eq!(silent.end, AttemptEnd::Lost(Lost::Silence));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_answers_is_not_silent() {
    for answer in [
        Does::HasNoRoom,
        Does::Closes(1013),
        Does::RefusesHello(ErrorCode::Draining),
        Does::Follows(None),
    ] {
        let slow = Does::Executes.answering_in(12_000);
        let network = Network::new(&[("a", &[slow, answer.clone()])]);
        let shot = network.one_shot().deadline(HALF_A_MINUTE);
        network.run(shot).await.unwrap();
        assert_eq!(network.arrived().len(), 1, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_where_nobody_is_gives_no_sign_of_life() {
    // The process is gone, and so is every trace of the connection to it.
    let back = Does::Refuses.until(10_000, Does::Executes);
    let network = Network::new(&[("a", &[Does::GoesSilent, back])]);
    let shot = network.one_shot().deadline(HALF_A_MINUTE);
    network.run(shot).await.unwrap();
    assert_eq!(network.arrived().len(), 2);

    // It is back before the time is over: it may be the same process, and keeps the command.
    let back = Does::Refuses.until(5_000, Does::Follows(None));
    let slow = Does::Executes.answering_in(12_000);
    let network = Network::new(&[("a", &[slow, back])]);
    let shot = network.one_shot().deadline(HALF_A_MINUTE);
    network.run(shot).await.unwrap();
    assert_eq!(network.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_counts_until_the_next_one_is_missing() {
    let slow = || Does::Follows(None).greeting_in(700);
    for (later, millis, lost) in [
        (Does::SaysNothing, 7_000, Lost::Silence),
        (Does::Refuses, 7_000, Lost::Silence),
        (Does::SwallowsConnect, 7_000, Lost::Silence),
        (slow(), 7_000, Lost::StillWorking),
        // A greeting is on its way.
        (slow(), 4_500, Lost::StillWorking),
        // No client has asked yet.
        (slow(), 600, Lost::StillWorking),
    ] {
        let probed = Does::Follows(None).until(3_000, later.clone());
        let network = Network::new(&[("a", &[Does::GoesSilent, probed])]);
        let shot = network.one_shot().deadline(Duration::from_millis(millis));
        let failure = network.run(shot).await.unwrap_err();
        assert_eq!(
            (failure.stop, failure.outcome),
            (Stop::Deadline, Outcome::Unknown)
        );
        assert_eq!(
            failure.attempts[0].end,
            AttemptEnd::Lost(lost),
            "{later:?} {millis}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_allows_less_time_is_sent_the_command_again() {
    let late = Does::Fails(ErrorCode::Deadline, Outcome::NotExecuted).answering_in(60_000);
    let network = Network::new(&[
        ("a", &[late, Does::Executes.answering_in(30_000)]),
        ("b", &[Does::Follows(Some(A))]),
    ]);
    let shot = network.one_shot().deadline(Duration::from_secs(300));
    let executed = network.run(shot).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
    let arrived = network.arrived();
    assert_eq!((arrived.len(), arrived[0].1), (2, arrived[1].1), "one id");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_started_anew_is_sent_the_command_again() {
    let network = Network::new(&[("a", &[Does::GoesSilent, Does::Executes.in_epoch(8)])]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.epoch, 8);
    assert!(
        network.elapsed() < Duration::from_secs(2),
        "{:?}",
        network.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_alive_and_does_not_answer_keeps_the_command() {
    let network = Network::new(&[("a", &[Does::GoesSilent]), ("b", &[Does::Executes])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome),
        (Stop::Deadline, Outcome::Unknown)
    );
    let unsettled = failure.unsettled.unwrap();
    assert_eq!(unsettled.end, AttemptEnd::Lost(Lost::StillWorking));
    assert_eq!(network.arrived().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_id_has_the_time_of_the_server_that_gets_the_command() {
    for hours in [-25, -1, 2, 24 * 365] {
        let network = Network::new(&[
            ("a", &[Does::Follows(Some(B)).hours_wrong(hours)]),
            ("b", &[Does::Executes]),
        ]);
        let executed = network.run(network.one_shot()).await.unwrap();
        assert_eq!(executed.id.minted_at().as_millis(), 1_795_000_000_000);
    }
}

#[tokio::test(start_paused = true)]
async fn another_id_is_made_while_no_try_can_have_had_an_effect() {
    let fenced = |outcome| Does::Fails(ErrorCode::Fenced, outcome).hours_wrong(2);
    let replaced = [fenced(Outcome::NotExecuted), Does::Follows(Some(B))];
    let network = Network::new(&[("a", &replaced), ("b", &[Does::Executes])]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.id.minted_at().as_millis(), 1_795_000_000_000);

    // Here the first try may have had its effect: under another id it would happen twice.
    let network = Network::new(&[("a", &[fenced(Outcome::Unknown)]), ("b", &[Does::Executes])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome, failure.code()),
        (Stop::Refused, Outcome::Unknown, "id_expired")
    );

    // The client asks a server that refuses the time it gave itself once more, and no third time.
    let expired = Does::Fails(ErrorCode::IdExpired, Outcome::NotExecuted);
    let network = Network::new(&[("a", &[expired])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome),
        (Stop::Refused, Outcome::NotExecuted)
    );
    assert_eq!(network.arrived().len(), 2);

    // A server that does not rule out an effect is not sent the command under another id.
    for outcome in [Outcome::Unknown, Outcome::Executed] {
        let network = Network::new(&[("a", &[Does::Fails(ErrorCode::IdExpired, outcome)])]);
        let failure = network.run(network.one_shot()).await.unwrap_err();
        assert_eq!((failure.stop, failure.outcome), (Stop::Refused, outcome));
        assert_eq!(network.arrived().len(), 1);
    }

    // An id that the caller gave stays.
    let id = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e".parse().unwrap();
    let network = Network::new(&[("a", &[Does::Executes])]);
    let failure = network.run(network.one_shot().ask_again(id)).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome, failure.id),
        (Stop::Refused, Outcome::Unknown, Some(id))
    );
}
