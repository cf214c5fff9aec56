use core::fmt;
use core::time::Duration;

use bellwether_protocol::json::decimal;
use bellwether_protocol::{CommandId, ErrorFrame, MongoError, Outcome};

use crate::{Try, TryEnd};

/// There is no reply. What that means for the data, [`outcome`](Self::outcome) says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The command's id; absent if no server got as far as introducing itself, or none was asked.
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
}

/// Why a client stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The last server's answer is one that every server would give.
    Refused,
    /// The deadline has passed.
    Deadline,
    /// No server of the list is one this client can use, and waiting would not change that.
    NoUse,
    /// The caller stopped waiting.
    Cancelled,
}

impl Failure {
    /// The try that tells most about what went wrong.
    pub fn telling_try(&self) -> Option<&Try> {
        let last_word = self.tries.last().filter(|_| self.stop == Stop::Refused);
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
    fn last_word(&self) -> Option<&ErrorFrame> {
        match &self.telling_try()?.end {
            TryEnd::Refused(frame) if self.stop == Stop::Refused => Some(frame),
            _ => None,
        }
    }

    /// The outcome and the reason in one line.
    pub fn summary(&self) -> String {
        let verdict = match self.outcome {
            Outcome::NotExecuted => "not executed",
            Outcome::Unknown => "outcome unknown",
            Outcome::Executed => "executed, but there is no reply",
        };
        [verdict, ": ", &self.reason()].concat()
    }

    /// Why there is no reply, for people.
    pub fn reason(&self) -> String {
        match (self.stop, self.telling_try()) {
            (Stop::Refused, Some(tried)) if self.mongo().is_some() => tried.end.text(),
            (Stop::Refused, Some(tried)) => [tried.url.as_str(), " ", &tried.end.text()].concat(),
            (Stop::Refused | Stop::Deadline, _) => {
                let passes = if self.passes == 1 { " pass" } else { " passes" };
                [
                    "no reply within ",
                    &readable(self.took),
                    " (",
                    &decimal(self.passes.into()),
                    passes,
                    " over the list)",
                ]
                .concat()
            }
            (Stop::NoUse, Some(tried)) if tried.end.is_about_origin() => {
                [tried.url.as_str(), " ", &tried.end.text()].concat()
            }
            (Stop::NoUse, _) => "no server of the list is one this client can use".into(),
            (Stop::Cancelled, _) => ["cancelled after ", &readable(self.took)].concat(),
        }
    }

    /// What to do now, for people.
    pub fn hint(&self) -> String {
        let server_says = self.last_word().and_then(|frame| frame.hint.clone());
        match (self.outcome, self.id) {
            (Outcome::Unknown, Some(id)) => [
                "It may or may not have been executed. Ask again with the id ",
                &id.text(),
                ": it runs if it had not, and its first reply comes back if it had.",
            ]
            .concat(),
            (Outcome::Executed, _) => "It has had its effect. Do not send it again as a new command.".into(),
            (_, _) if server_says.is_some() => server_says.unwrap_or_default(),
            _ => match self.stop {
                Stop::Refused => "Nothing was changed. Correct the command and send it again.".into(),
                Stop::NoUse
                    if self
                        .telling_try()
                        .is_some_and(|tried| tried.end.is_about_origin()) =>
                {
                    "Nothing was changed. Start the servers with --allow-origin and the origin of this page."
                        .into()
                }
                Stop::NoUse => {
                    "Nothing was changed. Check the list of servers and the cluster's name.".into()
                }
                Stop::Deadline => {
                    "Nothing was changed. Send it again once a coordinator is reachable.".into()
                }
                Stop::Cancelled => "Nothing was changed.".into(),
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        // A newer try at the same server has taken its place in the list; this one still matters.
        let older = self.unsettled.as_deref().filter(|unsettled| {
            let is_same =
                |tried: &Try| (tried.pass, tried.sent, &tried.url) == (unsettled.pass, true, &unsettled.url);
            !self.tries.iter().any(is_same)
        });
        for tried in older.into_iter().chain(&self.tries) {
            write!(f, "\n  {tried}")?;
        }
        write!(f, "\n{}", self.hint())
    }
}

impl core::error::Error for Failure {}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.url, self.end, readable(self.took))
    }
}

/// A duration as people read it.
fn readable(took: Duration) -> String {
    let millis = took.subsec_millis().into();
    if took < Duration::from_secs(1) {
        [&*decimal(millis), " ms"].concat()
    } else {
        [&*decimal(took.as_secs()), ".", &decimal(millis / 100), " s"].concat()
    }
}
