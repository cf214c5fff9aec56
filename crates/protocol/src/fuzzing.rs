//! What holds of every text, frame or not. The fuzz targets call it with whatever the fuzzer makes up, and a test with
//! the corpus: see `fuzz/README.md` in the repository. No part of the interface.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::json::only_object;
use crate::{ClientFrame, ErrorCode, ErrorFrame, Hello, Outcome, ServerFrame, Status};

/// An error quotes what it is about, but not at any length: it goes back to whoever sent the text.
const LONGEST_ERROR: usize = 1300;

/// A server reads this from a client.
///
/// # Panics
/// If something does not hold.
pub fn client_frame(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    says_any_text(text);
    let frame = match ClientFrame::parse(text) {
        Ok(frame) => frame,
        Err(error) => return is_short(&error.text()),
    };
    let written = frame.to_json();
    match ClientFrame::parse(&written) {
        Ok(again) => assert_eq!(format!("{again:?}"), format!("{frame:?}"), "{written}"),
        Err(error) => panic!("{error}: {written}"),
    }
    if let ClientFrame::Command(command) = frame {
        assert!(
            text.contains(command.command.as_str()),
            "a command's text stays as it was"
        );
    }
}

/// Whatever a program calls itself, the server reads what was meant.
fn says_any_text(text: &str) {
    let hello = Hello {
        client: text.to_owned(),
        cluster: Some(text.to_owned()),
    };
    match ClientFrame::parse(&ClientFrame::Hello(hello.clone()).to_json()) {
        Ok(ClientFrame::Hello(read)) => assert_eq!(read, hello),
        other => panic!("{other:?}: {text:?}"),
    }
}

/// A client reads this from a server: a frame, or the answer to `GET /status`.
///
/// # Panics
/// If something does not hold.
pub fn server_frame(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    one_object(text);
    hears_any_text(text);
    status(text);
    let frame = match ServerFrame::parse(text) {
        Ok(frame) => frame,
        Err(error) => return is_short(&error.text()),
    };
    let written = frame.to_json();
    assert!(is_json(&written), "{written}");
    match ServerFrame::parse(&written) {
        Ok(again) => assert_eq!(format!("{again:?}"), format!("{frame:?}"), "{written}"),
        Err(error) => panic!("{error}: {written}"),
    }
}

/// Whatever a server says, the client reads what was meant.
fn hears_any_text(text: &str) {
    let error = ErrorFrame::new(ErrorCode::Mongo, Outcome::Unknown, text).with_hint(text);
    match ServerFrame::parse(&ServerFrame::Error(error.clone()).to_json()) {
        Ok(ServerFrame::Error(read)) => assert_eq!(read, error),
        other => panic!("{other:?}: {text:?}"),
    }
}

/// The client's own small JSON takes for an object what serde_json does. Between what serde_json reads and what it only
/// passes over there is a difference: control characters in strings, strings that are no Unicode, deep nesting.
fn one_object(text: &str) {
    match only_object(text) {
        Ok(object) => assert!(text.contains(object) && is_json(text), "{text}"),
        Err(error) => {
            assert!(
                serde_json::from_str::<Map<String, Value>>(text).is_err(),
                "{error}: {text}"
            );
            assert!(text.is_char_boundary(error.at), "{error}: {text}");
        }
    }
}

fn status(text: &str) {
    let Ok(status) = serde_json::from_str::<Status>(text) else {
        return;
    };
    let again = serde_json::to_string(&status).and_then(|text| serde_json::from_str::<Status>(&text));
    assert_eq!(again.ok(), Some(status));
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn is_short(error: &str) {
    assert!(error.len() <= LONGEST_ERROR, "{} bytes: {error}", error.len());
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::corpus;

    #[test]
    fn what_clients_send() {
        corpus("client_frame", super::client_frame);
    }

    #[test]
    fn what_servers_send() {
        corpus("server_frame", super::server_frame);
    }
}
