//! Properties of every text, frame or not. The fuzz targets check them with the fuzzer's input, and
//! a test checks them with the corpus: see `fuzz/README.md` in the repository. This module is no
//! part of the interface.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::json::only_object;
use crate::{ClientFrame, ErrorCode, ErrorFrame, Hello, Outcome, ServerFrame, Status};

/// Longest error, in bytes. An error may quote the text, but must stay short, because it goes back
/// to the sender of the text.
const LONGEST_ERROR: usize = 1300;

/// Reads `data` as a server reads a client's frame.
///
/// # Panics
/// If a property does not hold.
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

/// Checks that the server reads a client's own name unchanged, for any name.
fn says_any_text(text: &str) {
    let hello = Hello::new(text, Some(text.to_owned()));
    #[cfg(feature = "tokens")]
    let hello = match crate::Token::new(text) {
        Some(token) => hello.with_token(token),
        None => hello,
    };
    match ClientFrame::parse(&ClientFrame::Hello(hello.clone()).to_json()) {
        Ok(ClientFrame::Hello(read)) => assert_eq!(read, hello),
        other => panic!("{other:?}: {text:?}"),
    }
}

/// Reads `data` as a client reads a server's frame, and as the answer to `GET /status`.
///
/// # Panics
/// If a property does not hold.
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

/// Checks that the client reads a server's error unchanged, for any text.
fn hears_any_text(text: &str) {
    let error = ErrorFrame::new(ErrorCode::Mongo, Outcome::Unknown, text).with_hint(text);
    match ServerFrame::parse(&ServerFrame::Error(error.clone()).to_json()) {
        Ok(ServerFrame::Error(read)) => assert_eq!(read, error),
        other => panic!("{other:?}: {text:?}"),
    }
}

/// Checks that the client's own small JSON accepts the same objects as serde_json. One difference
/// is permitted. serde_json reads some values strictly and skips others: control characters in
/// strings, invalid Unicode, deep nesting.
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
