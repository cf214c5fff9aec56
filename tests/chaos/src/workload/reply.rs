//! Readers of MongoDB's replies.

use bson::{Array, Bson, Document};

/// Returns `true` if the reply says that one document was written.
pub(super) fn is_one(reply: &Document) -> bool {
    let done = reply.get("ok").and_then(Bson::as_f64) == Some(1.0);
    done && reply.get("n").and_then(whole) == Some(1) && !reply.contains_key("writeErrors")
}

/// Returns the documents found by `find`.
pub(super) fn batch(reply: &Document) -> Option<Vec<&Document>> {
    documents(reply.get_document("cursor").ok()?.get_array("firstBatch").ok()?)
}

/// Returns the result of `findAndModify`: there may be no document.
pub(super) fn found_and_modified(reply: &Document) -> Option<Option<&Document>> {
    match reply.get("value")? {
        Bson::Null => Some(None),
        value => Some(Some(value.as_document()?)),
    }
}

/// Returns the documents of an array that has nothing else.
pub(super) fn documents(array: &Array) -> Option<Vec<&Document>> {
    array.iter().map(Bson::as_document).collect()
}

/// Returns the texts of an array that has nothing else.
pub(super) fn texts(array: &Array) -> Option<Vec<String>> {
    array
        .iter()
        .map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// Returns a whole number of either size.
pub(crate) fn whole(number: &Bson) -> Option<i64> {
    number.as_i64().or_else(|| number.as_i32().map(i64::from))
}
