//! The details of MongoDB's errors for programs, in the form in which the server sends them to
//! clients.

use bellwether_protocol::{MongoError, MongoErrorDetails, RawJson};
use bson::{Document, doc};

use crate::command::canonical;

/// Largest detail, in bytes of Extended JSON. A larger one is left out.
const MAX_DETAIL: usize = 16 * 1024;

/// Returns the details for programs in this document, which is an error or a reply.
pub(super) fn details_in(error: &Document) -> Option<Box<MongoErrorDetails>> {
    let detail = |field| {
        let json = canonical(error.get_document(field).ok()?.clone()).ok()?;
        (json.as_str().len() <= MAX_DETAIL).then_some(json)
    };
    let mut details = MongoErrorDetails::default();
    details.err_info = detail("errInfo");
    details.key_pattern = detail("keyPattern");
    details.key_value = detail("keyValue");
    (details != MongoErrorDetails::default()).then(|| Box::new(details))
}

/// Adds the `writeErrors` of MongoDB's reply if this is the error of one statement. A command ends
/// at its first such error, so there is one entry. It is written from the parts of the error, which
/// were cleaned. Its `index` counts the statements of the client's own command, even if the server
/// sent several commands to MongoDB as one.
pub(super) fn with_write_errors(mut error: MongoError) -> MongoError {
    if let Some(write_errors) = write_errors(&error) {
        error.details.get_or_insert_default().write_errors = Some(write_errors);
    }
    error
}

fn write_errors(error: &MongoError) -> Option<RawJson> {
    let head = doc! { "index": error.index?, "code": error.code, "errmsg": &error.message };
    let head = canonical(head).ok()?;
    let mut json = format!("[{}", head.as_str().strip_suffix('}')?);
    let details = error.details.clone().unwrap_or_default();
    for (field, value) in [
        ("errInfo", details.err_info),
        ("keyPattern", details.key_pattern),
        ("keyValue", details.key_value),
    ] {
        if let Some(value) = value {
            json.push_str(&format!(",\"{field}\":{value}"));
        }
    }
    json.push_str("}]");
    Some(RawJson::from_trusted(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_left_out() {
        let long = "ä".repeat(100_000);
        let details = details_in(&doc! { "keyValue": { "a": long }, "errInfo": { "a": 1 } }).unwrap();
        assert!(details.key_value.is_none() && details.err_info.is_some());
    }

    #[test]
    fn a_write_error_has_the_parts_of_its_error() {
        let mut error = MongoError::new(11000, "DuplicateKey", "E11000 \"x\"");
        assert_eq!(write_errors(&error), None);
        error.index = Some(3);
        error.details = details_in(&doc! { "keyValue": { "b": 1, "a": "x" }, "lsid": { "id": 1 } });
        let expected = concat!(
            r#"[{"index":{"$numberInt":"3"},"code":{"$numberInt":"11000"},"errmsg":"E11000 \"x\"","#,
            r#""keyValue":{"b":{"$numberInt":"1"},"a":"x"}}]"#
        );
        assert_eq!(write_errors(&error).unwrap().as_str(), expected);
        // A reply that is not JSON would not reach the client.
        assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
    }
}
