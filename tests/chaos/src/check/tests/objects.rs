//! Sets and banks, which have invariants of their own.

use super::*;

#[test]
fn a_set_misses_nothing_and_shows_nothing_twice() {
    let insert = |token: &str| Asked::write("s", token, What::Insert);
    let mut run = Run::new();
    run.done(Set, &insert("a"), (0, 10));
    run.done(Set, &insert("b"), (5, 30));
    run.told(Set, &Asked::read("s"), (11, 20), &items(&["a"]));
    run.told(Set, &Asked::read("s"), (15, 25), &items(&["b", "a"]));
    run.set(&["b", "a"]);
    run.holds();

    let mut stale = Run::new();
    stale.done(Set, &insert("a"), (0, 10));
    stale.told(Set, &Asked::read("s"), (11, 20), &items(&[]));
    stale.set(&["a"]);
    stale.violates(&["linearizable", "set"]);

    let mut lost = Run::new();
    lost.done(Set, &insert("a"), (0, 10));
    lost.violates(&["acked_is_durable", "linearizable", "set"]);

    let mut foreign = Run::new();
    foreign.told(Set, &Asked::read("s"), (11, 20), &items(&["x"]));
    foreign.violates(&["linearizable", "set"]);

    // Two reads, each of which missed a member that the other one saw.
    let mut split = Run::new();
    split.done(Set, &insert("a"), (0, 100));
    split.done(Set, &insert("b"), (0, 100));
    split.told(Set, &Asked::read("s"), (10, 20), &items(&["a"]));
    split.told(Set, &Asked::read("s"), (10, 20), &items(&["b"]));
    split.set(&["a", "b"]);
    split.violates(&["linearizable"]);
}

fn transfer(token: &str, from: usize, to: usize, look: bool) -> Asked {
    let what = What::Transfer {
        from,
        to,
        amount: 5,
        look,
    };
    Asked::write("b", token, what)
}

/// Returns a right history of a bank, with one error.
fn bank(wrong: impl FnOnce(&mut Run)) -> Run {
    let mut run = Run::new();
    run.done(Bank, &transfer("t", 0, 1, false), (0, 10));
    run.told(
        Bank,
        &transfer("u", 1, 2, true),
        (5, 20),
        &Told::Balances(vec![0, 5]),
    );
    run.told(
        Bank,
        &Asked::read("b"),
        (11, 15),
        &Told::Balances(vec![-5, 5, 0, 0, 0]),
    );
    for (number, log) in [&[("t", -5)][..], &[("t", 5), ("u", -5)], &[("u", 5)]]
        .iter()
        .enumerate()
    {
        run.state.accounts.insert(account("b", number), tallied(log));
    }
    wrong(&mut run);
    run
}

#[test]
fn a_bank_neither_gains_nor_loses() {
    bank(|_| ()).holds();
    let created = Told::Balances(vec![-5, 5, 5, 0, 0]);
    bank(|run| {
        run.told(Bank, &Asked::read("b"), (16, 18), &created);
    })
    .violates(&["bank", "linearizable"]);
    // One half of a list.
    bank(|run| {
        run.state.accounts.insert(account("b", 2), tallied(&[]));
    })
    .violates(&["bank", "exactly_once", "linearizable"]);
    bank(|run| run.state.accounts.get_mut("b/2").unwrap().sum = 6).violates(&["bank", "linearizable"]);
    // Adds up, and is stale.
    bank(|run| {
        run.told(
            Bank,
            &Asked::read("b"),
            (21, 25),
            &Told::Balances(vec![-5, 5, 0, 0, 0]),
        );
    })
    .violates(&["linearizable"]);
    // A read whose answer has a balance that never existed.
    bank(|run| {
        let told = Told::Balances(vec![5, 5]);
        run.entries[1].told = serde_json::to_value(told).unwrap();
    })
    .violates(&["linearizable"]);
    // The accounts' logs contradict the clients' order.
    bank(|run| run.state.accounts.get_mut("b/1").unwrap().log.reverse()).violates(&["linearizable"]);
}

#[test]
fn a_transfer_of_another_amount_or_to_another_account_is_seen() {
    bank(|run| {
        run.state
            .accounts
            .insert(account("b", 1), tallied(&[("t", 5), ("u", -4)]));
        run.state.accounts.insert(account("b", 2), tallied(&[("u", 4)]));
    })
    .violates(&["bank", "linearizable"]);
    bank(|run| {
        let paid = run.state.accounts.remove("b/2").unwrap();
        run.state.accounts.insert(account("b", 3), paid);
    })
    .violates(&["bank", "linearizable"]);
}

#[test]
fn a_balance_that_is_not_its_logs_is_seen() {
    bank(|run| {
        run.state.accounts.get_mut("b/0").unwrap().sum += 1;
        run.state.accounts.get_mut("b/2").unwrap().sum -= 1;
    })
    .violates(&["bank", "linearizable"]);
}
