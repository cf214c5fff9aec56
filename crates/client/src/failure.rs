use core::fmt;
use core::time::Duration;

use bellwether_protocol::json::decimal;
use bellwether_protocol::{CommandId, CoordinatorHint, ErrorFrame, MongoError, Outcome};

use crate::{Attempt, AttemptEnd};

/// The error if there is no reply. [`outcome`](Self::outcome) says what the failure means for the
/// data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The command's id, or `None` if the client sent the command to no server.
    pub id: Option<CommandId>,
    /// The outcome of the command, from all attempts together.
    pub outcome: Outcome,
    /// The reason why the client stopped.
    pub stop: Stop,
    /// The number of passes over the list that began.
    pub passes: u32,
    /// The total time.
    pub took: Duration,
    /// The newest attempt at each server, in the order in which they ended.
    pub attempts: Vec<Attempt>,
    /// The newest attempt whose outcome is still unknown. This attempt may be older than the
    /// attempt in `attempts`.
    pub unsettled: Option<Box<Attempt>>,
    /// Set if the command only reads, so that it has no effect. The outcome of the command is then
    /// never `unknown`.
    pub only_reads: bool,
    /// The coordinator that servers of the list named, if it is not on the list.
    pub unlisted: Option<CoordinatorHint>,
    /// The longest deadline that the last asked server allows.
    pub(crate) longest_deadline: Option<Duration>,
    pub(crate) given: Given,
}

/// The reason why a client stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Every server would give the last server's answer.
    Refused,
    /// The server with the command had all the available time, and answered that it was not enough.
    NeededLonger,
    /// The deadline has passed.
    Deadline,
    /// The servers of the list follow a coordinator that is not on it.
    NotListed,
    /// This client can use no server of the list, and waiting would not change that.
    NoUse,
    /// The caller stopped waiting.
    Cancelled,
}

/// The part of the caller's input that errors mention.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) deadline: Duration,
    /// The name of the option with which people set the deadline.
    pub(crate) option: &'static str,
    pub(crate) cluster: Option<String>,
}

impl Failure {
    /// Returns the attempt that explains the failure best.
    pub fn decisive_attempt(&self) -> Option<&Attempt> {
        let decided = matches!(self.stop, Stop::Refused | Stop::NeededLonger);
        let last_word = self.attempts.last().filter(|_| decided);
        last_word.or_else(|| {
            self.unsettled
                .as_deref()
                .into_iter()
                .chain(&self.attempts)
                .max_by_key(|tried| tried.weight())
        })
    }

    /// Returns the code of the attempt that explains the failure best; see [`AttemptEnd::code`].
    pub fn code(&self) -> &'static str {
        match self.decisive_attempt() {
            Some(tried) => tried.end.code(),
            None if self.stop == Stop::Cancelled => "cancelled",
            None => "deadline",
        }
    }

    /// Returns MongoDB's error, if MongoDB refused the command.
    pub fn mongo(&self) -> Option<&MongoError> {
        self.last_word()?.mongo.as_ref()
    }

    /// Returns the answer that made the client stop.
    pub(crate) fn last_word(&self) -> Option<&ErrorFrame> {
        match &self.decisive_attempt()?.end {
            AttemptEnd::Refused(frame) if self.stop == Stop::Refused => Some(frame),
            _ => None,
        }
    }
}

impl Failure {
    /// Returns everything that people should read, in lines: the summary, the attempts, the next
    /// step. The lines may contain text from servers with control characters: escape these for a
    /// terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.summary()];
        // A newer attempt at the same server has replaced this one in the list, but this one still
        // matters.
        let older = self.unsettled.as_deref().filter(|unsettled| {
            let is_same = |tried: &Attempt| {
                (tried.pass, tried.sent, &tried.url) == (unsettled.pass, true, &unsettled.url)
            };
            !self.attempts.iter().any(is_same)
        });
        let attempts = older.into_iter().chain(&self.attempts);
        lines.extend(attempts.map(|tried| format!("  {tried}")));
        lines.push(self.hint());
        lines
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl core::error::Error for Failure {}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.url, self.end, readable(self.took))
    }
}

/// Returns a duration as people read it.
pub(crate) fn readable(took: Duration) -> String {
    let millis = took.subsec_millis().into();
    if took < Duration::from_secs(1) {
        [&*decimal(millis), " ms"].concat()
    } else {
        [&*decimal(took.as_secs()), ".", &decimal(millis / 100), " s"].concat()
    }
}
