//! The actions in a cluster.

use std::sync::Arc;

use bellwether_election::{Epoch, Link};

use crate::network::Envelope;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Deliver(Arc<Envelope>),
    /// It arrives and is still in flight.
    DeliverAndKeep(Arc<Envelope>),
    Lose(Arc<Envelope>),
    /// Messages in transit from one server to another take their time.
    Stall(usize, usize),
    Timeout(usize),
    /// All clocks move to the next deadline.
    Tick,
    Sleep(usize),
    Wake(usize),
    Crash(usize),
    Restart(usize, u64),
    Hint(usize, usize, Link),
    /// The arbiter grants; the answer is in transit.
    Grant(usize),
    Answer(usize),
    /// The arbiter refuses, or its grant does not reach the server.
    Refuse(usize),
    /// The arbiter answers if the epoch is still the newest; the answer is in transit.
    Confirm(usize),
    AnswerConfirmation(usize),
    LoseConfirmation(usize),
    /// The arbiter looks for its newest epoch; the answer is in transit.
    LookUp(usize),
    AnswerQuestion(usize),
    LoseAnswer(usize),
    /// A message to a server names another server as its sender, and says that this one is
    /// coordinator.
    Lie(usize, usize, Epoch),
    Write(usize),
    Drained(usize),
    Leave(usize),
    Resign(usize),
    SetEligible(usize, bool),
}
