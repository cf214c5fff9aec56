//! Limits for the texts in an error.

use bellwether_protocol::{ErrorFrame, RawJson};

/// Length limit of a text in an error, in bytes. MongoDB quotes whole values in its messages, and
/// the server quotes invalid frames. A client must be able to receive every error: docs/protocol.md
/// names a size.
const MAX_TEXT: usize = 16 * 1024;

/// Length limit of `writeErrors` in an error, in bytes of JSON: a message and three details. Longer
/// ones are left out.
const MAX_WRITE_ERRORS: usize = 6 * MAX_TEXT;

/// Shortens each text of an error that is longer than the limit.
pub(super) fn bounded(mut error: ErrorFrame) -> ErrorFrame {
    shorten(&mut error.message);
    if let Some(hint) = &mut error.hint {
        shorten(hint);
    }
    if let Some(mongo) = &mut error.mongo {
        shorten(&mut mongo.message);
        if let Some(details) = &mut mongo.details {
            // The list repeats the message, as JSON.
            let bounded = |errors: &RawJson| errors.as_str().len() <= MAX_WRITE_ERRORS;
            details.write_errors = details.write_errors.take().filter(bounded);
        }
    }
    error
}

fn shorten(text: &mut String) {
    let whole = text.len();
    if whole <= MAX_TEXT {
        return;
    }
    let mut end = MAX_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(&format!("… (the first {end} of {whole} bytes)"));
}

#[cfg(test)]
mod tests {
    use bellwether_protocol::{ErrorCode, Outcome};

    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let long = format!("a{}", "ä".repeat(MAX_TEXT));
        let error = ErrorFrame::new(ErrorCode::Mongo, Outcome::NotExecuted, long.clone()).with_hint(long);
        let error = bounded(error);
        let end = format!("ä… (the first {} of {} bytes)", MAX_TEXT - 1, 2 * MAX_TEXT + 1);
        assert!(
            error.message.ends_with(&end),
            "{}",
            &error.message[MAX_TEXT - 9..]
        );
        assert_eq!(error.hint, Some(error.message));
    }

    #[test]
    fn a_text_that_is_long_enough_stays_as_it_is() {
        let text = "x".repeat(MAX_TEXT);
        let error = bounded(ErrorFrame::new(
            ErrorCode::Mongo,
            Outcome::NotExecuted,
            text.clone(),
        ));
        assert_eq!(error.message, text);
    }
}
