use std::time::{Duration, Instant};

use bellwether_protocol::{RoleName, Status};

use super::{Belief, Ordeal, Primary, Reign, Skipped, Timeline, Why};
use crate::fault::{Fault, Node};
use crate::plan::Phase;

/// Interval between two looks at the coordinator and at MongoDB's primary.
pub const SAMPLES: Duration = Duration::from_millis(250);

/// Time after which a server or member that is not seen has not led without a break. It is longer
/// than the time limit for a server's answer.
const BREAK: u64 = 1_000_000;

/// Puts a timeline together from observations.
#[derive(Debug)]
pub struct Recorder {
    started: Instant,
    timeline: Timeline,
}

impl Recorder {
    /// Records from now on, by this clock.
    pub fn new(started: Instant) -> Self {
        Self {
            started,
            timeline: Timeline::default(),
        }
    }

    /// Microseconds of the run's clock.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Records that a fault begins now. Returns its place, for [`Recorder::healed`].
    pub fn inflicted(&mut self, phase: Phase, fault: Fault, nodes: &[Node], what: &str) -> usize {
        let began = self.now();
        self.timeline.faults.push(Ordeal {
            fault,
            phase,
            began,
            ended: u64::MAX,
            nodes: nodes.to_vec(),
            what: what.to_owned(),
        });
        self.timeline.faults.len() - 1
    }

    /// Records that the fault at this place is over.
    pub fn healed(&mut self, place: usize) {
        self.timeline.faults[place].ended = self.now();
    }

    /// Records that a fault of the plan is left out.
    pub fn skipped(&mut self, fault: Fault, why: Why) {
        let at = self.now();
        self.timeline.skipped.push(Skipped { fault, at, why });
    }

    /// Records an error of the suite itself.
    pub fn trouble(&mut self, trouble: String) {
        self.timeline.troubles.push(trouble);
    }

    /// Returns the number of faults until now.
    pub fn faults(&self) -> usize {
        self.timeline.faults.len()
    }

    /// Records the servers' present statuses, in the order of the servers.
    pub fn statuses(&mut self, statuses: &[Option<Status>]) {
        let now = self.now();
        for (server, status) in statuses.iter().enumerate() {
            let Some(status) = status else { continue };
            if let Some(epoch) = status.epoch {
                self.believes(now, server, epoch);
            }
            if let (RoleName::Coordinator, Some(epoch)) = (status.role, status.epoch) {
                self.coordinator(now, server, epoch);
            }
        }
    }

    fn believes(&mut self, now: u64, server: usize, epoch: u64) {
        let mut beliefs = self.timeline.beliefs.iter_mut().rev();
        // Only the last one goes on: a server that forgot an epoch in between begins anew.
        let last = beliefs.find(|belief| belief.server == server);
        match last {
            Some(belief) if belief.epoch == epoch && now <= belief.ended + BREAK => belief.ended = now,
            _ => self.timeline.beliefs.push(Belief {
                server,
                epoch,
                began: now,
                ended: now,
            }),
        }
    }

    fn coordinator(&mut self, now: u64, server: usize, epoch: u64) {
        let mut reigns = self.timeline.reigns.iter_mut().rev();
        let known = reigns.find(|reign| reign.server == server && reign.epoch == epoch);
        match known {
            Some(reign) if now <= reign.ended + BREAK => reign.ended = now,
            _ => self.timeline.reigns.push(Reign {
                server,
                epoch,
                began: now,
                ended: now,
            }),
        }
    }

    /// Records MongoDB's present primary.
    pub fn primary(&mut self, member: Option<usize>) {
        let now = self.now();
        let Some(member) = member else { return };
        match self.timeline.primaries.last_mut() {
            Some(last) if last.member == member && now <= last.ended + BREAK => last.ended = now,
            _ => self.timeline.primaries.push(Primary {
                member,
                began: now,
                ended: now,
            }),
        }
    }

    /// Records that the plan is over.
    pub fn ended(&mut self) {
        self.timeline.ended = self.now();
    }

    /// Returns all observations. A fault that was not healed lasted until now.
    pub fn finish(mut self) -> Timeline {
        let now = self.now();
        for ordeal in &mut self.timeline.faults {
            ordeal.ended = ordeal.ended.min(now);
        }
        self.timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        Recorder::new(Instant::now())
    }

    #[test]
    fn a_belief_ends_when_another_begins() {
        let mut recorder = recorder();
        for (now, server, epoch) in [
            (0, 1, 7),
            (1, 2, 7),
            (250_000, 1, 7),
            (500_000, 1, 9),
            (750_000, 1, 7),
        ] {
            recorder.believes(now, server, epoch);
        }
        let beliefs = recorder.timeline.beliefs.iter();
        let beliefs: Vec<_> = beliefs
            .map(|belief| (belief.server, belief.epoch, belief.began, belief.ended))
            .collect();
        let expected = [
            (1, 7, 0, 250_000),
            (2, 7, 1, 1),
            (1, 9, 500_000, 500_000),
            (1, 7, 750_000, 750_000),
        ];
        assert_eq!(beliefs, expected);
    }

    #[test]
    fn a_reign_goes_on_while_it_is_seen() {
        let mut recorder = recorder();
        for now in [0, 250_000, 500_000] {
            recorder.coordinator(now, 1, 7);
        }
        // The old one still says so, while the new one does as well.
        recorder.coordinator(600_000, 2, 8);
        recorder.coordinator(750_000, 1, 7);
        recorder.coordinator(5_000_000, 2, 8);
        let reigns: Vec<_> = recorder
            .timeline
            .reigns
            .iter()
            .map(|reign| (reign.server, reign.epoch, reign.began, reign.ended))
            .collect();
        let expected = [
            (1, 7, 0, 750_000),
            (2, 8, 600_000, 600_000),
            (2, 8, 5_000_000, 5_000_000),
        ];
        assert_eq!(reigns, expected);
    }
}
