//! The search for one order that explains all answers: porcupine's, one object at a time.

use core::time::Duration;

use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};

/// An operation and the time in which it took place.
#[derive(Clone, Debug)]
pub(crate) struct Timed<Op> {
    pub(crate) op: Op,
    /// It took place after this moment,
    pub(crate) began: u64,
    /// and before this one.
    pub(crate) ended: u64,
    /// `true` if the operation changes nothing. The search may then look for an order without it.
    pub(crate) is_read: bool,
    /// Description of the operation, for people.
    pub(crate) name: String,
}

/// Result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// There is such an order.
    Explained,
    /// There is none, for people.
    Contradicted(String),
    /// The time was up.
    Undecided,
}

/// Searches an order. If there is none, names the first read that cannot be explained, if it is a
/// read.
pub(crate) fn decide<M: Model>(mut operations: Vec<Timed<M::Op>>, limit: Duration) -> Decision {
    if let Some(early) = operations.iter().find(|one| one.ended < one.began) {
        // The limits from other operations leave no moment.
        return Decision::Contradicted(format!(
            "no moment is left for {}: after {} µs and before {} µs",
            early.name, early.began, early.ended
        ));
    }
    // Reads last, in the order of their ends.
    operations.sort_by_key(|one| (one.is_read, one.ended));
    let all = operations.len();
    match explains::<M>(&operations, limit) {
        CheckResult::Ok => return Decision::Explained,
        CheckResult::Unknown => return Decision::Undecided,
        CheckResult::Illegal => {}
    }
    let mut explained = operations.iter().filter(|one| !one.is_read).count();
    let mut contradicted = all;
    if explains::<M>(&operations[..explained], limit) == CheckResult::Illegal {
        return Decision::Contradicted(format!(
            "no order explains {explained} writes, even without reads"
        ));
    }
    // If some of the reads contradict the writes, more reads contradict them too.
    while explained + 1 < contradicted {
        let middle = usize::midpoint(explained, contradicted);
        match explains::<M>(&operations[..middle], limit) {
            CheckResult::Illegal => contradicted = middle,
            CheckResult::Ok | CheckResult::Unknown => explained = middle,
        }
    }
    let first = &operations[contradicted - 1];
    Decision::Contradicted(format!(
        "no order explains {} (from {} to {} µs) besides what was read before",
        first.name, first.began, first.ended
    ))
}

fn explains<M: Model>(operations: &[Timed<M::Op>], limit: Duration) -> CheckResult {
    let time = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    let operations: Vec<Operation<M>> = operations
        .iter()
        .map(|one| Operation {
            client_id: None,
            call_time: time(one.began),
            return_time: time(one.ended),
            op: one.op.clone(),
            metadata: None,
        })
        .collect();
    // Not its variant that also explains: with that one, time that is up counts as a contradiction
    // (0.3.0).
    check_operations_timeout(&operations, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell in which every operation is possible, so that only the number of orders counts.
    #[derive(Clone)]
    struct Sum;

    impl Model for Sum {
        type State = Vec<u32>;
        type Op = Option<u32>;
        type Metadata = ();

        fn init() -> Vec<u32> {
            Vec::new()
        }

        fn step(state: &Vec<u32>, op: &Option<u32>) -> (bool, Vec<u32>) {
            let mut next = state.clone();
            next.extend(op);
            (op.is_some(), next)
        }
    }

    #[test]
    fn time_that_is_up_is_undecided_and_no_contradiction() {
        // The search would have to try all orders of twelve writes before the read that nothing
        // explains.
        let one = |op: Option<u32>, at: u64| Timed {
            op,
            began: at,
            ended: at + 100,
            is_read: op.is_none(),
            name: "x".into(),
        };
        let mut operations: Vec<_> = (0..12).map(|n| one(Some(n), 0)).collect();
        operations.push(one(None, 1000));
        assert_eq!(
            decide::<Sum>(operations.clone(), Duration::from_millis(20)),
            Decision::Undecided
        );
        operations.pop();
        assert_eq!(
            decide::<Sum>(operations, Duration::from_secs(10)),
            Decision::Explained
        );
    }
}
