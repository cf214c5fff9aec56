//! Lists: each command appends its token. The list itself shows the order of the appends.

use bson::Document;
use rand::Rng;
use rand::rngs::SmallRng;

use super::asked::{Asked, Told, What};
use super::reply;

pub(crate) const COLLECTION: &str = "lists";

pub(super) fn draw(rng: &mut SmallRng, key: String, token: String) -> Asked {
    if rng.random_bool(0.4) {
        Asked::read(key)
    } else {
        Asked::write(key, token, What::Append)
    }
}

pub(super) fn command(asked: &Asked) -> String {
    let (key, token) = (&asked.key, asked.token_text());
    match asked.what {
        What::Append => format!(
            r#"{{"update":"{COLLECTION}","updates":[{{"q":{{"_id":"{key}"}},"u":{{"$push":{{"items":"{token}"}}}},"upsert":true}}]}}"#
        ),
        _ => format!(r#"{{"find":"{COLLECTION}","filter":{{"_id":"{key}"}}}}"#),
    }
}

pub(super) fn told(asked: &Asked, reply: &Document) -> Option<Told> {
    if asked.what == What::Append {
        return reply::is_one(reply).then_some(Told::Done);
    }
    match reply::batch(reply)?.first() {
        None => Some(Told::Items(Vec::new())),
        Some(list) => reply::texts(list.get_array("items").ok()?).map(Told::Items),
    }
}
