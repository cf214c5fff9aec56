//! The checks of `create` and `createIndexes` beyond the names of their options.

use bson::{Bson, Document};

use super::allowed_commands::{check_collection, check_option};
use super::refusal::{Refusal, bad_command};

/// The key of an index and its options. A `storageEngine` is for MongoDB's operator.
pub(super) const INDEX: [&str; 17] = [
    "key",
    "name",
    "unique",
    "sparse",
    "hidden",
    "collation",
    "expireAfterSeconds",
    "partialFilterExpression",
    "wildcardProjection",
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "2dsphereIndexVersion",
    "bits",
    "min",
    "max",
];

/// Checks that a view is on a collection of the same database that clients may read.
pub(super) fn check_create(body: &Document) -> Result<(), Refusal> {
    match body.get("viewOn") {
        None => Ok(()),
        Some(Bson::String(source)) => check_collection(source),
        Some(_) => Err(bad_command("it must name a collection")
            .with_hint(r#"write {"create": "view", "viewOn": "notes", "pipeline": […]}"#)),
    }
    .map_err(|refusal| refusal.inside("viewOn"))
}

pub(super) fn check_indexes(body: &Document) -> Result<(), Refusal> {
    let Some(Bson::Array(indexes)) = body.get("indexes") else {
        return Err(bad_command("it must be a list of indexes")
            .with_hint(r#"write {"createIndexes": "notes", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#)
            .inside("indexes"));
    };
    for (number, index) in indexes.iter().enumerate() {
        // MongoDB refuses an index that is not a document.
        let options = index.as_document().into_iter().flat_map(Document::keys);
        for option in options {
            check_option("an index", &INDEX, &[], option)
                .map_err(|refusal| refusal.inside_item(number).inside("indexes"))?;
        }
    }
    Ok(())
}
