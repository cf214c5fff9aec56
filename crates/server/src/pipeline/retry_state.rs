//! The facts that the tries of a batch have shown, and the commands of the next try.

use std::sync::Arc;

use bellwether_protocol::ErrorFrame;
use bson::Timestamp;

use super::Answer;
use super::batch::BatchResult;
use super::job::Task;
use super::transaction::Rejected;
use super::transaction_error::Fault;

/// The facts that the tries so far have shown.
#[derive(Default)]
pub(super) struct RetryState {
    pub(super) careful: bool,
    pub(super) rejected: Rejected,
    /// Place from which on the commands wait for another batch.
    pub(super) end: usize,
    /// Number of tries in a row that failed and may succeed again, although MongoDB has a primary.
    pub(super) failures: u32,
    /// A command that was alone in a failed try, and the number of such tries.
    pub(super) alone: Option<(usize, u32)>,
    pub(super) narrowed_to: Option<usize>,
    pub(super) at_fault: Vec<(usize, u32)>,
    /// A command that waits for a batch without others.
    pub(super) yields: Option<usize>,
}

/// Number of failed tries that may succeed again, after which the next try has fewer commands.
const TRIES_TOGETHER: u32 = 3;
/// Number of tries with one command alone before others may go first. If the first tries met write
/// conflicts, the last one writes the fence first.
pub(super) const TRIES_ALONE: u32 = 4;
/// Number of failures alone after which a command is at fault.
const FAILURES_ALONE: u32 = 2;
/// Number of failures of a transaction without commands, after which no command is at fault.
const FAILURES_OF_NONE: u32 = 3;

impl RetryState {
    /// Learns from earlier batches: a command with statements that have failed before is alone.
    pub(super) fn begin(&mut self, tasks: &[Arc<Task>]) {
        let before = tasks[..self.end].iter().position(|task| task.failed.are_there());
        if let Some(task) = before {
            self.careful = true;
            self.end = task.max(1);
        }
    }

    /// Records that a statement of this command has failed, which leaves its other statements to be
    /// executed. Returns `true` if the statement is at fault: the command was not executed before,
    /// and no other command was before it in the transaction.
    pub(super) fn statement_failed(&mut self, to_run: &[usize], task: usize) -> bool {
        if to_run.len() > 1 {
            self.at_fault.push((task, 1));
        }
        if !self.careful {
            self.careful = true;
            return false;
        }
        if to_run.first() == Some(&task) {
            // The following tries have this command alone.
            self.end = task + 1;
            return true;
        }
        // The commands before it commit first, and it waits for a batch without others.
        self.end = task;
        self.yields = Some(task);
        false
    }

    /// Leaves a command out of the following tries. Its error counts when one of these tries has
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

    /// Records a failed try that may succeed again. Returns `true` if the try had one command and
    /// others should go first.
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

    /// Records a failed try whose reason is not known. Returns the fault if it is not the fault of
    /// a command.
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
                    // The refused commands behind it wait for the next batch.
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
