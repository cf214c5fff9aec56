use core::fmt;
use core::time::Duration;

use bellwether_protocol::json::decimal;
use bellwether_protocol::{CommandId, CoordinatorHint, ErrorFrame, MongoError, Outcome};

use crate::{Try, TryEnd};

/// There is no reply. What that means for the data, [`outcome`](Self::outcome) says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The command's id; absent if the command was handed to no server.
    pub id: Option<CommandId>,
    /// What became of the command, all tries taken together.
    pub outcome: Outcome,
    /// Why no further server was asked.
    pub stop: Stop,
    /// How many passes over the list were begun.
    pub passes: u32,
    /// How long it all took.
    pub took: Duration,
    /// The newest try at each server, in the order in which they ended.
    pub tries: Vec<Try>,
    /// The newest try whose outcome is still unknown; it may be older than the one in `tries`.
    pub unsettled: Option<Box<Try>>,
    /// `true` if the command only reads, so that it has no effect. Its outcome is never `unknown`
    /// then.
    pub only_reads: bool,
    /// The coordinator that servers of the list named, if it is not on the list.
    pub unlisted: Option<CoordinatorHint>,
    /// The longest deadline that the server allows which had the command.
    pub(crate) longest_deadline: Option<Duration>,
    pub(crate) given: Given,
}

/// Why a client stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The last server's answer is one that every server would give.
    Refused,
    /// The server that had the command was given all the time there was, and said that this was not
    /// enough.
    NeededLonger,
    /// The deadline has passed.
    Deadline,
    /// The servers of the list follow a coordinator that is not on it.
    NotListed,
    /// No server of the list is one this client can use, and waiting would not change that.
    NoUse,
    /// The caller stopped waiting.
    Cancelled,
}

/// The caller's input, as far as errors speak of it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) deadline: Duration,
    /// The name under which people set the deadline.
    pub(crate) option: &'static str,
    pub(crate) cluster: Option<String>,
}

impl Failure {
    /// The try that tells most about what went wrong.
    pub fn telling_try(&self) -> Option<&Try> {
        let decided = matches!(self.stop, Stop::Refused | Stop::NeededLonger);
        let last_word = self.tries.last().filter(|_| decided);
        last_word.or_else(|| {
            self.unsettled
                .as_deref()
                .into_iter()
                .chain(&self.tries)
                .max_by_key(|tried| tried.weight())
        })
    }

    /// The code of the most telling try; see [`TryEnd::code`].
    pub fn code(&self) -> &'static str {
        match self.telling_try() {
            Some(tried) => tried.end.code(),
            None if self.stop == Stop::Cancelled => "cancelled",
            None => "deadline",
        }
    }

    /// What MongoDB said, if it is MongoDB that refused the command.
    pub fn mongo(&self) -> Option<&MongoError> {
        self.last_word()?.mongo.as_ref()
    }

    /// The answer that made the client stop.
    pub(crate) fn last_word(&self) -> Option<&ErrorFrame> {
        match &self.telling_try()?.end {
            TryEnd::Refused(frame) if self.stop == Stop::Refused => Some(frame),
            _ => None,
        }
    }
}

impl Failure {
    /// Everything that people should read, in lines: the summary, the tries, what to do now. They
    /// may hold text of servers as it was received, with control characters: escape these for a
    /// terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.summary()];
        // A newer try at the same server has taken its place in the list; this one still matters.
        let older = self.unsettled.as_deref().filter(|unsettled| {
            let is_same =
                |tried: &Try| (tried.pass, tried.sent, &tried.url) == (unsettled.pass, true, &unsettled.url);
            !self.tries.iter().any(is_same)
        });
        let tries = older.into_iter().chain(&self.tries);
        lines.extend(tries.map(|tried| format!("  {tried}")));
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

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.url, self.end, readable(self.took))
    }
}

/// A duration as people read it.
pub(crate) fn readable(took: Duration) -> String {
    let millis = took.subsec_millis().into();
    if took < Duration::from_secs(1) {
        [&*decimal(millis), " ms"].concat()
    } else {
        [&*decimal(took.as_secs()), ".", &decimal(millis / 100), " s"].concat()
    }
}
