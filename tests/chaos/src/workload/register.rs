//! Registers: documents with one value, which is read, written, and compared and set.

use bson::Document;
use rand::Rng;
use rand::rngs::SmallRng;

use super::asked::{Asked, Told, What};
use super::reply;

pub(crate) const COLLECTION: &str = "registers";

/// Draws the next command. `seen` is the newest value that the client knows of.
pub(super) fn draw(rng: &mut SmallRng, key: String, token: String, seen: Option<&str>) -> Asked {
    match (rng.random_range(0..10), seen) {
        (0..4, _) => Asked::read(key),
        (4..7, Some(seen)) => Asked::write(
            key,
            token,
            What::CompareAndSet {
                expected: seen.into(),
            },
        ),
        _ => Asked::write(key, token, What::Write),
    }
}

pub(super) fn command(asked: &Asked) -> String {
    let (key, token) = (&asked.key, asked.token_text());
    match &asked.what {
        // It matches any value, and answers with the value before. So the answer of a failed one
        // names the value that it met.
        What::CompareAndSet { expected } => format!(
            r#"{{"findAndModify":"{COLLECTION}","query":{{"_id":"{key}"}},"update":[{{"$set":{{"v":{{"$cond":[{{"$eq":["$v","{expected}"]}},"{token}","$v"]}}}}}}],"fields":{{"v":1}}}}"#
        ),
        What::Write => format!(
            r#"{{"update":"{COLLECTION}","updates":[{{"q":{{"_id":"{key}"}},"u":{{"$set":{{"v":"{token}"}}}},"upsert":true}}]}}"#
        ),
        _ => format!(r#"{{"find":"{COLLECTION}","filter":{{"_id":"{key}"}}}}"#),
    }
}

pub(super) fn told(asked: &Asked, reply: &Document) -> Option<Told> {
    let value = |document: Option<&Document>| match document {
        None => Some(Told::Value(None)),
        Some(document) => Some(Told::Value(Some(document.get_str("v").ok()?.to_owned()))),
    };
    match asked.what {
        What::Write => reply::is_one(reply).then_some(Told::Done),
        What::CompareAndSet { .. } => value(reply::found_and_modified(reply)?),
        _ => value(reply::batch(reply)?.first().copied()),
    }
}
