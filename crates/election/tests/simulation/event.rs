//! The future events, in the order of real time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bellwether_election::{Claim, Epoch, Instant, Link, Message, Newest};

use crate::clock::Micros;

/// A message or an answer in transit.
#[derive(Debug)]
pub(crate) enum Event {
    /// To a server, unless its process has ended meanwhile.
    Server { server: usize, process: u64, what: What },
    /// To the arbiter, which answers although the claimant may be gone.
    Claim {
        server: usize,
        process: u64,
        claim: Claim,
    },
    /// To the arbiter: is this epoch still the newest?
    Confirm {
        server: usize,
        process: u64,
        epoch: Epoch,
    },
    /// To the arbiter: which epoch is the newest?
    AskNewest { server: usize, process: u64 },
    /// To the resource.
    Write {
        server: usize,
        process: u64,
        epoch: Epoch,
    },
}

#[derive(Debug)]
pub(crate) enum What {
    Wake(Instant),
    Deliver {
        from: usize,
        message: Message,
    },
    Link {
        peer: usize,
        link: Link,
        hint: u64,
    },
    ClaimAnswered(Option<Epoch>),
    ConfirmAnswered {
        epoch: Epoch,
        newest: Option<bool>,
    },
    NewestAnswered(Newest),
    /// The operator has added a server to the cluster, or taken it out.
    Membership {
        peer: usize,
        belongs: bool,
    },
    /// A client has something for the coordinator of this epoch to do.
    Work(Epoch),
    WriteAnswered {
        epoch: Epoch,
        refused: bool,
    },
    /// The process looks whether it has drained.
    Drained(Epoch),
    /// The process ends because its server has left.
    Exit,
}

#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
}

struct Scheduled {
    at: Micros,
    /// Unique, so that events of one moment happen in the order in which they were caused.
    sequence: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl Queue {
    pub(crate) fn push(&mut self, at: Micros, event: Event) {
        self.sequence += 1;
        let sequence = self.sequence;
        self.heap.push(Reverse(Scheduled { at, sequence, event }));
    }

    /// Returns the next event, if it happens until `end`.
    pub(crate) fn pop(&mut self, end: Micros) -> Option<(Micros, Event)> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        let Reverse(next) = self.heap.pop()?;
        Some((next.at, next.event))
    }
}
