//! What the tries of a batch have taught, and so which commands the next try has.

use std::sync::Arc;

use bellwether_protocol::ErrorFrame;
use bson::Timestamp;

use super::Answer;
use super::batch::BatchResult;
use super::job::Task;
use super::transaction::Rejected;
use super::transaction_error::Fault;

/// What the tries so far have taught.
#[derive(Default)]
pub(super) struct RetryState {
    pub(super) careful: bool,
    pub(super) rejected: Rejected,
    /// Commands from here on wait for another batch.
    pub(super) end: usize,
    /// Tries in a row that failed and may succeed again, although MongoDB has a primary.
    pub(super) failures: u32,
    /// A command that was alone in a try that failed, and how often.
    pub(super) alone: Option<(usize, u32)>,
    pub(super) narrowed_to: Option<usize>,
    pub(super) at_fault: Vec<(usize, u32)>,
    /// A command that waits for a batch without others.
    pub(super) yields: Option<usize>,
}

/// A try that may succeed again is repeated this many times before it is tried with fewer commands.
const TRIES_TOGETHER: u32 = 3;
/// A command alone is tried this many times before others may go first: at the last one the fence
/// is written first, after so many conflicts.
pub(super) const TRIES_ALONE: u32 = 4;
/// A command that fails this many times alone is at fault.
const FAILURES_ALONE: u32 = 2;
/// A transaction without commands that fails this many times is nobody's fault.
const FAILURES_OF_NONE: u32 = 3;

impl RetryState {
    /// Learns from earlier batches: a command of which statements have failed before is alone.
    pub(super) fn begin(&mut self, tasks: &[Arc<Task>]) {
        let before = tasks[..self.end].iter().position(|task| task.failed.are_there());
        if let Some(task) = before {
            self.careful = true;
            self.end = task.max(1);
        }
    }

    /// A statement of this command has failed, which leaves its others to be executed. Returns
    /// `true` if that is the statement's fault: the command was not executed before, and no other
    /// command was before it in the transaction.
    pub(super) fn statement_failed(&mut self, to_run: &[usize], task: usize) -> bool {
        if to_run.len() > 1 {
            self.at_fault.push((task, 1));
        }
        if !self.careful {
            self.careful = true;
            return false;
        }
        if to_run.first() == Some(&task) {
            // The following tries have it alone.
            self.end = task + 1;
            return true;
        }
        // Those before it commit first, and it waits for a batch without others.
        self.end = task;
        self.yields = Some(task);
        false
    }

    /// Leaves a command out of the following tries. Its error counts when one of them has
    /// committed.
    pub(super) fn reject(&mut self, task: usize, answer: ErrorFrame, cost: u32) {
        if !self.rejected.commands.is_empty() {
            self.end = task + 1;
        }
        self.rejected.optimistic |= !self.careful;
        self.rejected.commands.push((task, answer));
        self.careful = true;
        self.at_fault.push((task, cost));
    }

    /// A try has failed that may succeed again. Returns `true` if it had one command and others
    /// should go first.
    pub(super) fn fails_again(&mut self, to_run: &[usize]) -> bool {
        self.failures += 1;
        match to_run {
            [] => false,
            [_] => self.failures >= TRIES_ALONE,
            _ => {
                if self.failures >= TRIES_TOGETHER {
                    self.halve(to_run);
                }
                false
            }
        }
    }

    /// A try has failed, and it is not known why. Returns the fault if it is no command's.
    pub(super) fn narrow_down(&mut self, to_run: &[usize], fault: Fault) -> Option<Fault> {
        match to_run {
            [] => {
                self.failures += 1;
                return (self.failures >= FAILURES_OF_NONE).then_some(fault);
            }
            [task] => {
                let before = self.alone.filter(|(other, _)| other == task);
                let failures = before.map_or(0, |(_, failures)| failures) + 1;
                self.alone = Some((*task, failures));
                if failures >= FAILURES_ALONE {
                    // What was refused behind it waits for the next batch.
                    self.end = self.end.min(task + 1);
                    self.failures = 0;
                    self.reject(*task, fault.into_frame(), TRIES_ALONE);
                }
            }
            _ => self.halve(to_run),
        }
        None
    }

    /// Lets the following tries have the first half of these commands.
    pub(super) fn halve(&mut self, to_run: &[usize]) {
        let half = to_run.len() / 2;
        self.end = to_run[half];
        self.narrowed_to = Some(half);
        self.failures = 0;
    }

    pub(super) fn end(self, answers: Vec<Option<Answer>>, moment: Option<Timestamp>) -> BatchResult {
        BatchResult {
            narrowed_to: self.narrowed_to,
            at_fault: self.at_fault,
            yields: self.yields,
            answers,
            moment,
            ..BatchResult::default()
        }
    }
}
