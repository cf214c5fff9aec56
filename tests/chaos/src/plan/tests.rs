use std::collections::BTreeSet;
use std::time::Duration;

use clap::Parser;

use super::{Phase, Plan, Schedule};
use crate::fault::Fault;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    schedule: Schedule,
}

fn schedule(flags: &str) -> Schedule {
    let flags = flags.split_whitespace();
    Flags::parse_from(["plan"].into_iter().chain(flags)).schedule
}

fn plan(seed: u64, flags: &str) -> Plan {
    Plan::draw(seed, &schedule(flags)).unwrap()
}

/// Returns the largest number of faults at one time.
fn most_at_once(plan: &Plan, phase: Phase) -> usize {
    let steps: Vec<_> = plan.steps.iter().filter(|step| step.phase == phase).collect();
    let at_once = |now: u64| {
        steps
            .iter()
            .filter(|step| (step.at_ms..step.end_ms()).contains(&now))
            .count()
    };
    steps.iter().map(|step| at_once(step.at_ms)).max().unwrap_or(0)
}

#[test]
fn the_same_flags_make_the_same_plan() {
    for flags in ["--length 10min", "--length 2min --phase mixed --every 1s"] {
        assert_eq!(plan(7, flags), plan(7, flags));
        assert_ne!(plan(7, flags).steps, plan(8, flags).steps);
    }
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    let plan = plan(1, "--length 5min");
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn every_kind_has_its_turn() {
    for seed in 0..50 {
        for flags in ["", "--length 99s", "--length 1h", "--phase one-by-one"] {
            let plan = plan(seed, flags);
            let alone = plan.steps.iter().filter(|step| step.phase == Phase::OneByOne);
            let alone: BTreeSet<Fault> = alone.map(|step| step.fault).collect();
            assert_eq!(alone.len(), Fault::usual().len(), "{flags}");
        }
    }
}

#[test]
fn mixed_each_kind_comes_as_often_as_any_other() {
    let plan = plan(4, "--length 10min --phase mixed");
    let count = |kind: &Fault| plan.steps.iter().filter(|step| step.fault == *kind).count();
    let counts: BTreeSet<usize> = Fault::usual().iter().map(count).collect();
    let (least, most) = (counts.first().unwrap(), counts.last().unwrap());
    assert!(*least > 3 && most - least <= 1, "{counts:?}");
}

#[test]
fn one_by_one_there_is_calm_between_faults() {
    for seed in 0..50 {
        let plan = plan(seed, "--length 1h");
        assert_eq!(most_at_once(&plan, Phase::OneByOne), 1);
        for pair in plan.steps.windows(2) {
            if pair[0].phase == Phase::OneByOne {
                let calm = pair[1].at_ms - pair[0].end_ms();
                assert!(calm >= 2_500, "{pair:?}");
            }
        }
    }
}

#[test]
fn only_so_many_faults_happen_at_once() {
    for seed in 0..50 {
        let plan = plan(seed, "--length 10min --phase mixed --every 1s --overlap 4");
        assert_eq!(most_at_once(&plan, Phase::Mixed), 4);
    }
}

#[test]
fn mixed_faults_leave_calm_stretches() {
    let plan = plan(3, "--length 10min --phase mixed");
    let mut healed = 0;
    let mut stretches = 0;
    for step in &plan.steps {
        if step.at_ms >= healed + 4_000 {
            stretches += 1;
        }
        healed = healed.max(step.end_ms());
    }
    assert!((10..=30).contains(&stretches), "{stretches} stretches");
}

#[test]
fn everything_is_healed_at_the_end() {
    for seed in 0..200 {
        for flags in [
            "",
            "--length 7min",
            "--length 30s --phase mixed",
            "--length 3s --phase mixed",
        ] {
            let plan = plan(seed, flags);
            assert!(plan.steps.iter().all(|step| step.lasts_ms >= 500));
            let healed = plan.steps.iter().map(|step| step.end_ms()).max();
            assert!(
                healed.is_none_or(|healed| healed + 2_000 <= plan.length_ms),
                "{flags}"
            );
        }
    }
}

#[test]
fn an_hour_has_enough_of_each_kind_alone() {
    let plan = plan(1, "--length 1h");
    let kills = plan
        .steps
        .iter()
        .filter(|step| step.phase == Phase::OneByOne && step.fault == Fault::ServerKill);
    assert!(kills.count() >= 9);
    assert!(plan.steps.len() > 500, "{}", plan.steps.len());
    assert_eq!(plan.length(), Duration::from_secs(3_600));
}

#[test]
fn only_the_faults_asked_for_happen() {
    let plan = plan(1, "--length 2min --faults isolate,server-kill,isolate");
    let kinds: BTreeSet<Fault> = plan.steps.iter().map(|step| step.fault).collect();
    assert_eq!(kinds, BTreeSet::from([Fault::ServerKill, Fault::Isolate]));
}

#[test]
fn faults_last_as_long_as_they_are_told_to() {
    for phase in ["one-by-one", "mixed"] {
        let flags = format!("--length 5min --each 15s --faults isolate,server-kill --phase {phase}");
        let plan = plan(1, &flags);
        let long = plan.steps.iter().filter(|step| step.lasts_ms == 15_000).count();
        assert!(long >= 5, "{plan:?}");
        assert!(plan.steps.iter().all(|step| step.lasts_ms <= 15_000));
    }
    let plan = plan(1, "--length 5min --each 15s --faults isolate --phase one-by-one");
    assert_eq!((most_at_once(&plan, Phase::OneByOne), plan.steps.len()), (1, 14));
}

#[test]
fn too_little_time_is_said() {
    let error = Plan::draw(1, &schedule("--length 60s")).unwrap_err().to_string();
    assert_eq!(
        error,
        "19 kinds of faults one by one take 99 s: give a --length of as much, fewer --faults, or --phase mixed"
    );
    assert!(Plan::draw(1, &schedule("--length 99s")).is_ok());
    for flags in ["--overlap 0", "--every 0s"] {
        assert!(Plan::draw(1, &schedule(flags)).is_err());
    }
}
