//! A coordinator without room says when it has some, and the client does as it says.

use core::time::Duration;

use bellwether_client::{ErrorCode, Event, Executed, Failure, Outcome, Stop};

use crate::network::{Network, command};
use crate::script::Does;
use crate::{A, B};

/// The end of an attempt over this network, and its pauses.
async fn pauses(network: &Network) -> (Result<Executed, Failure>, Vec<Duration>) {
    let mut pauses = Vec::new();
    let watch = |event: Event<'_>| {
        if let Event::Pausing { pause } = event {
            pauses.push(pause);
        }
    };
    let ended = network.one_shot().execute(&command(), watch).await;
    (ended, pauses)
}

#[tokio::test(start_paused = true)]
async fn the_client_comes_back_at_the_time_it_was_told_and_nowhere_else() {
    let follows: &[Does] = &[Does::Follows(Some(B))];
    let busy = [
        Does::IsOverloaded(2_000),
        Does::IsOverloaded(340),
        Does::IsOverloaded(1_000),
        Does::Executes,
    ];
    for seed in 1..20 {
        let network = Network::new(&[("a", follows), ("b", &busy), ("c", follows)]).seeded(seed);
        let (ended, pauses) = pauses(&network).await;
        assert_eq!(ended.unwrap().url.as_str(), B);
        assert_eq!(
            network.asked(),
            "a b",
            "the others are left alone, and the connection is kept"
        );
        assert_eq!(pauses, [2_000, 340, 1_000].map(Duration::from_millis));
        let arrived = network.arrived();
        assert!(arrived.iter().all(|(_, id, _)| *id == arrived[0].1), "one id");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_is_not_told_is_that_of_any_pass() {
    let full = Does::Fails(ErrorCode::Overloaded, Outcome::NotExecuted);
    let network = Network::new(&[("a", &[full.clone(), full, Does::Executes])]);
    let (ended, pauses) = pauses(&network).await;
    assert!(ended.is_ok());
    assert!(pauses[0] <= Duration::from_millis(20), "{pauses:?}");
    assert!(pauses[1] <= Duration::from_millis(40), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_names_no_time_at_all_is_not_hurried() {
    let network = Network::new(&[("a", &[Does::IsOverloaded(0), Does::Executes])]);
    let (ended, pauses) = pauses(&network).await;
    assert!(ended.is_ok());
    assert!(pauses[0] >= Duration::from_millis(10), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_is_an_estimate_and_the_rest_of_the_budget_is_used() {
    for told in [9_000, 3_600_000, u64::MAX] {
        let network = Network::new(&[("a", &[Does::IsOverloaded(told), Does::Executes])]);
        let (ended, _) = pauses(&network).await;
        assert!(ended.is_ok(), "{told}");
        let half = Duration::from_millis(4_500);
        assert!(network.elapsed() < half + Duration::from_millis(100));
    }
    let network = Network::new(&[("a", &[Does::IsOverloaded(u64::MAX)])]);
    let (ended, _) = pauses(&network).await;
    let failure = ended.unwrap_err();
    assert_eq!(
        (failure.stop, failure.outcome),
        (Stop::Deadline, Outcome::NotExecuted)
    );
}

#[tokio::test(start_paused = true)]
async fn another_coordinator_is_found_after_the_pause() {
    let network = Network::new(&[
        ("a", &[Does::Follows(Some(B)), Does::Executes.in_epoch(8)]),
        ("b", &[Does::IsOverloaded(500), Does::Follows(Some(A))]),
    ]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
    assert_eq!(network.asked(), "a b a");
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_room_is_asked_for_again() {
    let without_room = Does::Fails(ErrorCode::Overloaded, Outcome::Executed);
    let network = Network::new(&[("a", &[without_room.clone(), Does::Executes])]);
    assert!(network.run(network.one_shot()).await.is_ok());

    let network = Network::new(&[("a", &[without_room, Does::GoesSilent])]);
    let failure = network.run(network.one_shot()).await.unwrap_err();
    assert_eq!(failure.outcome, Outcome::Executed);
}

#[tokio::test(start_paused = true)]
async fn the_command_is_back_before_its_place_is_gone() {
    // The server keeps the place for 250 ms. A new connection takes 300 ms.
    let far = |does: Does| does.connecting_in(150).greeting_in(150);
    let busy = [far(Does::IsOverloaded(500)), far(Does::Executes)];
    for pings in [false, true] {
        let network = Network::new(&[("a", &busy)]);
        let network = if pings { network.with_pings() } else { network };
        let mut sent = Vec::new();
        let mut refused = Duration::ZERO;
        let watch = |event: Event<'_>| match event {
            Event::Sent { .. } => sent.push(network.elapsed()),
            Event::Ended { .. } if refused.is_zero() => refused = network.elapsed(),
            _ => {}
        };
        let executed = network.one_shot().execute(&command(), watch).await.unwrap();
        assert_eq!(
            sent[1] - refused,
            Duration::from_millis(500),
            "neither early nor late"
        );
        assert_eq!(executed.attempts.last().unwrap().server.as_deref(), Some("a"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_in_the_pause_is_opened_again() {
    let network = Network::new(&[("a", &[Does::IsOverloaded(500).closing_after(100), Does::Executes])]);
    let (ended, _) = pauses(&network).await;
    let executed = ended.unwrap();
    assert_eq!(network.asked(), "a a");
    assert_eq!(
        network.arrived().len(),
        2,
        "nothing was sent on the closed connection"
    );
    assert_eq!(executed.attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_in_the_pause_is_found_out() {
    let network = Network::new(&[("a", &[Does::IsOverloaded(500), Does::CutsOff, Does::Executes])]);
    let network = network.with_pings();
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
    assert_eq!(network.asked(), "a a");
}
