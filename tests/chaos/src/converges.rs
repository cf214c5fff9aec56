//! `converges`: if nothing changes, all nodes reach at least one server, and MongoDB works,
//! commands are soon executed again. The other checks would accept a cluster that does nothing at
//! all.

use crate::check::{Finding, Verdict};
use crate::fault::{Fault, Node};
use crate::timeline::{Ordeal, Stretch, Timeline};

/// Time limit for convergence. A cluster takes a second or two: detection, election, and the
/// driver's search for a primary. This limit is no measured figure: it separates slow from stuck.
pub const LIMIT: u64 = 12_000_000;

/// A stretch that is over so soon after [`LIMIT`] may just not have seen a command.
const LEAST: u64 = 2_000_000;

/// Checks every stretch in which no fault began or ended. `executed` are the times at which
/// commands were answered as executed, in order.
pub fn converges(executed: &[u64], timeline: &Timeline, servers: usize) -> Finding {
    let mut checked = 0;
    let mut stuck = Vec::new();
    for Stretch { began, ended, faults } in timeline.stretches() {
        if ended - began < LIMIT + LEAST || !can_work(&faults, servers) {
            continue;
        }
        checked += 1;
        let allowed = began + LIMIT..ended;
        let next = executed.partition_point(|at| *at < allowed.start);
        if !executed.get(next).is_some_and(|at| allowed.contains(at)) {
            let faults: Vec<&str> = faults.iter().map(|ordeal| ordeal.what.as_str()).collect();
            stuck.push(format!(
                "no command was executed between {:.1} s and {:.1} s, although nothing changed since {:.1} s ({})",
                allowed.start as f64 / 1e6,
                ended as f64 / 1e6,
                began as f64 / 1e6,
                if faults.is_empty() { "no fault".into() } else { faults.join("; ") },
            ));
        }
    }
    Finding {
        invariant: "converges".into(),
        workload: None,
        verdict: if stuck.is_empty() {
            Verdict::Held
        } else {
            Verdict::Violated(stuck.join("\n"))
        },
        checked,
    }
}

/// Returns `true` if MongoDB works and at least one server is not affected by any fault.
fn can_work(faults: &[&Ordeal], servers: usize) -> bool {
    let mongodb_works = !faults.iter().any(|ordeal| {
        matches!(
            ordeal.fault,
            Fault::MongodKill
                | Fault::MongodPause
                | Fault::StepDown
                | Fault::MongodMajorityKill
                | Fault::CutMember
                | Fault::DiskStall
                // These affect some links, which may be of any server.
                | Fault::Delay
                | Fault::Loss
        )
    });
    let is_well = |server: usize| {
        !faults
            .iter()
            .any(|ordeal| ordeal.nodes.contains(&Node::Server(server)))
    };
    mongodb_works && (0..servers).any(is_well)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Phase;

    const SECOND: u64 = 1_000_000;

    fn ordeal(fault: Fault, nodes: &[Node], seconds: std::ops::Range<u64>) -> Ordeal {
        Ordeal {
            fault,
            phase: Phase::OneByOne,
            began: seconds.start * SECOND,
            ended: seconds.end * SECOND,
            nodes: nodes.to_vec(),
            what: format!("{fault}"),
        }
    }

    /// Checks one minute; returns `true` if the invariant holds, and the number of stretches.
    fn check(faults: Vec<Ordeal>, executed: &[u64]) -> (bool, u64) {
        let executed: Vec<u64> = executed.iter().map(|second| second * SECOND).collect();
        let timeline = Timeline {
            ended: 60 * SECOND,
            faults,
            ..Timeline::default()
        };
        let finding = converges(&executed, &timeline, 3);
        (finding.verdict == Verdict::Held, finding.checked)
    }

    #[test]
    fn a_fault_that_stops_everything_for_long_is_found() {
        let isolated = ordeal(Fault::Isolate, &[Node::Server(0)], 10..30);
        assert_eq!(check(vec![isolated.clone()], &[1, 9, 12, 25, 50]), (true, 2));
        assert_eq!(check(vec![isolated.clone()], &[1, 9, 12, 31, 50]), (false, 2));
        let kill = ordeal(Fault::ServerKill, &[Node::Server(1)], 20..29);
        // Something changes meanwhile: no stretch is long enough.
        assert_eq!(check(vec![isolated, kill], &[1, 9, 50]), (true, 1));
    }

    #[test]
    fn nothing_may_be_stuck_when_all_is_healed() {
        assert_eq!(
            check(vec![ordeal(Fault::CutPeers, &[Node::Server(2)], 1..5)], &[16]),
            (false, 1)
        );
        assert_eq!(check(Vec::new(), &[]), (false, 1));
    }

    #[test]
    fn nobody_can_work_without_mongodb_or_a_server() {
        let dead = ordeal(
            Fault::MongodMajorityKill,
            &[Node::Mongod(0), Node::Mongod(1)],
            0..60,
        );
        assert_eq!(check(vec![dead], &[]), (true, 0));
        let all = [0, 1, 2].map(|server| ordeal(Fault::Isolate, &[Node::Server(server)], 0..60));
        assert_eq!(check(all.to_vec(), &[]), (true, 0));
    }
}
