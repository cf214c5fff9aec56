use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A property of a transport that a check covers. `Display` describes it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// Messages arrive, in both directions.
    Delivery,
    /// The reported sender is the real sender, with three servers that all send to each other, and
    /// also after one of them has restarted.
    Sender,
    /// Every kind of message arrives unchanged, the largest included.
    Content,
    /// No message returns to its sender.
    Echo,
    /// A message reaches its receiver and no other server.
    Addressee,
    /// A message to a stranger, to the sender itself or to an absent peer does no harm.
    Nowhere,
    /// `send` returns while the peer does not read. When the peer reads again, it receives new
    /// messages.
    FullQueue,
    /// The transport keeps a bounded number of messages for a peer that does not read.
    Backlog,
    /// No event is lost when the future of `recv` is dropped.
    Cancellation,
    /// The transport does not report a present peer as refused.
    Alive,
    /// The transport does not report an ended peer as up.
    Gone,
    /// A peer that comes back under the same id reaches the others, and they reach it.
    Return,
    /// The transport reports the link to a returned peer as up, if it had reported the link as
    /// lost.
    LinkAgain,
    /// A message to a peer that was absent does not reach the peer after its return.
    Stale,
    /// Three servers elect a coordinator over the transport, replace it when it crashes, and accept
    /// its return.
    Election,
}

impl Check {
    /// All checks, in the order of their execution.
    pub const ALL: [Check; 15] = [
        Check::Delivery,
        Check::Sender,
        Check::Content,
        Check::Echo,
        Check::Addressee,
        Check::Nowhere,
        Check::FullQueue,
        Check::Backlog,
        Check::Cancellation,
        Check::Alive,
        Check::Gone,
        Check::Return,
        Check::LinkAgain,
        Check::Stale,
        Check::Election,
    ];
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Delivery => "messages arrive in both directions",
            Check::Sender => "the reported sender is the sender of the message",
            Check::Content => "every kind of message arrives unchanged",
            Check::Echo => "no message comes back to its sender",
            Check::Addressee => "a message reaches only the server it is for",
            Check::Nowhere => "sending to a stranger, to oneself or to an absent peer does no harm",
            Check::FullQueue => "send returns when the peer does not read, and later messages arrive",
            Check::Backlog => "the messages kept for a peer that does not read are bounded",
            Check::Cancellation => "dropping the future of recv loses nothing",
            Check::Alive => "a peer that is there is not reported as refused",
            Check::Gone => "a peer that has ended is not reported as up",
            Check::Return => "a peer that comes back is reached again",
            Check::LinkAgain => "the link to a peer that came back is reported as up",
            Check::Stale => "a peer that comes back gets nothing that was sent while it was gone",
            Check::Election => "three servers elect, survive a crash and take the crashed server back",
        })
    }
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The transport has the property.
    Passed,
    /// The transport lacks the property. The text describes the events.
    Failed(String),
    /// The check has no result, for this reason. Mostly because another check has failed.
    Skipped(String),
}

/// The results of all checks. `Display` has a line for each; as an error it lists the faults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a report without a reader checks nothing"]
pub struct Report {
    pub(super) findings: Vec<(Check, Outcome)>,
}

impl Report {
    /// Returns every check and its result, in the order of execution.
    pub fn findings(&self) -> &[(Check, Outcome)] {
        &self.findings
    }

    /// Returns the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = Check> + '_ {
        let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
        self.findings
            .iter()
            .filter(move |(_, outcome)| failed(outcome))
            .map(|(check, _)| *check)
    }

    /// Returns the report as a result, for `?`.
    ///
    /// # Errors
    ///
    /// Unless every check has passed.
    pub fn into_result(self) -> Result<(), Report> {
        if self.all_passed() { Ok(()) } else { Err(self) }
    }

    /// Panics with the report unless every check has passed. For tests.
    ///
    /// # Panics
    ///
    /// Unless every check has passed.
    #[track_caller]
    pub fn assert(self) {
        assert!(self.all_passed(), "the transport does not conform:\n{self}");
    }

    fn all_passed(&self) -> bool {
        self.findings
            .iter()
            .all(|(_, outcome)| *outcome == Outcome::Passed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, outcome) in &self.findings {
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {check}")?,
                Outcome::Failed(seen) => writeln!(f, "FAILED   {check}: {seen}")?,
                Outcome::Skipped(why) => writeln!(f, "skipped  {check}: {why}")?,
            }
        }
        Ok(())
    }
}

impl core::error::Error for Report {}
