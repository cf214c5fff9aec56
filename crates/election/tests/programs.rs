//! The examples behave as documented when a user runs them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::process::{Command, Output};

fn run(example: &str, arguments: &[&str]) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args([
        "run",
        "--quiet",
        "--features",
        "serde",
        "--example",
        example,
        "--",
    ]);
    cargo.args(arguments).output().unwrap()
}

#[test]
fn three_processes_replace_their_coordinator() {
    for example in ["udp", "tcp"] {
        let output = run(example, &[]);
        let said = String::from_utf8(output.stdout).unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{example}: {said}{complaints}");
        let coordinators: Vec<&str> = said
            .lines()
            .filter_map(|line| line.split_once(" is coordinator"))
            .map(|(id, _)| id)
            .collect();
        let [first, next] = coordinators[..] else {
            panic!("{example}: {said}");
        };
        assert_ne!(first, next, "{example}: {said}");
        assert!(
            said.contains(&format!("Killed the process of {first}.")),
            "{example}: {said}"
        );
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for arguments in [
        &["a", "a"][..],
        &["a b", "a=127.0.0.1:1"],
        &["a", "b=127.0.0.1:1"],
        &["a", "a=here"],
    ] {
        for example in ["udp", "tcp"] {
            let output = run(example, arguments);
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {complaints}");
            assert!(!complaints.contains("panicked"), "{complaints}");
        }
    }
}
