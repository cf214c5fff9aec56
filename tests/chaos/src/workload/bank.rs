//! Banks: accounts that begin with nothing and may owe, so that the balances of a bank always add
//! up to 0. A transfer is one list of commands, and each account keeps a log of the amounts with
//! their transfers.

use bson::Document;
use rand::Rng;
use rand::rngs::SmallRng;

use super::asked::{ACCOUNTS, Asked, Told, What};
use super::reply;

pub(crate) const COLLECTION: &str = "accounts";

/// Returns the `_id` of an account.
pub(crate) fn account(key: &str, number: usize) -> String {
    format!("{key}/{number}")
}

pub(super) fn draw(rng: &mut SmallRng, key: String, token: String) -> Asked {
    if rng.random_bool(0.3) {
        return Asked::read(key);
    }
    let from = rng.random_range(0..ACCOUNTS);
    let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
    let transfer = What::Transfer {
        from,
        to,
        amount: rng.random_range(1..100),
        look: rng.random_bool(0.5),
    };
    Asked::write(key, token, transfer)
}

pub(super) fn command(asked: &Asked) -> String {
    let (key, token) = (&asked.key, asked.token_text());
    let What::Transfer {
        from,
        to,
        amount,
        look,
    } = asked.what
    else {
        let all: Vec<usize> = (0..ACCOUNTS).collect();
        return find(key, &all);
    };
    let pay = |number, amount: i64| {
        let account = account(key, number);
        format!(
            r#"{{"update":"{COLLECTION}","updates":[{{"q":{{"_id":"{account}"}},"u":{{"$inc":{{"balance":{amount}}},"$push":{{"log":{{"t":"{token}","a":{amount}}}}}}},"upsert":true}}]}}"#
        )
    };
    let (pays, is_paid) = (pay(from, -amount), pay(to, amount));
    let looked = if look {
        format!(",{}", find(key, &[from, to]))
    } else {
        String::new()
    };
    format!(r#"{{"transaction":[{pays},{is_paid}{looked}]}}"#)
}

fn find(key: &str, numbers: &[usize]) -> String {
    let ids: Vec<String> = numbers
        .iter()
        .map(|number| format!("{:?}", account(key, *number)))
        .collect();
    let ids = ids.join(",");
    format!(r#"{{"find":"{COLLECTION}","filter":{{"_id":{{"$in":[{ids}]}}}},"projection":{{"balance":1}}}}"#)
}

pub(super) fn told(asked: &Asked, reply: &Document) -> Option<Told> {
    let balances = |found: &Document, numbers: &[usize]| {
        let found = reply::batch(found)?;
        let balance = |number: &usize| {
            let id = account(&asked.key, *number);
            match found
                .iter()
                .find(|account| account.get_str("_id").is_ok_and(|found| found == id))
            {
                None => Some(0),
                Some(account) => reply::whole(account.get("balance")?),
            }
        };
        numbers
            .iter()
            .map(balance)
            .collect::<Option<_>>()
            .map(Told::Balances)
    };
    let What::Transfer { from, to, look, .. } = asked.what else {
        let all: Vec<usize> = (0..ACCOUNTS).collect();
        return balances(reply, &all);
    };
    let results = reply::documents(reply.get_array("results").ok()?)?;
    let paid = results.len() == 2 + usize::from(look) && results.iter().take(2).all(|one| reply::is_one(one));
    match results.get(2) {
        _ if !paid => None,
        None => Some(Told::Done),
        Some(found) => balances(found, &[from, to]),
    }
}
