//! Servers that are slow to connect or to say hello do not hold up the others.

use core::time::Duration;

use bellwether_client::{ErrorCode, Event, Executed, Failure, Outcome, Stop};

use crate::network::{Network, command};
use crate::script::Does;
use crate::{A, B, C};

/// The ends of the attempts, in their order: server, code.
fn ends(executed: &Executed) -> String {
    let ends = executed
        .attempts
        .iter()
        .map(|tried| format!("{} {}", tried.url.host(), tried.end.code()));
    ends.collect::<Vec<_>>().join(", ")
}

fn refuses() -> Does {
    Does::Fails(ErrorCode::Fenced, Outcome::NotExecuted)
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_costs_the_stagger() {
    for hole in [Does::SwallowsConnect, Does::SaysNothing] {
        let network = Network::new(&[("a", &[hole]), ("b", &[Does::Executes])]);
        let executed = network.run(network.one_shot()).await.unwrap();
        assert_eq!(ends(&executed), "a overtaken, b executed");
        let overtaken = &executed.attempts[0];
        assert_eq!(overtaken.outcome(), Outcome::NotExecuted);
        assert_eq!(overtaken.end.to_string(), "another server was faster");
        assert_eq!(network.elapsed().as_millis(), 250 + 3);
    }
}

#[tokio::test(start_paused = true)]
async fn two_black_holes_cost_two_staggers() {
    let network = Network::new(&[
        ("a", &[Does::SwallowsConnect]),
        ("b", &[Does::SaysNothing]),
        ("c", &[Does::Executes]),
    ]);
    let shot = network.one_shot().stagger(Duration::from_millis(100));
    let executed = network.run(shot).await.unwrap();
    assert_eq!(ends(&executed), "a overtaken, b overtaken, c executed");
    assert_eq!(network.elapsed().as_millis(), 200 + 3);
}

#[tokio::test(start_paused = true)]
async fn the_stagger_has_a_floor() {
    let network = Network::new(&[("a", &[Does::SwallowsConnect]), ("b", &[Does::Executes])]);
    network
        .run(network.one_shot().stagger(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(network.elapsed().as_millis(), 10 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_in_time_has_no_rival() {
    let slow = Does::Executes.connecting_in(100).greeting_in(100);
    let network = Network::new(&[("a", &[slow]), ("b", &[Does::Executes])]);
    network.run(network.one_shot()).await.unwrap();
    assert_eq!(network.asked(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_makes_the_next_one_start_at_once() {
    let network = Network::new(&[
        ("a", &[Does::SwallowsConnect]),
        ("b", &[Does::Refuses]),
        ("c", &[Does::Follows(None)]),
        ("d", &[Does::Executes]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(
        ends(&executed),
        "b unreachable, c not_coordinator, a overtaken, d executed"
    );
    assert_eq!(network.elapsed().as_millis(), 250 + 1 + 2 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_hint_starts_the_named_server_at_once() {
    let network = Network::new(&[
        ("a", &[Does::SwallowsConnect]),
        ("b", &[Does::Follows(Some("ws://e:1/v1"))]),
        ("c", &[Does::SwallowsConnect]),
        ("d", &[Does::SwallowsConnect]),
        ("e", &[Does::Executes]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(network.asked(), "a b e");
    assert!(executed.attempts.last().unwrap().hinted);
    assert_eq!(network.elapsed().as_millis(), 250 + 2 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_hint_to_a_server_under_way_does_not_ask_it_twice() {
    let slow = Does::Executes.connecting_in(400);
    let network = Network::new(&[
        ("a", &[slow]),
        ("b", &[Does::Follows(Some(A))]),
        ("c", &[Does::Follows(Some(A))]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(network.asked().matches('a').count(), 1, "{}", network.asked());
    assert_eq!(executed.url.as_str(), A);
    assert!(!executed.attempts.last().unwrap().hinted);
}

#[tokio::test(start_paused = true)]
async fn the_pass_goes_on_after_a_coordinator_that_could_not() {
    // b has the command while c connects and greets as well; only then is it c's turn.
    let network = Network::new(&[
        ("a", &[Does::SwallowsConnect]),
        ("b", &[refuses().greeting_in(300).answering_in(500)]),
        ("c", &[Does::Executes.connecting_in(100)]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(ends(&executed), "b fenced, a overtaken, c executed");
    assert_eq!(network.asked(), "a b c");
    let arrived = network.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].1, arrived[1].1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stops_the_attempt_overtakes_the_others() {
    let bad = Does::Fails(ErrorCode::BadCommand, Outcome::NotExecuted);
    let network = Network::new(&[("a", &[Does::SwallowsConnect]), ("b", &[bad])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!((failure.stop, failure.code()), (Stop::Refused, "bad_command"));
    assert_eq!(failure.attempts[0].end.code(), "overtaken");
}

#[tokio::test(start_paused = true)]
async fn those_who_answered_are_asked_again_while_a_black_hole_is_tried() {
    // The election ends after half a second; the way to a stays black for all of its 2 s.
    let elected = Does::Follows(None).until(500, Does::Executes);
    let network = Network::new(&[
        ("a", &[Does::SwallowsConnect]),
        ("b", &[Does::Follows(None)]),
        ("c", &[elected]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert!(
        network.elapsed() < Duration::from_millis(900),
        "{:?}",
        network.elapsed()
    );
    assert_eq!(network.asked().matches('a').count(), 1, "{}", network.asked());
    let slow = executed.attempts.iter().find(|tried| tried.url.as_str() == A);
    assert_eq!(slow.map(|tried| tried.pass), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_to_connect_can_still_greet_between_passes() {
    let network = Network::new(&[
        ("a", &[Does::Executes.connecting_in(1500)]),
        ("b", &[Does::Refuses]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
    assert_eq!(network.elapsed().as_millis(), 1500 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_try_that_ends_between_passes_leaves_the_pause_as_it_is() {
    let network = Network::new(&[
        ("a", &[Does::Refuses.connecting_in(1_500)]),
        ("b", &[Does::IsOverloaded(2_000), Does::Executes]),
    ]);
    let mut pauses = Vec::new();
    let watch = |event: Event<'_>| {
        if let Event::Pausing { pause } = event {
            pauses.push(pause);
        }
    };
    let shot = network.one_shot();
    shot.execute(&command(), watch).await.unwrap();
    assert_eq!(pauses.len(), 1, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_of_another_cluster_does_not_make_the_client_give_up_a_slow_one() {
    let network = Network::new(&[
        ("a", &[Does::Executes.connecting_in(1_500)]),
        ("b", &[Does::IsElsewhere]),
    ]);
    let executed = network.run(network.one_shot().cluster("here")).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_comes_back_is_reached_although_connects_have_become_slow() {
    // As after many failures in a browser: every connect is held back for 4 s.
    let back = Does::Refuses.until(5_000, Does::Executes.connecting_in(4_000));
    let back = core::slice::from_ref(&back);
    let network = Network::new(&[("a", back), ("b", back), ("c", back)]);
    let shot = network.one_shot().deadline(Duration::from_secs(30));
    network.run(shot).await.unwrap();
    assert!(
        network.elapsed() < Duration::from_millis(5_000 + 4_000 + 1_100),
        "{:?}",
        network.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_limit_for_a_connect_grows_with_the_passes() {
    let network = Network::new(&[("a", &[Does::SwallowsConnect])]);
    let mut took = Vec::new();
    let watch = |event: Event<'_>| {
        if let Event::Ended { tried, .. } = event {
            took.push((tried.end.code(), tried.took.as_secs()));
        }
    };
    let shot = network.one_shot().deadline(Duration::from_secs(30));
    let failure = shot.execute(&command(), watch).await.unwrap_err();
    assert_eq!(failure.stop, Stop::Deadline);
    let limits: Vec<u64> = took[..5].iter().map(|(_, seconds)| *seconds).collect();
    assert_eq!(limits, [2, 4, 6, 6, 6]);
    assert!(
        took.iter().all(|(code, _)| *code == "connect_timeout"),
        "{took:?}"
    );
    assert_eq!(network.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_every_try_ends_for_its_own_reason() {
    let network = Network::new(&[
        ("a", &[Does::SwallowsConnect]),
        ("b", &[Does::SaysNothing]),
        ("c", &[Does::GoesSilent]),
    ]);
    let shot = network.one_shot().deadline(Duration::from_millis(900));
    let failure = network.run(shot).await.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome),
        (Stop::Deadline, Outcome::Unknown)
    );
    let mut codes = codes(&failure);
    codes.sort_unstable();
    assert_eq!(codes, ["connect_timeout", "hello_timeout", "lost"]);
    assert_eq!(network.elapsed().as_millis(), 900);
}

#[tokio::test(start_paused = true)]
async fn with_too_little_time_for_a_pass_what_is_under_way_still_counts() {
    let network = Network::new(&[
        ("a", &[Does::Executes.connecting_in(300)]),
        ("b", &[Does::Refuses]),
    ]);
    let shot = network.one_shot().deadline(Duration::from_millis(340));
    assert_eq!(network.run(shot).await.unwrap().url.as_str(), A);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_nothing_new_is_begun() {
    let network = Network::new(&[("a", &[Does::GoesSilent]), ("b", &[Does::Executes])]);
    let shot = network.one_shot().deadline(Duration::from_millis(500));
    let failure = network.run(shot).await.unwrap_err();
    assert_eq!((network.asked().as_str(), failure.attempts.len()), ("a", 1));

    // It greets in the very moment.
    let network = Network::new(&[("a", &[Does::Executes.greeting_in(498)])]);
    let shot = network.one_shot().deadline(Duration::from_millis(500));
    let failure = network.run(shot).await.unwrap_err();
    assert_eq!(failure.outcome, Outcome::NotExecuted);
    assert!(network.arrived().is_empty());
    assert_eq!(failure.attempts[0].server.as_deref(), Some("a"), "it has greeted");
}

fn codes(failure: &Failure) -> Vec<&'static str> {
    failure.attempts.iter().map(|tried| tried.end.code()).collect()
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_every_try() {
    for (last, outcome) in [
        (Does::SaysNothing, Outcome::NotExecuted),
        (Does::GoesSilent, Outcome::Unknown),
    ] {
        let network = Network::new(&[
            ("a", &[Does::SwallowsConnect]),
            ("b", &[Does::SaysNothing]),
            ("c", &[last]),
        ]);
        let mut ended = Vec::new();
        let watch = |event: Event<'_>| {
            if let Event::Ended { server, tried } = event {
                ended.push((server, tried.end.code(), tried.sent));
            }
        };
        let cancelled = tokio::time::sleep(Duration::from_millis(700));
        let failure = network
            .one_shot()
            .execute_until(cancelled, &command(), watch)
            .await
            .unwrap_err();
        let sent = outcome == Outcome::Unknown;
        assert_eq!(
            ended,
            [
                (0, "cancelled", false),
                (1, "cancelled", false),
                (2, "cancelled", sent)
            ]
        );
        assert_eq!(
            (failure.stop, failure.outcome, failure.attempts.len()),
            (Stop::Cancelled, outcome, 3)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_that_greet_as_coordinator_one_gets_the_command() {
    // b is ready at the same moment. The network itself checks that only a has the command.
    let network = Network::new(&[
        ("a", &[refuses().connecting_in(400).answering_in(200)]),
        ("b", &[refuses().connecting_in(150).answering_in(200)]),
        ("c", &[Does::Executes.answering_in(900)]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.url.as_str(), C);
    assert_eq!(network.arrived().len(), 3);
    assert!(executed.attempts.iter().any(|tried| tried.url.as_str() == B));
}
