//! Connections: their messages, their ends, and that nothing is left of them.

use core::pin::pin;
use core::time::Duration;

use bellwether_client::{Closed, ConnectError, Connection, Platform, ServerUrl};
use bellwether_web_client::{Browser, BrowserConnection};
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{deaf, nobody, server};

async fn connect(path: &str) -> BrowserConnection {
    Browser.connect(&server(path)).await.unwrap()
}

async fn refusal(url: &ServerUrl) -> ConnectError {
    match Browser.connect(url).await {
        Ok(_) => panic!("{url} accepted"),
        Err(error) => error,
    }
}

fn closed(code: impl Into<Option<u16>>, reason: &str) -> Closed {
    Closed {
        code: code.into(),
        reason: reason.into(),
    }
}

#[wasm_bindgen_test]
async fn text_arrives_unchanged() {
    let mut connection = connect("/echo").await;
    let long = "ü€😀\u{0}".repeat(100_000);
    for text in ["", "hi", r#"{"10":1,"2":9007199254740993}"#, &long] {
        connection.send(text.into()).await.unwrap();
        assert_eq!(connection.recv().await.unwrap(), text);
    }
}

#[wasm_bindgen_test]
async fn messages_arrive_in_order_and_before_the_end() {
    let mut connection = connect("/burst").await;
    for number in 0..100 {
        assert_eq!(connection.recv().await.unwrap(), number.to_string());
    }
    assert_eq!(connection.recv().await, Err(closed(1000, "that was all")));
}

#[wasm_bindgen_test]
async fn nothing_is_lost_when_waiting_is_given_up() {
    let mut connection = connect("/echo").await;
    connection.send("late".into()).await.unwrap();
    for _ in 0..10 {
        assert!(connection.recv().now_or_never().is_none());
    }
    assert_eq!(connection.recv().await.unwrap(), "late");
}

#[wasm_bindgen_test]
async fn bytes_are_passed_over() {
    let mut connection = connect("/bytes").await;
    connection.send("text".into()).await.unwrap();
    assert_eq!(connection.recv().await.unwrap(), "text");
}

#[wasm_bindgen_test]
async fn a_close_frame_says_why() {
    let mut connection = connect("/closing").await;
    assert_eq!(connection.recv().await, Err(closed(1013, "no room")));

    let mut connection = connect("/goodbye").await;
    connection.send("hi".into()).await.unwrap();
    assert_eq!(connection.recv().await, Err(closed(1012, "restarting")));
}

#[wasm_bindgen_test]
async fn the_end_is_told_as_often_as_somebody_waits_for_it() {
    let mut connection = connect("/closing").await;
    for _ in 0..3 {
        assert_eq!(connection.recv().await, Err(closed(1013, "no room")));
    }
}

#[wasm_bindgen_test]
async fn a_broken_connection_has_no_code() {
    let mut connection = connect("/broken").await;
    connection.send("hi".into()).await.unwrap();
    let ended = connection.recv().await.unwrap_err();
    assert_eq!(ended.code, None, "{ended:?}");
}

#[wasm_bindgen_test]
async fn what_is_sent_after_the_end_is_dropped_and_the_reason_is_kept() {
    let mut connection = connect("/closing").await;
    // The browser learns of the end some time after it happened. It takes everything before, and
    // drops it after.
    for _ in 0..20 {
        connection.send("too late".into()).await.unwrap();
        Browser.sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(connection.recv().await, Err(closed(1013, "no room")));
}

#[wasm_bindgen_test]
async fn what_cannot_be_reached_is_unreachable() {
    for url in [nobody(), server("/forbidden"), server("/selects-nothing")] {
        let error = refusal(&url).await;
        assert!(matches!(error, ConnectError::Unreachable(_)), "{url}: {error:?}");
    }
}

/// Waits until the server has seen this of connections. If it never does, the time limit of the
/// test runner ends the tests.
async fn seen(expected: &str) {
    let mut watch = connect("/watch").await;
    loop {
        watch.send("?".into()).await.unwrap();
        if watch.recv().await.unwrap().starts_with(expected) {
            return;
        }
        Browser.sleep(Duration::from_millis(10)).await;
    }
}

#[wasm_bindgen_test]
async fn saying_goodbye_closes_with_1000() {
    let connection = connect("/watched").await;
    seen("1 open").await;
    connection.close().await;
    seen("0 open, closed with 1000").await;
}

#[wasm_bindgen_test]
async fn a_dropped_connection_is_closed() {
    let connection = connect("/watched").await;
    seen("1 open").await;
    drop(connection);
    seen("0 open").await;
}

#[wasm_bindgen_test]
async fn connecting_that_is_given_up_leaves_nothing() {
    let deaf = deaf();
    let connecting = Box::pin(Browser.connect(&deaf));
    let Either::Right(((), connecting)) = select(connecting, pin!(seen("1 open"))).await else {
        panic!("the deaf server has answered");
    };
    drop(connecting);
    seen("0 open").await;
}
