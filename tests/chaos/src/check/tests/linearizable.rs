use super::*;

fn write(token: &str) -> Asked {
    Asked::write("r", token, What::Write)
}

fn swap(expected: &str, token: &str) -> Asked {
    let expected = expected.into();
    Asked::write("r", token, What::CompareAndSet { expected })
}

fn value(value: &str) -> Told {
    Told::Value(Some(value).filter(|value| !value.is_empty()).map(Into::into))
}

/// Registers whose value is this in the end.
fn register(end: &str) -> Run {
    let mut run = Run::new();
    if !end.is_empty() {
        run.state.registers.insert("r".into(), end.into());
    }
    run
}

#[test]
fn a_stale_read_is_seen() {
    let stale = |read: (u64, u64)| {
        let mut run = register("b");
        run.done(Register, &write("a"), (0, 10));
        run.done(Register, &write("b"), (11, 20));
        run.told(Register, &Asked::read("r"), read, &value("a"));
        run
    };
    stale((19, 30)).holds();
    stale((21, 30)).violates(&["linearizable"]);
    let said = stale((21, 30)).said("linearizable");
    assert!(said.contains("the read by client 2"), "{said}");

    let mut run = register("b");
    run.told(Register, &Asked::read("r"), (11, 20), &value("a"));
    run.done(Register, &write("a"), (0, 10));
    run.told(Register, &Asked::read("r"), (21, 22), &value(""));
    run.done(Register, &write("b"), (12, 30));
    run.violates(&["linearizable"]);
}

#[test]
fn the_value_in_the_end_is_a_read() {
    let mut run = register("a");
    run.done(Register, &write("a"), (0, 10));
    run.done(Register, &write("b"), (11, 20));
    run.violates(&["linearizable"]);
    run.state.registers.insert("r".into(), "b".into());
    run.holds();
}

#[test]
fn a_compare_and_set_that_lied_is_seen() {
    let lied = |met: &str, end: &str| {
        let mut run = register(end);
        run.done(Register, &write("a"), (0, 10));
        run.done(Register, &write("b"), (11, 20));
        run.told(Register, &swap("b", "c"), (21, 30), &value(met));
        run
    };
    lied("b", "c").holds();
    // Its answer says that it met the expected value, and it has changed nothing.
    lied("b", "b").violates(&["linearizable"]);
    // Its answer says that it met another value.
    lied("a", "b").violates(&["linearizable"]);
    lied("a", "c").violates(&["linearizable"]);
    // Two that met the same value.
    let mut run = register("d");
    run.done(Register, &write("a"), (0, 10));
    run.told(Register, &swap("a", "c"), (11, 30), &value("a"));
    run.told(Register, &swap("a", "d"), (11, 30), &value("a"));
    run.violates(&["linearizable"]);
}

#[test]
fn what_is_unknown_may_happen_late_or_never() {
    // A client sees the value long after its writer gave up, or no client sees it.
    for (end, reads) in [("a", &["b", "a"][..]), ("b", &["b"]), ("a", &[]), ("b", &[])] {
        let mut run = register(end);
        run.unknown(Register, &write("a"), (0, 10));
        run.done(Register, &write("b"), (20, 30));
        for (at, read) in (40..).step_by(10).zip(reads) {
            run.told(Register, &Asked::read("r"), (at, at + 5), &value(read));
        }
        run.holds();
    }
    // But once.
    let mut run = register("b");
    run.unknown(Register, &write("a"), (0, 10));
    run.told(Register, &Asked::read("r"), (11, 15), &value("a"));
    run.done(Register, &write("b"), (20, 30));
    run.told(Register, &Asked::read("r"), (31, 35), &value("b"));
    run.told(Register, &Asked::read("r"), (36, 38), &value("a"));
    run.violates(&["linearizable"]);
    // And not before the call began.
    let mut run = register("a");
    run.told(Register, &Asked::read("r"), (1, 5), &value("a"));
    run.unknown(Register, &write("a"), (6, 10));
    run.violates(&["linearizable"]);
    // A later call gets the outcome: the command was executed before that.
    let mut run = register("b");
    run.unknown(Register, &write("a"), (0, 10));
    run.done(Register, &write("a"), (15, 20));
    run.done(Register, &write("b"), (21, 30));
    run.told(Register, &Asked::read("r"), (31, 35), &value("a"));
    run.violates(&["linearizable"]);
}

#[test]
fn unknown_compare_and_sets_hang_on_what_they_expected() {
    // Only the compare-and-set sees the write, and clients see the value of the compare-and-set.
    let chain = |end: &str| {
        let mut run = register(end);
        run.unknown(Register, &write("a"), (0, 10));
        run.unknown(Register, &swap("a", "b"), (11, 20));
        run
    };
    for end in ["", "a", "b"] {
        chain(end).holds();
    }
    let mut run = chain("b");
    run.told(Register, &Asked::read("r"), (21, 30), &value("b"));
    run.told(Register, &Asked::read("r"), (31, 40), &value("a"));
    run.violates(&["linearizable"]);
    // The answer of a failed one names the value that it met, so an unknown write cannot excuse it.
    let mut run = register("a");
    run.done(Register, &write("a"), (0, 10));
    run.unknown(Register, &write("x"), (5, 10));
    run.told(Register, &swap("a", "b"), (11, 20), &value(""));
    run.violates(&["linearizable"]);
}

#[test]
fn a_list_has_one_order() {
    let run = |end: &[&str], read: &[&str]| {
        let mut run = Run::new();
        run.done(Append, &append("a"), (0, 10));
        run.done(Append, &append("b"), (11, 20));
        run.told(Append, &Asked::read("l"), (12, 30), &items(read));
        run.list(end);
        run
    };
    run(&["a", "b"], &["a"]).holds();
    run(&["a", "b"], &["a", "b"]).holds();
    // The order of the members differs in the data, or in a read.
    run(&["b", "a"], &["b"]).violates(&["linearizable"]);
    run(&["a", "b"], &["b", "a"]).violates(&["linearizable"]);
    // Stale.
    run(&["a", "b"], &[]).violates(&["linearizable"]);

    // One of unknown outcome: never, late, or in between.
    for (end, read) in [
        (&["a"][..], &["a"][..]),
        (&["a", "u"], &["a"]),
        (&["u", "a"], &["u", "a"]),
    ] {
        let mut run = Run::new();
        run.unknown(Append, &append("u"), (0, 5));
        run.done(Append, &append("a"), (6, 10));
        run.told(Append, &Asked::read("l"), (11, 30), &items(read));
        run.list(end);
        run.holds();
    }
}

#[test]
fn a_counter_goes_up_by_what_was_added() {
    let run = |log: &[(&str, i64)], told: i64, read: i64| {
        let mut run = Run::new();
        run.done(Counter, &add("a", 3, false), (0, 10));
        run.told(Counter, &add("b", 4, true), (11, 20), &Told::Count(told));
        run.told(Counter, &Asked::read("c"), (21, 30), &Told::Count(read));
        run.state.counters.insert("c".into(), tallied(log));
        run
    };
    let log = [("a", 3), ("b", 4)];
    run(&log, 7, 7).holds();
    run(&log, 7, 3).violates(&["linearizable"]);
    run(&log, 4, 7).violates(&["linearizable"]);
    run(&log, 7, 5).violates(&["linearizable"]);
    run(&[("b", 4), ("a", 3)], 4, 7).violates(&["linearizable"]);
    run(&[("a", 3), ("b", 5)], 8, 8).violates(&["linearizable"]);
    let mut off = run(&log, 7, 7);
    off.state.counters.get_mut("c").unwrap().sum = 10;
    off.violates(&["linearizable"]);
}

/// Thousands of commands of several clients under faults. The checker accepts the right history,
/// and finds one false read in it.
#[test]
fn long_histories_with_many_open_ends_are_decided() {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    let mut rng = SmallRng::seed_from_u64(7);
    let mut run = Run::new();
    let mut now = String::new();
    let mut reads = Vec::new();
    for n in 0..600_u64 {
        // The operation at this moment began up to 400 µs earlier and ends up to 400 µs later, with
        // 8 others meanwhile.
        let at = 1000 + n * 50;
        let times = (at - rng.random_range(0..200), at + rng.random_range(1..200));
        let token = format!("{n}");
        match rng.random_range(0..10) {
            0..4 => {
                reads.push(run.entries.len());
                run.told(Register, &Asked::read("r"), times, &value(&now));
            }
            4 => {
                if rng.random_bool(0.5) {
                    now.clone_from(&token);
                }
                run.unknown(Register, &write(&token), times);
            }
            5..7 => {
                run.told(Register, &swap(&now, &token), times, &value(&now));
                if !now.is_empty() {
                    now = token;
                }
            }
            _ => {
                run.done(Register, &write(&token), times);
                now = token;
            }
        }
    }
    run.state.registers.insert("r".into(), now);
    run.holds();
    let (early, late) = (reads[reads.len() / 3], reads[reads.len() / 2]);
    run.entries[late].told = run.entries[early].told.clone();
    run.violates(&["linearizable"]);
}
