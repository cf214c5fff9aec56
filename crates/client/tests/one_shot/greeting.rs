//! Servers that refuse the client itself, before they are sent the command.

use core::time::Duration;

use bellwether_client::{ErrorCode, Outcome, Stop, Token};
use bellwether_protocol::WhatNext;

use crate::network::Network;
use crate::script::Does;
use crate::{A, B};

fn every_code_to_stop_at() -> impl Iterator<Item = ErrorCode> {
    let codes = ErrorCode::ALL.into_iter();
    codes.filter(|code| code.what_next() == WhatNext::GiveUp)
}

#[tokio::test(start_paused = true)]
async fn a_refused_hello_is_about_that_server() {
    for code in ErrorCode::ALL {
        let network = Network::new(&[("a", &[Does::RefusesHello(code)]), ("b", &[Does::Executes])]);
        let executed = network.run(network.one_shot()).await.unwrap();
        assert_eq!(executed.url.as_str(), B, "{code}");
        assert_eq!(network.asked(), "a b");
        let refused = &executed.attempts[0];
        assert_eq!(
            (refused.end.code(), refused.outcome()),
            (code.as_str(), Outcome::NotExecuted)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hello_refused_at_a_look_leaves_the_command_where_it_is() {
    for code in every_code_to_stop_at() {
        let network = Network::new(&[
            ("a", &[Does::Executes.answering_in(2_500)]),
            ("b", &[Does::RefusesHello(code)]),
        ]);
        let executed = network.run(network.one_shot()).await.unwrap();
        assert_eq!(executed.url.as_str(), A, "{code}");
        assert_eq!(network.arrived().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_stops_once_every_server_has_refused_it() {
    for code in every_code_to_stop_at() {
        let refuses: &[Does] = &[Does::RefusesHello(code)];
        let network = Network::new(&[("a", refuses), ("b", refuses)]);
        let failure = network.run(network.one_shot()).await.unwrap_err();
        assert_eq!((failure.stop, failure.passes), (Stop::NoUse, 1), "{code}");
        assert_eq!(
            (failure.outcome, failure.code()),
            (Outcome::NotExecuted, code.as_str())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_only_busy_is_greeted_again() {
    let again = [Does::RefusesHello(ErrorCode::Draining), Does::Executes];
    let network = Network::new(&[("a", &again), ("b", &[Does::RefusesHello(ErrorCode::BadFrame)])]);
    let executed = network.run(network.one_shot()).await.unwrap();
    assert_eq!(executed.url.as_str(), A);
    assert!(
        network.elapsed() < Duration::from_secs(1),
        "{:?}",
        network.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_is_sent_to_no_other_machine_without_tls() {
    let network = Network::new(&[("a", &[Does::Executes]), ("b", &[Does::Executes])]);
    let token = Token::new("a secret").unwrap();
    let failure = network.run(network.one_shot().token(token)).await.unwrap_err();
    assert_eq!((failure.stop, failure.code()), (Stop::NoUse, "not_proven"));
    assert!(failure.to_string().contains("wss://"), "{failure}");
    assert!(!format!("{failure:?}").contains("a secret"), "{failure:?}");
    assert!(network.arrived().is_empty());
}
