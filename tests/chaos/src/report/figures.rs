use std::collections::BTreeMap;

use bellwether_protocol::Outcome;
use serde::Serialize;

use super::gaps::gaps;
use crate::fault::Fault;
use crate::history::{Entry, Workload};
use crate::plan::Phase;
use crate::timeline::{Timeline, Why};

/// The figures of one run or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Time during which clients worked, in milliseconds.
    pub length_ms: u64,
    /// Calls of clients.
    pub operations: BTreeMap<Workload, Operations>,
    /// Faults.
    pub faults: BTreeMap<Fault, FaultFigures>,
    /// The longest time without an executed command while there was no fault, one of each run, in
    /// milliseconds.
    pub calm_gaps_ms: Vec<u64>,
    /// Number of epochs that MongoDB granted.
    pub epochs: u64,
}

/// Calls, by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Operations {
    /// It was executed.
    pub executed: u64,
    /// Of these, by an earlier try: the answer was the stored one.
    pub replayed: u64,
    /// It was not executed.
    pub not_executed: u64,
    /// The outcome is unknown.
    pub unknown: u64,
}

/// Faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultFigures {
    /// Number of inflicted faults.
    pub inflicted: u64,
    /// Number of faults that were left out, because their victims had a fault already.
    pub skipped: u64,
    /// Number of faults that were left out, because this machine cannot inflict them.
    pub not_possible: u64,
    /// Number of faults that were tried and failed.
    pub failed: u64,
    /// For each that came alone, the longest time without any executed command that overlaps it, in
    /// milliseconds.
    pub alone_gaps_ms: Vec<u64>,
    /// The same for the faults that came with others, which may be the cause.
    pub mixed_gaps_ms: Vec<u64>,
}

impl Figures {
    /// Returns the figures of one run. `length_ms` is the time during which clients worked.
    pub fn of(history: &[Entry], timeline: &Timeline, length_ms: u64, epochs: u64) -> Self {
        let mut figures = Self {
            length_ms,
            epochs,
            ..Self::default()
        };
        for entry in history {
            figures.operations.entry(entry.workload).or_default().count(entry);
        }
        figures.count_faults(history, timeline);
        figures
    }

    fn count_faults(&mut self, history: &[Entry], timeline: &Timeline) {
        let gaps = gaps(&executed(history), &timeline.faults, 0, timeline.ended);
        for (ordeal, gap) in timeline.faults.iter().zip(gaps.of_faults) {
            let figures = self.faults.entry(ordeal.fault).or_default();
            figures.inflicted += 1;
            match ordeal.phase {
                Phase::OneByOne => figures.alone_gaps_ms.push(gap / 1_000),
                Phase::Mixed => figures.mixed_gaps_ms.push(gap / 1_000),
            }
        }
        for skipped in &timeline.skipped {
            let figures = self.faults.entry(skipped.fault).or_default();
            match skipped.why {
                Why::IllAlready => figures.skipped += 1,
                Why::NotPossible => figures.not_possible += 1,
                Why::Failed => figures.failed += 1,
            }
        }
        self.calm_gaps_ms.push(gaps.calm / 1_000);
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.length_ms += other.length_ms;
        self.epochs += other.epochs;
        self.calm_gaps_ms.extend(&other.calm_gaps_ms);
        for (workload, operations) in &other.operations {
            self.operations.entry(*workload).or_default().add(*operations);
        }
        for (fault, figures) in &other.faults {
            self.faults.entry(*fault).or_default().add(figures);
        }
    }

    /// Returns the sum over all workloads.
    pub fn all_operations(&self) -> Operations {
        let mut all = Operations::default();
        for operations in self.operations.values() {
            all.add(*operations);
        }
        all
    }
}

impl Operations {
    /// Returns the number of all calls.
    pub fn calls(self) -> u64 {
        self.executed + self.not_executed + self.unknown
    }

    fn count(&mut self, entry: &Entry) {
        match entry.outcome {
            Outcome::Executed => self.executed += 1,
            Outcome::NotExecuted => self.not_executed += 1,
            Outcome::Unknown => self.unknown += 1,
        }
        self.replayed += u64::from(entry.replayed);
    }

    fn add(&mut self, other: Self) {
        self.executed += other.executed;
        self.replayed += other.replayed;
        self.not_executed += other.not_executed;
        self.unknown += other.unknown;
    }
}

impl FaultFigures {
    fn add(&mut self, other: &Self) {
        self.inflicted += other.inflicted;
        self.skipped += other.skipped;
        self.not_possible += other.not_possible;
        self.failed += other.failed;
        self.alone_gaps_ms.extend(&other.alone_gaps_ms);
        self.mixed_gaps_ms.extend(&other.mixed_gaps_ms);
    }
}

/// Returns the times of all answers `executed`, in order.
pub fn executed(history: &[Entry]) -> Vec<u64> {
    let executed = history.iter().filter(|entry| entry.outcome == Outcome::Executed);
    let mut times: Vec<u64> = executed.map(|entry| entry.ended).collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Ordeal, Skipped};

    fn entry(ended: u64, outcome: Outcome, replayed: bool) -> Entry {
        Entry {
            replayed,
            ..Entry::new(1, Workload::Set, (0, ended), outcome)
        }
    }

    fn run() -> Figures {
        let history = [
            entry(3_000_000, Outcome::Executed, true),
            entry(1_000_000, Outcome::Executed, false),
            entry(1_500_000, Outcome::Unknown, false),
            entry(3_500_000, Outcome::NotExecuted, false),
        ];
        let ordeal = |phase, began, ended| Ordeal {
            fault: Fault::ServerKill,
            phase,
            began,
            ended,
            nodes: Vec::new(),
            what: String::new(),
        };
        let skipped = |why| Skipped {
            fault: Fault::ClockJump,
            at: 0,
            why,
        };
        let timeline = Timeline {
            ended: 4_000_000,
            faults: vec![
                ordeal(Phase::OneByOne, 1_200_000, 1_300_000),
                ordeal(Phase::Mixed, 3_100_000, 3_200_000),
            ],
            skipped: vec![skipped(Why::NotPossible), skipped(Why::IllAlready)],
            ..Timeline::default()
        };
        Figures::of(&history, &timeline, 4_000, 2)
    }

    #[test]
    fn calls_are_counted_by_what_was_told() {
        let expected = Operations {
            executed: 2,
            replayed: 1,
            not_executed: 1,
            unknown: 1,
        };
        assert_eq!(run().operations, BTreeMap::from([(Workload::Set, expected)]));
        assert_eq!(expected.calls(), 4);
    }

    #[test]
    fn faults_are_counted_with_what_they_cost() {
        let run = run();
        let kill = &run.faults[&Fault::ServerKill];
        assert_eq!(kill.inflicted, 2);
        assert_eq!(
            (&kill.alone_gaps_ms[..], &kill.mixed_gaps_ms[..]),
            (&[2_000][..], &[1_000][..])
        );
        let jump = &run.faults[&Fault::ClockJump];
        assert_eq!((jump.inflicted, jump.skipped, jump.not_possible), (0, 1, 1));
        assert_eq!(run.calm_gaps_ms, [1_000]);
    }

    #[test]
    fn runs_are_added_up() {
        let mut total = Figures::default();
        total.add(&run());
        total.add(&run());
        assert_eq!(total.all_operations().calls(), 8);
        assert_eq!(total.faults[&Fault::ServerKill].alone_gaps_ms, [2_000, 2_000]);
        assert_eq!((total.length_ms, total.epochs), (8_000, 4));
    }
}
