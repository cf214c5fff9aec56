//! The arbiter that grants epochs, and the faults on the way to it.

use bellwether_election::{Claim, Epoch, Newest};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::clock::{MS, Micros};

/// The memory of the arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Outlives every server, as a document in a database does.
    Durable,
    /// Has none: the crate's `LocalArbiter`.
    None,
}

#[derive(Clone, Debug)]
pub(crate) struct Arbiter {
    memory: Memory,
    granted: Epoch,
    grants: u64,
    questions: u64,
    reach: Reach,
    longest: Micros,
    /// Having granted or confirmed an epoch, it grants no other within this time.
    time_limit: Micros,
    promised_at: Option<Micros>,
}

/// The faults of claims and of their answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Probability that a claim is refused or does not arrive.
    pub(crate) failure: f64,
    /// Probability that a grant is made but its answer is lost: the answer is a failure.
    pub(crate) lost_answer: f64,
    /// Longest time in transit of a claim, and again of its answer.
    pub(crate) longest: Micros,
}

impl Reach {
    pub(crate) fn good() -> Self {
        Self {
            failure: 0.0,
            lost_answer: 0.0,
            longest: 10 * MS,
        }
    }

    pub(crate) fn bad(rng: &mut SmallRng) -> Self {
        Self {
            failure: rng.random_range(0.0..0.6),
            lost_answer: rng.random_range(0.0..0.3),
            longest: [20, 200, 2_000, 4_000][rng.random_range(0..4)] * MS,
        }
    }
}

impl Arbiter {
    pub(crate) fn new(memory: Memory, time_limit: Micros) -> Self {
        Self {
            memory,
            granted: Epoch::ZERO,
            grants: 0,
            questions: 0,
            reach: Reach::good(),
            longest: Reach::good().longest,
            time_limit,
            promised_at: None,
        }
    }

    pub(crate) fn set_reach(&mut self, reach: Reach) {
        self.reach = reach;
        self.longest = self.longest.max(reach.longest);
    }

    /// Returns the time in transit of a claim, or of its answer.
    pub(crate) fn delay(&self, rng: &mut SmallRng) -> Micros {
        rng.random_range(200..self.reach.longest)
    }

    /// Decides on a claim, and returns the grant and the answer to the claimant.
    pub(crate) fn decide(
        &mut self,
        now: Micros,
        claim: &Claim,
        rng: &mut SmallRng,
    ) -> (Option<Epoch>, Option<Epoch>) {
        let bound = self.promised_at.is_some_and(|at| now < at + self.time_limit);
        if bound || rng.random_bool(self.reach.failure) {
            return (None, None);
        }
        let granted = match self.memory {
            Memory::Durable => self.granted.next(),
            Memory::None => claim.above.next(),
        };
        self.granted = self.granted.max(granted);
        self.grants += 1;
        self.promised_at = Some(now);
        let told = (!rng.random_bool(self.reach.lost_answer)).then_some(granted);
        (Some(granted), told)
    }

    /// Returns the answer to the question if an epoch is the newest.
    pub(crate) fn confirm(&mut self, now: Micros, epoch: Epoch, rng: &mut SmallRng) -> Option<bool> {
        if rng.random_bool(self.reach.failure) {
            return None;
        }
        let newest = self.memory == Memory::None || epoch == self.granted;
        if newest {
            self.promised_at = Some(now);
        }
        (!rng.random_bool(self.reach.lost_answer)).then_some(newest)
    }

    /// Returns the answer to a question for the newest epoch.
    pub(crate) fn newest(&mut self, rng: &mut SmallRng) -> Newest {
        self.questions += 1;
        match self.memory {
            _ if rng.random_bool(self.reach.failure) || rng.random_bool(self.reach.lost_answer) => {
                Newest::Unreachable
            }
            Memory::Durable => Newest::Epoch(self.granted),
            Memory::None => Newest::NotRecorded,
        }
    }

    /// Returns the newest granted epoch, even if no server knows it yet.
    pub(crate) fn granted(&self) -> Epoch {
        self.granted
    }

    /// Returns the longest time that any claim so far may take, there and back.
    pub(crate) fn longest(&self) -> Micros {
        2 * self.longest
    }

    /// Returns the number of questions for the newest epoch.
    pub(crate) fn asked(&self) -> u64 {
        self.questions
    }

    pub(crate) fn grants(&self) -> u64 {
        self.grants
    }
}
