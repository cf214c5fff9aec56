use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a transport is checked for. `Display` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// Messages arrive, in both directions.
    Delivery,
    /// The sender that is reported is who sent the message, with three servers that all talk to each other, and
    /// still after one of them was restarted.
    Sender,
    /// Every kind of message arrives unchanged, the largest included.
    Content,
    /// Nothing comes back to whoever sent it.
    Echo,
    /// A message reaches nobody but the server it is for.
    Addressee,
    /// Sending to a stranger, to oneself or to a peer that is not there does no harm.
    Nowhere,
    /// `send` returns while the peer does not read, and when it reads again it gets what is sent then.
    FullQueue,
    /// What is kept for a peer that does not read is bounded.
    Backlog,
    /// No event is lost when the future of `recv` is dropped.
    Cancellation,
    /// A peer that is there and is heard is not reported as refused.
    Alive,
    /// A peer that has ended is not reported as up.
    Gone,
    /// A peer that comes back under the same id is reached again, and reaches the others.
    Return,
    /// The link to a peer that came back is reported as up, if it was reported as lost.
    LinkAgain,
    /// What was sent to a peer while it was gone does not reach it when it comes back.
    Stale,
    /// Three servers elect a coordinator over the transport, replace it when it crashes, and take it back.
    Election,
}

impl Check {
    /// All checks, in the order they are made.
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
            Check::Sender => "the reported sender is who sent the message",
            Check::Content => "every kind of message arrives unchanged",
            Check::Echo => "nothing comes back to whoever sent it",
            Check::Addressee => "a message reaches only the server it is for",
            Check::Nowhere => "sending to a stranger, to oneself or to an absent peer does no harm",
            Check::FullQueue => "send returns when the peer does not read, and later messages arrive",
            Check::Backlog => "what is kept for a peer that does not read is bounded",
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

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The transport does what it should.
    Passed,
    /// It does not; this is what was seen.
    Failed(String),
    /// It could not be told, for this reason. Mostly because of what another check has found.
    Skipped(String),
}

/// How all checks went. `Display` has a line for each; as an error it says what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a report that nobody reads checks nothing"]
pub struct Report {
    pub(super) findings: Vec<(Check, Outcome)>,
}

impl Report {
    /// Every check and how it went, in the order they were made.
    pub fn findings(&self) -> &[(Check, Outcome)] {
        &self.findings
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = Check> + '_ {
        let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
        self.findings
            .iter()
            .filter(move |(_, outcome)| failed(outcome))
            .map(|(check, _)| *check)
    }

    /// The report as a result, for `?`.
    ///
    /// # Errors
    /// Unless every check has passed.
    pub fn into_result(self) -> Result<(), Report> {
        if self.all_passed() { Ok(()) } else { Err(self) }
    }

    /// For a test: panics with the report unless every check has passed.
    ///
    /// # Panics
    /// See above.
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
