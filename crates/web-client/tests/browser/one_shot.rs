//! The whole client on this platform: commands, the events about them, and their cancellation.

use core::cell::RefCell;
use core::future::{pending, poll_fn};
use core::task::Poll;

use bellwether_client::{Event, OneShot, Outcome, ServerList, ServerUrl};
use bellwether_web_client::Browser;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{deaf, server};

const COMMAND: &str = r#"{"find":"notes","filter":{"10":1,"2":9007199254740993}}"#;

fn client(servers: &[ServerUrl]) -> OneShot<Browser> {
    let servers: Vec<&str> = servers.iter().map(ServerUrl::as_str).collect();
    let servers: ServerList = servers.join(",").parse().unwrap();
    OneShot::new(Browser, servers)
}

fn name(event: &Event<'_>) -> String {
    match event {
        Event::Pass { pass } => format!("pass {pass}"),
        Event::Trying { server, .. } => format!("trying {server}"),
        Event::Connected { server } => format!("connected {server}"),
        Event::Greeted { server, hello } => format!("greeted {server} {}", hello.role.as_str()),
        Event::Sent { server, .. } => format!("sent {server}"),
        Event::Ended { server, tried } => format!("ended {server} {}", tried.end.code()),
        other => format!("{other:?}"),
    }
}

#[wasm_bindgen_test]
async fn a_command_is_passed_on_until_it_executes() {
    let mut events = Vec::new();
    let command = COMMAND.parse().unwrap();
    let executed = client(&[server("/follower"), server("/coordinator")])
        .execute_until(pending(), &command, |event| events.push(name(&event)))
        .await
        .unwrap();
    // The server answers with the command, as it has got it.
    assert_eq!(executed.result.as_str(), COMMAND);
    assert_eq!(executed.url, server("/coordinator"));
    assert_eq!(events.remove(0), "pass 1");
    let (follower, coordinator): (Vec<String>, Vec<String>) =
        events.into_iter().partition(|event| event.contains(" 0"));
    assert_eq!(
        follower,
        [
            "trying 0",
            "connected 0",
            "greeted 0 follower",
            "ended 0 not_coordinator"
        ]
    );
    assert_eq!(
        coordinator,
        [
            "trying 1",
            "connected 1",
            "greeted 1 coordinator",
            "sent 1",
            "ended 1 executed"
        ]
    );
}

#[wasm_bindgen_test]
async fn given_up_before_it_was_sent_it_was_not_executed() {
    let command = COMMAND.parse().unwrap();
    let failure = client(&[deaf()])
        .execute_until(async {}, &command, |_| {})
        .await
        .unwrap_err();
    assert_eq!(
        (failure.outcome, failure.code()),
        (Outcome::NotExecuted, "cancelled")
    );
}

#[wasm_bindgen_test]
async fn given_up_after_it_was_sent_its_outcome_is_unknown() {
    let command = r#"{"insert":"notes","documents":[{}]}"#.parse().unwrap();
    let sent = RefCell::new(None);
    // No task has to wake it: the client looks at it whenever it goes on, and it does so when it
    // has sent.
    let cancelled = poll_fn(|_| {
        if sent.borrow().is_some() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let failure = client(&[server("/mute")])
        .execute_until(cancelled, &command, |event| {
            if let Event::Sent { id, .. } = event {
                *sent.borrow_mut() = Some(id);
            }
        })
        .await
        .unwrap_err();
    assert_eq!((failure.outcome, failure.code()), (Outcome::Unknown, "cancelled"));
    assert_eq!(failure.id, *sent.borrow());
}
