//! Sets: each command inserts a document with its token. MongoDB gives the documents their `_id`,
//! so a command that was executed twice leaves two.

use bson::Document;
use rand::Rng;
use rand::rngs::SmallRng;

use super::asked::{Asked, Told, What};
use super::reply;

pub(crate) const COLLECTION: &str = "sets";

pub(super) fn draw(rng: &mut SmallRng, key: String, token: String) -> Asked {
    if rng.random_bool(0.3) {
        Asked::read(key)
    } else {
        Asked::write(key, token, What::Insert)
    }
}

pub(super) fn command(asked: &Asked) -> String {
    let (key, token) = (&asked.key, asked.token_text());
    match asked.what {
        What::Insert => {
            format!(r#"{{"insert":"{COLLECTION}","documents":[{{"set":"{key}","item":"{token}"}}]}}"#)
        }
        _ => format!(
            r#"{{"find":"{COLLECTION}","filter":{{"set":"{key}"}},"projection":{{"_id":0,"item":1}}}}"#
        ),
    }
}

pub(super) fn told(asked: &Asked, reply: &Document) -> Option<Told> {
    if asked.what == What::Insert {
        return reply::is_one(reply).then_some(Told::Done);
    }
    let items = reply::batch(reply)?
        .into_iter()
        .map(|document| Some(document.get_str("item").ok()?.to_owned()));
    items.collect::<Option<_>>().map(Told::Items)
}
