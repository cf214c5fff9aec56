use crate::plan::Phase;
use crate::timeline::Ordeal;

/// Time after which a healed fault has no more effects: a process starts, comes back, or takes over
/// again.
const HEALING: u64 = 2_000_000;

/// The longest times without any executed command, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// For each fault, the longest gap that overlaps it or the two seconds after it was healed. If
    /// faults came one by one, a gap counts only for the first fault that it overlaps. The next
    /// fault may begin before the gap is over, and is not its cause.
    pub of_faults: Vec<u64>,
    /// The longest gap that belongs to no fault.
    pub calm: u64,
}

/// Returns all gaps between the times at which commands were answered as executed; these are in
/// order. Before the first and after the last, nothing was executed from `began` and until `ended`.
pub fn gaps(executed: &[u64], faults: &[Ordeal], began: u64, ended: u64) -> Gaps {
    let mut gaps = Gaps {
        of_faults: vec![0; faults.len()],
        calm: 0,
    };
    for (from, to) in between(executed, began, ended) {
        let overlaps = |ordeal: &Ordeal| ordeal.began < to && from < ordeal.ended + HEALING;
        let first = faults
            .iter()
            .filter(|ordeal| overlaps(ordeal))
            .map(|ordeal| ordeal.began)
            .min();
        for (ordeal, longest) in faults.iter().zip(&mut gaps.of_faults) {
            if overlaps(ordeal) && (ordeal.phase == Phase::Mixed || Some(ordeal.began) == first) {
                *longest = (*longest).max(to - from);
            }
        }
        if first.is_none() {
            gaps.calm = gaps.calm.max(to - from);
        }
    }
    gaps
}

/// Returns the stretches in which nothing was executed, with their beginnings and ends.
pub(super) fn between(executed: &[u64], began: u64, ended: u64) -> impl Iterator<Item = (u64, u64)> {
    let inside = executed
        .iter()
        .copied()
        .filter(move |at| (began..ended).contains(at));
    let ends = inside.chain([ended]);
    ends.scan(began, |last, at| Some((std::mem::replace(last, at), at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    const SECOND: u64 = 1_000_000;

    fn ordeal(phase: Phase, began: u64, ended: u64) -> Ordeal {
        Ordeal {
            fault: Fault::Isolate,
            phase,
            began: began * SECOND,
            ended: ended * SECOND,
            nodes: Vec::new(),
            what: String::new(),
        }
    }

    /// Checks times in seconds.
    fn check(executed: &[u64], faults: &[Ordeal], ended: u64) -> (Vec<u64>, u64) {
        let executed: Vec<u64> = executed.iter().map(|second| second * SECOND).collect();
        let Gaps { of_faults, calm } = gaps(&executed, faults, 0, ended * SECOND);
        let of_faults = of_faults.iter().map(|gap| gap / SECOND).collect();
        (of_faults, calm / SECOND)
    }

    #[test]
    fn a_fault_costs_the_longest_gap_that_overlaps_it() {
        let [alone, mixed] = [Phase::OneByOne, Phase::Mixed];
        let faults = [
            ordeal(alone, 15, 25),
            ordeal(alone, 53, 56),
            ordeal(mixed, 70, 200),
        ];
        assert_eq!(
            check(&[10, 20, 50, 54, 57, 65, 100], &faults, 120),
            (vec![30, 8, 35], 10)
        );
    }

    #[test]
    fn a_gap_is_the_doing_of_all_faults_or_of_the_first_that_was_alone() {
        let at = |phase| [ordeal(phase, 15, 18), ordeal(phase, 25, 28)];
        assert_eq!(check(&[14, 27, 29], &at(Phase::Mixed), 31), (vec![13, 13], 14));
        assert_eq!(check(&[14, 27, 29], &at(Phase::OneByOne), 31), (vec![13, 2], 14));
    }

    #[test]
    fn nothing_executed_is_one_gap() {
        assert_eq!(check(&[], &[ordeal(Phase::Mixed, 15, 25)], 120), (vec![120], 0));
    }

    #[test]
    fn what_was_executed_outside_does_not_count() {
        let stretches: Vec<_> = between(&[1, 7, 30], 5, 20).collect();
        assert_eq!(stretches, [(5, 7), (7, 20)]);
    }
}
