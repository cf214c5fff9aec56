//! Counters: each command adds an amount, and notes its token in the same document. Reads see the
//! value of the counter. Clients that send the same command twice also use counters.

use bson::Document;
use rand::Rng;
use rand::rngs::SmallRng;

use super::asked::{Asked, Told, What};
use super::reply;

pub(crate) const COLLECTION: &str = "counters";
/// Collection of the counters whose commands are sent by two clients at once.
pub(crate) const DUPLICATES: &str = "duplicates";

pub(super) fn draw(rng: &mut SmallRng, key: String, token: String) -> Asked {
    if rng.random_bool(0.3) {
        return Asked::read(key);
    }
    let add = What::Add {
        amount: rng.random_range(1..10),
        look: rng.random_bool(0.5),
    };
    Asked::write(key, token, add)
}

/// Draws a command for two clients. Each answer has the value of the counter, so that two
/// executions give different answers.
pub(super) fn draw_duplicate(rng: &mut SmallRng, key: String, token: String) -> Asked {
    let amount = rng.random_range(1..10);
    Asked::write(key, token, What::Add { amount, look: true })
}

pub(super) fn command(collection: &str, asked: &Asked) -> String {
    let (key, token) = (&asked.key, asked.token_text());
    let q = format!(r#"{{"_id":"{key}"}}"#);
    let add =
        |amount| format!(r#"{{"$inc":{{"n":{amount}}},"$push":{{"by":{{"t":"{token}","a":{amount}}}}}}}"#);
    match asked.what {
        What::Add { amount, look: true } => format!(
            r#"{{"findAndModify":"{collection}","query":{q},"update":{},"new":true,"upsert":true,"fields":{{"n":1}}}}"#,
            add(amount)
        ),
        What::Add { amount, .. } => format!(
            r#"{{"update":"{collection}","updates":[{{"q":{q},"u":{},"upsert":true}}]}}"#,
            add(amount)
        ),
        _ => format!(r#"{{"find":"{collection}","filter":{q},"projection":{{"n":1}}}}"#),
    }
}

pub(super) fn told(asked: &Asked, reply: &Document) -> Option<Told> {
    let count = |counter: Option<&Document>| match counter {
        None => Some(Told::Count(0)),
        Some(counter) => reply::whole(counter.get("n")?).map(Told::Count),
    };
    match asked.what {
        What::Add { look: true, .. } => count(Some(reply::found_and_modified(reply)??)),
        What::Add { .. } => reply::is_one(reply).then_some(Told::Done),
        _ => count(reply::batch(reply)?.first().copied()),
    }
}
