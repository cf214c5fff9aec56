//! One command, passed along the list.

use core::time::Duration;

use bellwether_client::{CommandId, ErrorCode, Event, Outcome, Stop};

use crate::network::{Network, command, names};
use crate::script::Does;
use crate::{A, B, C};

#[tokio::test(start_paused = true)]
async fn servers_are_asked_in_order_until_one_executes() {
    let network = Network::new(&[
        ("a", &[Does::Refuses]),
        ("b", &[Does::Follows(None)]),
        ("c", &[Does::Executes]),
        ("d", &[Does::Executes]),
    ]);
    let mut seen = Vec::new();
    let shot = network.one_shot();
    let executed = shot
        .execute(&command(), |event| seen.push(names(&event)))
        .await
        .unwrap();
    assert_eq!(network.asked(), "a b c");
    assert_eq!(executed.url.as_str(), C);
    assert_eq!(
        (executed.epoch, executed.replayed, executed.result.as_str()),
        (7, false, r#"{"ok":1}"#)
    );
    assert_eq!(executed.id.minted_at().as_millis(), 1_795_000_000_000);
    let ends: Vec<&str> = executed.attempts.iter().map(|tried| tried.end.code()).collect();
    assert_eq!(ends, ["unreachable", "not_coordinator", "executed"]);
    assert_eq!(
        seen.join(" "),
        "pass trying ended trying connected greeted ended trying connected greeted sent ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_followed_once_in_a_pass() {
    let network = Network::new(&[
        ("a", &[Does::Follows(Some("WS://D:1"))]),
        ("b", &[Does::Executes]),
        ("c", &[Does::Executes]),
        ("d", &[Does::Follows(Some(C))]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(network.asked(), "a d b");
    let hinted: Vec<bool> = executed.attempts.iter().map(|tried| tried.hinted).collect();
    assert_eq!(hinted, [false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_to_another_address_of_a_server_leads_there_by_its_id() {
    // The coordinator s9 is on the list as s9:1, and the others know it under another address.
    let follows: &[Does] = &[Does::Follows(Some("ws://10.0.0.9:1/v1"))];
    let elected = [Does::Follows(None), Does::Executes];
    let network = Network::new(&[("a", follows), ("b", follows), ("s9", &elected)]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(network.asked(), "a b s9 a s9");
    assert!(executed.attempts.last().unwrap().hinted);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_steps_down_sends_the_client_on() {
    let network = Network::new(&[
        (
            "a",
            &[Does::Fails(ErrorCode::NotCoordinator, Outcome::NotExecuted)],
        ),
        ("b", &[Does::Executes]),
    ]);
    assert!(network.run(network.one_shot()).await.is_ok());
    let ids: Vec<CommandId> = network.arrived().into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_outside_the_list_is_ignored() {
    let network = Network::new(&[
        ("a", &[Does::Follows(Some("ws://evil:1/v1"))]),
        ("b", &[Does::Follows(Some("not a url"))]),
        ("c", &[Does::Executes]),
    ]);
    assert!(network.run(network.one_shot()).await.is_ok());
    assert_eq!(network.asked(), "a b c");
}

#[tokio::test(start_paused = true)]
async fn servers_that_name_each_other_are_asked_once_a_pass() {
    let network = Network::new(&[("a", &[Does::Follows(Some(B))]), ("b", &[Does::Follows(Some(A))])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!(failure.outcome, Outcome::NotExecuted);
    assert_eq!(
        (failure.stop, failure.code()),
        (Stop::Deadline, "not_coordinator")
    );
    assert_eq!(network.asked().matches('a').count(), failure.passes as usize);
    assert_eq!(network.asked().matches('b').count(), failure.passes as usize);
    assert_eq!(failure.id, None, "the command was handed to nobody");
}

#[tokio::test(start_paused = true)]
async fn passes_repeat_with_growing_pauses_until_the_deadline() {
    let network = Network::new(&[("a", &[Does::Refuses]), ("b", &[Does::Refuses])]);
    let mut pauses = Vec::new();
    let shot = network.one_shot();
    let collect = |event: Event<'_>| {
        if let Event::Pausing { pause } = event {
            pauses.push(pause);
        }
    };
    let failure = shot.execute(&command(), collect).await.unwrap_err();
    assert_eq!(
        (failure.outcome, failure.code()),
        (Outcome::NotExecuted, "unreachable")
    );
    assert_eq!(failure.id, None);
    assert_eq!(
        failure.attempts.len(),
        2,
        "only the newest try at each server is kept"
    );
    assert!(
        pauses[..7].is_sorted() && pauses[0] <= Duration::from_millis(20),
        "{pauses:?}"
    );
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(1)));
    let elapsed = network.elapsed();
    assert!(
        (Duration::from_millis(8900)..Duration::from_secs(9)).contains(&elapsed),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_election_that_ends_is_waited_for() {
    let network = Network::new(&[("a", &[Does::Follows(None), Does::Follows(None), Does::Executes])]);
    assert!(network.run(network.one_shot()).await.is_ok());
    assert!(
        network.elapsed() < Duration::from_millis(80),
        "{:?}",
        network.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_asked_for_again_and_replayed() {
    let network = Network::new(&[
        ("a", &[Does::LosesReply, Does::Refuses]),
        ("b", &[Does::Executes]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert!(executed.replayed);
    assert_eq!(network.executions(), 1);
    let arrived = network.arrived();
    assert_eq!(arrived[0].1, arrived[1].1, "one id for all attempts");
    assert_eq!(executed.attempts[0].outcome(), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_falls_silent_does_not_cost_all_the_time() {
    let network = Network::new(&[
        ("a", &[Does::GoesSilent, Does::SaysNothing]),
        ("b", &[Does::Executes]),
    ]);
    assert!(network.run(network.one_shot()).await.is_ok());
    let arrived = network.arrived();
    let deadlines: Vec<u128> = arrived
        .iter()
        .map(|(_, _, deadline)| deadline.as_millis())
        .collect();
    // All that is left of 9 s each time, and the server's last word shall be here before the client
    // hangs up. The greeting that finds it silent begins after 1 s and may take 7 s.
    assert_eq!(deadlines, [8_498, 897]);
}

#[tokio::test(start_paused = true)]
async fn unknown_is_never_downgraded() {
    for after in [
        Does::Refuses,
        Does::SwallowsConnect,
        Does::Follows(None),
        Does::Closes(1013),
        Does::IsElsewhere,
        Does::Fails(ErrorCode::Overloaded, Outcome::NotExecuted),
        Does::Fails(ErrorCode::BadCommand, Outcome::NotExecuted),
    ] {
        let network = Network::new(&[
            ("a", &[Does::LosesReply, after.clone()]),
            ("b", core::slice::from_ref(&after)),
        ]);
        let failure = network.run(network.one_shot().cluster("here")).await.unwrap_err();
        assert_eq!(failure.outcome, Outcome::Unknown, "{after:?}");
        assert_eq!(failure.unsettled.as_ref().map(|tried| tried.pass), Some(1));
        let text = failure.to_string();
        let id = failure.id.unwrap().to_string();
        assert!(
            text.starts_with("outcome unknown: ") && text.contains(&id),
            "{text}"
        );
        assert!(
            text.contains("no answer came: the connection broke: connection reset"),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_unknown_and_not_a_failure() {
    let network = Network::new(&[("a", &[Does::GoesSilent])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!(
        (failure.outcome, failure.stop, failure.code()),
        (Outcome::Unknown, Stop::Deadline, "lost")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_looked_the_id_up_settles_earlier_tries() {
    for code in [ErrorCode::Mongo, ErrorCode::ResultTooLarge] {
        let settles = Does::Fails(code, Outcome::NotExecuted);
        let network = Network::new(&[("a", &[Does::GoesSilent]), ("b", &[settles.in_epoch(8)])]);
        let failure = network.run(network.one_shot()).await.unwrap_err();
        assert_eq!(
            (failure.outcome, failure.stop),
            (Outcome::NotExecuted, Stop::Refused)
        );
        assert_eq!(failure.code(), code.as_str());
        assert!(failure.unsettled.is_none());
    }
    let still_unknown = Does::Fails(ErrorCode::Mongo, Outcome::Unknown);
    let network = Network::new(&[("a", &[still_unknown])]);
    assert_eq!(
        network.run(network.one_shot()).await.unwrap_err().outcome,
        Outcome::Unknown
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_every_server_would_give_stops_the_attempt() {
    for code in ErrorCode::ALL
        .into_iter()
        .filter(|code| code.what_next() == bellwether_protocol::WhatNext::GiveUp)
        .filter(|code| *code != ErrorCode::IdExpired)
    {
        let network = Network::new(&[
            ("a", &[Does::Fails(code, Outcome::NotExecuted)]),
            ("b", &[Does::Executes]),
        ]);
        let failure = network.run(network.one_shot()).await.unwrap_err();
        assert_eq!(network.asked(), "a", "{code}");
        assert_eq!(
            (failure.outcome, failure.code()),
            (Outcome::NotExecuted, code.as_str())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_about_the_connection_does_not_answer_the_command() {
    let network = Network::new(&[("a", &[Does::Announces(ErrorCode::Draining)])]);
    assert!(network.run(network.one_shot()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn asking_again_starts_as_unknown_and_keeps_the_id() {
    let id: CommandId = "01a1ee56-5e00-7080-8080-808080808080".parse().unwrap();
    let network = Network::new(&[("a", &[Does::Refuses])]);
    let failure = network.run(network.one_shot().ask_again(id)).await.unwrap_err();
    assert_eq!((failure.outcome, failure.id), (Outcome::Unknown, Some(id)));

    let network = Network::new(&[("a", &[Does::Executes])]);
    assert_eq!(
        network.run(network.one_shot().ask_again(id)).await.unwrap().id,
        id
    );
}

#[tokio::test(start_paused = true)]
async fn no_server_of_another_cluster_is_sent_the_command() {
    let network = Network::new(&[("a", &[Does::IsElsewhere]), ("b", &[Does::Closes(4403)])]);
    let failure = network.run(network.one_shot().cluster("here")).await.unwrap_err();
    assert_eq!((failure.stop, failure.passes), (Stop::NoUse, 1));
    assert_eq!(
        (failure.outcome, failure.code()),
        (Outcome::NotExecuted, "wrong_cluster")
    );
    assert!(network.arrived().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_no_server_lets_in_is_told_so_at_once() {
    let network = Network::new(&[("a", &[Does::Closes(4405)]), ("b", &[Does::Closes(4405)])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!((failure.stop, failure.passes), (Stop::NoUse, 1));
    assert_eq!(failure.outcome, Outcome::NotExecuted);
    let text = failure.to_string();
    assert!(
        text.contains("does not let this page connect (close code 4405"),
        "{text}"
    );
    assert!(text.contains("--allow-origin"), "{text}");
    assert!(network.arrived().is_empty());

    // One that lets it in is found, whatever the others say.
    let network = Network::new(&[("a", &[Does::Closes(4405)]), ("b", &[Does::Executes])]);
    assert!(network.run(network.one_shot()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_command_too_long_for_the_server_is_not_sent() {
    let network = Network::new(&[("a", &[Does::Executes])]);
    let long = format!(
        r#"{{"x":"{}"}}"#,
        "x".repeat(bellwether_protocol::MAX_MESSAGE_BYTES)
    );
    let failure = network
        .one_shot()
        .execute(&long.parse().unwrap(), |_| {})
        .await
        .unwrap_err();
    assert_eq!(
        (failure.outcome, failure.code()),
        (Outcome::NotExecuted, "too_large")
    );
    assert!(network.arrived().is_empty());
}

#[tokio::test(start_paused = true)]
async fn cancelling_says_whether_the_command_was_sent() {
    for (does, outcome) in [
        (Does::SwallowsConnect, Outcome::NotExecuted),
        (Does::GoesSilent, Outcome::Unknown),
    ] {
        let network = Network::new(&[("a", &[does])]);
        let cancelled = tokio::time::sleep(Duration::from_millis(300));
        let mut ends = Vec::new();
        let watch = |event: Event<'_>| {
            if let Event::Ended { tried, .. } = event {
                ends.push(tried.end.code());
            }
        };
        let failure = network
            .one_shot()
            .execute_until(cancelled, &command(), watch)
            .await
            .unwrap_err();
        assert_eq!((failure.outcome, failure.stop), (outcome, Stop::Cancelled));
        assert_eq!(failure.took.as_millis(), 300);
        assert_eq!(ends, ["cancelled"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_command_is_asked_along_the_list() {
    let network = Network::new(&[
        ("a", &[Does::Refuses]),
        ("b", &[Does::Follows(Some(C))]),
        ("c", &[Does::LosesReply, Does::Executes]),
    ]);
    let failure = network
        .run(network.one_shot().deadline(Duration::from_millis(100)))
        .await
        .unwrap_err();
    assert_eq!(failure.outcome, Outcome::Unknown);
    let id = failure.id.unwrap();
    let mut seen = Vec::new();
    let outcome_result = network
        .one_shot()
        .outcome(id, |event| seen.push(names(&event)))
        .await
        .unwrap();
    assert_eq!(
        (outcome_result.id, outcome_result.outcome, outcome_result.epoch),
        (id, Outcome::Executed, Some(7))
    );
    assert_eq!(outcome_result.url.as_str(), C);
    assert!(!seen.contains(&"sent"), "{seen:?}");
    assert!(outcome_result.attempts.iter().all(|tried| !tried.sent));
    assert_eq!(network.executions(), 1);

    let never: CommandId = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e".parse().unwrap();
    let outcome_result = network.one_shot().outcome(never, |_| {}).await.unwrap();
    assert_eq!(
        (outcome_result.outcome, outcome_result.epoch),
        (Outcome::NotExecuted, None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_question_nobody_answers_leaves_the_outcome_unknown() {
    let id: CommandId = "0198c5e2-7a60-7b3c-9d1e-3f2a5b6c7d8e".parse().unwrap();
    for does in [
        Does::Refuses,
        Does::GoesSilent,
        Does::Fails(ErrorCode::NoCoordinator, Outcome::Unknown),
        // Not a word about the command, whatever it says of the question.
        Does::Fails(ErrorCode::Mongo, Outcome::NotExecuted),
    ] {
        let network = Network::new(&[("a", &[does])]);
        let failure = network.one_shot().outcome(id, |_| {}).await.unwrap_err();
        assert_eq!((failure.outcome, failure.id), (Outcome::Unknown, Some(id)));
    }
}
