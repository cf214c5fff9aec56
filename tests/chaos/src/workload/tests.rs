use std::collections::HashMap;

use rand::SeedableRng;

use super::*;
use crate::history::Workload::{Append, BadNeighbours, Bank, Counter, Duplicates, Register, Set};

#[test]
fn commands_are_commands_and_what_was_asked_survives_the_disk() {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut kinds: HashMap<Workload, std::collections::HashSet<String>> = HashMap::new();
    for n in 0..200 {
        for workload in [Register, Append, Set, Bank, Counter, Duplicates, BadNeighbours] {
            let asked = draw(workload, &mut rng, "k0.1".into(), format!("7-{n}"), Some("3-9"));
            let text = command(workload, &asked);
            assert!(text.parse::<bellwether_client::CommandText>().is_ok(), "{text}");
            let reads = asked.what == What::Read || workload == BadNeighbours;
            assert!(asked.token.is_some() || reads);
            let again: Asked = serde_json::from_value(serde_json::to_value(&asked).unwrap()).unwrap();
            assert_eq!(again, asked);
            let kind = text.split('"').nth(1).unwrap().to_owned();
            kinds.entry(workload).or_default().insert(kind);
        }
    }
    assert_eq!(kinds[&Register].len(), 3, "find, update, findAndModify");
    assert_eq!(kinds[&Bank].len(), 2, "find, transaction");
}

#[test]
fn no_command_of_a_bad_neighbour_is_taken_for_another_one() {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut texts = std::collections::HashSet::new();
    for n in 0..500 {
        let asked = draw(BadNeighbours, &mut rng, "n0.1".into(), format!("7-{n}"), None);
        assert!(texts.insert(command(BadNeighbours, &asked)), "{asked:?}");
    }
}

#[test]
fn replies_are_read() {
    let find = |documents: &str| {
        format!(
            r#"{{"cursor":{{"firstBatch":[{documents}],"id":{{"$numberLong":"0"}},"ns":"app.x"}},"ok":{{"$numberDouble":"1.0"}}}}"#
        )
    };
    let one = r#"{"n":{"$numberInt":"1"},"nModified":{"$numberInt":"1"},"ok":{"$numberDouble":"1.0"}}"#;
    let none = one.replacen('1', "0", 1);
    let read = Asked::read("k");
    let write = Asked::write("k", "1-1", What::Write);
    let value = |value: &str| Told::Value(Some(value.into()));
    assert_eq!(told(Register, &write, one), Told::Done);
    assert!(matches!(told(Register, &write, &none), Told::Nonsense(_)));
    assert_eq!(told(Register, &read, &find("")), Told::Value(None));
    assert_eq!(
        told(Register, &read, &find(r#"{"_id":"k","v":"1-1"}"#)),
        value("1-1")
    );
    let swap = What::CompareAndSet {
        expected: "1-1".into(),
    };
    let swap = Asked::write("k", "1-2", swap);
    let reply = r#"{"lastErrorObject":{"n":{"$numberInt":"1"}},"value":{"_id":"k","v":"0-9"},"ok":{"$numberDouble":"1.0"}}"#;
    assert_eq!(told(Register, &swap, reply), value("0-9"));
    let items = |items: &[&str]| Told::Items(items.iter().map(ToString::to_string).collect());
    assert_eq!(
        told(Append, &read, &find(r#"{"_id":"k","items":["a","b"]}"#)),
        items(&["a", "b"])
    );
    assert_eq!(told(Append, &read, &find("")), items(&[]));
    assert_eq!(
        told(Set, &read, &find(r#"{"item":"b"},{"item":"b"}"#)),
        items(&["b", "b"])
    );
    let account = |number: usize, balance: &str| {
        format!(r#"{{"_id":"k/{number}","balance":{{"$numberInt":"{balance}"}}}}"#)
    };
    let accounts = find(&format!("{},{}", account(3, "-5"), account(0, "5")));
    assert_eq!(told(Bank, &read, &accounts), Told::Balances(vec![5, 0, 0, -5, 0]));
    let transfer = |look| {
        Asked::write(
            "k",
            "1-3",
            What::Transfer {
                from: 3,
                to: 0,
                amount: 5,
                look,
            },
        )
    };
    let looked = format!(r#"{{"results":[{one},{one},{accounts}],"ok":{{"$numberDouble":"1.0"}}}}"#);
    assert_eq!(told(Bank, &transfer(true), &looked), Told::Balances(vec![-5, 5]));
    assert!(matches!(told(Bank, &transfer(false), &looked), Told::Nonsense(_)));
    let halved = format!(r#"{{"results":[{one},{none}],"ok":{{"$numberDouble":"1.0"}}}}"#);
    assert!(matches!(told(Bank, &transfer(false), &halved), Told::Nonsense(_)));
    let add = Asked::write(
        "k",
        "1-4",
        What::Add {
            amount: 2,
            look: true,
        },
    );
    let reply = r#"{"value":{"_id":"k","n":{"$numberInt":"12"}},"ok":{"$numberDouble":"1.0"}}"#;
    assert_eq!(told(Counter, &add, reply), Told::Count(12));
    assert!(matches!(
        told(Counter, &add, r#"{"value":null}"#),
        Told::Nonsense(_)
    ));
}
