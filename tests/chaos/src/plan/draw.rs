use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::{Phase, Plan, SHORTEST_TURN, Schedule, Step};
use crate::fault::Fault;

/// Clients are at work before the first fault, and after the last.
const CALM_AT_THE_EDGES: u64 = 2_000;
/// Longer turns would show no more.
const LONGEST_TURN: u64 = 10_000;
/// Duration of several consecutive faults without a calm stretch.
const STORM: RangeInclusive<u64> = 20_000..=40_000;
/// Long enough for everything to work again: an election of MongoDB included.
const CALM: RangeInclusive<u64> = 4_000..=8_000;
/// A shorter fault is not worth its name.
const SHORTEST_FAULT: u64 = 500;

pub(super) fn plan(seed: u64, schedule: &Schedule) -> Result<Plan> {
    let mut rng = StdRng::seed_from_u64(seed);
    let kinds = schedule.kinds();
    let length = millis(*schedule.length);
    let end = length.saturating_sub(CALM_AT_THE_EDGES);
    let mut steps = Vec::new();
    let mut now = CALM_AT_THE_EDGES;
    if schedule.phase != Some(Phase::Mixed) {
        let share = if schedule.phase.is_none() { 2 } else { 1 };
        now = one_by_one(&mut rng, &kinds, schedule, now..end, share, &mut steps)?;
    }
    if schedule.phase != Some(Phase::OneByOne) {
        mixed(&mut rng, &kinds, schedule, now, end, &mut steps);
    }
    steps.sort_by_key(|step| step.at_ms);
    Ok(Plan {
        seed,
        length_ms: length,
        steps,
    })
}

/// Rounds of all kinds, each round in an order of its own, within this share of the time. Gives
/// when they are over.
fn one_by_one(
    rng: &mut StdRng,
    kinds: &[Fault],
    schedule: &Schedule,
    within: Range<u64>,
    share: u64,
    steps: &mut Vec<Step>,
) -> Result<u64> {
    let count = kinds.len() as u64;
    let each = schedule.each.map(|each| millis(*each));
    let shortest = millis(SHORTEST_TURN) + each.unwrap_or(0);
    let mut now = within.start;
    let (all, least) = (within.end.saturating_sub(now), count * shortest);
    ensure!(
        all >= least,
        "{count} kinds of faults one by one take {} s: give a --length of as much, fewer --faults, or --phase mixed",
        (least + 2 * CALM_AT_THE_EDGES).div_ceil(1_000)
    );
    let time = (all / share).max(least);
    let turn = (time / count).min(LONGEST_TURN.max(shortest));
    let mut order = kinds.to_vec();
    for _ in 0..time / (count * turn) {
        order.shuffle(rng);
        for fault in &order {
            let range = lasts(*fault);
            let longest = (*range.end()).min(turn / 2);
            let shortest = (*range.start()).min(longest);
            let drawn = rng.random_range(shortest..=longest);
            steps.push(Step {
                at_ms: now,
                lasts_ms: each.unwrap_or(drawn),
                fault: *fault,
                phase: Phase::OneByOne,
                seed: rng.random(),
            });
            now += turn;
        }
    }
    Ok(now)
}

/// Storms with calm between them.
fn mixed(
    rng: &mut StdRng,
    kinds: &[Fault],
    schedule: &Schedule,
    mut now: u64,
    end: u64,
    steps: &mut Vec<Step>,
) {
    let every = millis(*schedule.every).max(1);
    let mut deck: Vec<Fault> = Vec::new();
    while now + SHORTEST_FAULT <= end {
        let over = (now + rng.random_range(STORM)).min(end);
        let mut ends: Vec<u64> = Vec::new();
        while now + SHORTEST_FAULT <= over {
            ends.retain(|end| *end > now);
            if ends.len() >= schedule.overlap {
                now = ends.iter().copied().min().unwrap_or(over);
                continue;
            }
            // Like cards: each kind comes before any kind comes again.
            if deck.is_empty() {
                deck = kinds.to_vec();
                deck.shuffle(rng);
            }
            let Some(fault) = deck.pop() else {
                return;
            };
            let drawn = rng.random_range(lasts(fault));
            let lasts = schedule.each.map_or(drawn, |each| millis(*each));
            let step = Step {
                at_ms: now,
                lasts_ms: lasts.min(over - now),
                fault,
                phase: Phase::Mixed,
                seed: rng.random(),
            };
            ends.push(step.end_ms());
            steps.push(step);
            now += rng.random_range(every / 5..=every * 9 / 5).max(1);
        }
        now = over + rng.random_range(CALM);
    }
}

/// Returns the range of durations of a fault, in milliseconds. Some faults are too short to be
/// noticed. Others last until every client has given up.
fn lasts(fault: Fault) -> RangeInclusive<u64> {
    match fault {
        Fault::ServerKill | Fault::ServerStop => 500..=6_000,
        Fault::ServerPause | Fault::MongodPause => 500..=8_000,
        Fault::MongodKill => 1_000..=6_000,
        Fault::MongodMajorityKill => 1_000..=5_000,
        Fault::StepDown => 500..=1_000,
        Fault::DiskStall => 1_000..=5_000,
        // Long enough for another epoch to begin.
        Fault::Unstoppable => 8_000..=15_000,
        Fault::ClockJump => 1_000..=6_000,
        Fault::LoseReplies => 1_000..=5_000,
        Fault::CutPeers
        | Fault::CutPair
        | Fault::CutOneWay
        | Fault::CutMongodb
        | Fault::CutClients
        | Fault::CutMember
        | Fault::Isolate => 500..=8_000,
        Fault::Delay | Fault::Loss => 2_000..=10_000,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
