use std::fs;

use bellwether_protocol::Outcome;
use clap::Parser;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::{Figures, Machine, Report, RunReport, draw};
use crate::check::{Finding, Verdict};
use crate::fault::Node;
use crate::history::{Entry, Workload};
use crate::plan::{Plan, Schedule};
use crate::timeline::{Ordeal, Primary, Reign, Timeline};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    schedule: Schedule,
}

/// Returns an invented run: every fault lasts as long as its plan says, and stops everything for
/// half its time.
fn pretended(flags: &[&str]) -> (Vec<Entry>, Timeline) {
    let flags = Flags::parse_from(["plan"].iter().chain(flags));
    let plan = Plan::draw(1, &flags.schedule).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let mut timeline = Timeline {
        ended: plan.length_ms * 1_000,
        ..Timeline::default()
    };
    for step in &plan.steps {
        let server = rng.random_range(0..3);
        timeline.faults.push(Ordeal {
            fault: step.fault,
            phase: step.phase,
            began: step.at_ms * 1_000,
            ended: (step.at_ms + step.lasts_ms) * 1_000,
            nodes: vec![Node::Server(server), Node::Mongod(1)],
            what: String::new(),
        });
    }
    let mut began = 0;
    for (epoch, step) in (1..).zip(&timeline.faults) {
        timeline.reigns.push(Reign {
            server: rng.random_range(0..3),
            epoch,
            began,
            ended: step.began,
        });
        began = step.began;
    }
    timeline.primaries.push(Primary {
        member: 1,
        began: 0,
        ended: timeline.ended / 2,
    });
    let mut history = Vec::new();
    let mut now = 0;
    while now < timeline.ended {
        now += rng.random_range(5_000..30_000);
        let quiet = |step: &Ordeal| now > step.began && now < step.began + (step.ended - step.began) / 2;
        let outcome = match timeline.faults.iter().any(quiet) {
            true if rng.random_ratio(1, 20) => Outcome::Unknown,
            true if rng.random_ratio(1, 20) => Outcome::NotExecuted,
            true => continue,
            false => Outcome::Executed,
        };
        let times = (now.saturating_sub(3_000), now);
        history.push(Entry::new(1, Workload::Register, times, outcome));
    }
    (history, timeline)
}

fn report(verdict: Verdict) -> Report {
    let (history, timeline) = pretended(&["--length=2min"]);
    let mut report = Report::new("bellwether-chaos --seed 1".into());
    report.add(
        ".".into(),
        RunReport {
            seed: 1,
            replay: "bellwether-chaos --seed 1".into(),
            planted: None,
            dir: String::new(),
            figures: Figures::of(&history, &timeline, 120_000, 40),
            findings: vec![Finding {
                invariant: "linearizable".into(),
                workload: Some(Workload::Register),
                verdict,
                checked: 900,
            }],
            troubles: vec!["after 3.0 s: m1 does not answer".into()],
            machine: Machine::default(),
        },
    );
    report
}

#[test]
fn a_violation_is_counted_and_told() {
    let report = report(Verdict::Violated("read 3 after 4 was written".into()));
    assert_eq!(report.count(|verdict| matches!(verdict, Verdict::Violated(_))), 1);
    let text = report.to_string();
    assert!(text.starts_with("# 1 violations, 0 undecided\n"), "{text}");
    assert!(text.contains("read 3 after 4 was written"), "{text}");
    assert!(text.contains("m1 does not answer"), "{text}");
    assert!(
        text.contains("| linearizable | register | 900 | 0 | 1 | 0 |"),
        "{text}"
    );
}

#[test]
fn undecided_is_not_passed() {
    let text = report(Verdict::Undecided("took longer than 10 s".into())).to_string();
    assert!(text.starts_with("# 0 violations, 1 undecided\n"), "{text}");
    assert!(
        text.contains("| linearizable | register | 900 | 0 | 0 | 1 |"),
        "{text}"
    );
}

#[test]
fn what_did_not_hold_is_told_in_a_line_each() {
    let lines = |verdict| report(verdict).not_held().collect::<Vec<_>>();
    assert_eq!(lines(Verdict::Held), [""; 0]);
    assert_eq!(
        lines(Verdict::Violated("read 3\nread 4".into())),
        ["VIOLATED: seed 1, linearizable (register): read 3; read 4"]
    );
    assert_eq!(
        lines(Verdict::Undecided("took longer than 10 s".into())),
        ["UNDECIDED: seed 1, linearizable (register): took longer than 10 s"]
    );
}

#[test]
fn a_report_is_written_for_people_and_programs() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(Verdict::Held);
    report.write(dir.path()).unwrap();
    let json = fs::read(dir.path().join("report.json")).unwrap();
    let read: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(read["runs"][0]["findings"][0]["invariant"], "linearizable");
    assert_eq!(read["total"]["faults"].as_object().unwrap().len(), 19);
    assert_eq!(
        fs::read_to_string(dir.path().join("report.md")).unwrap(),
        report.to_string()
    );
}

#[test]
fn the_picture_names_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("timeline.svg");
    let (history, timeline) = pretended(&["--length=2min"]);
    draw(&path, "seed 1", &history, &timeline).unwrap();
    let svg = fs::read_to_string(&path).unwrap();
    for text in ["seed 1", "server-kill", "s1", "m2", "not executed", "110 s"] {
        assert!(svg.contains(&format!("\n{text}\n")), "{text}");
    }
}
