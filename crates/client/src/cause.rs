//! The reason why there is no reply, and what people can do about it.

use core::time::Duration;

use bellwether_protocol::json::decimal;
use bellwether_protocol::{CoordinatorHint, ErrorCode, Outcome};

use crate::failure::readable;
use crate::{Attempt, AttemptEnd, Failure, Lost, Stop};

/// The reasons why there is no reply, one for each text that people may read.
enum Cause<'a> {
    /// The answer of a server is final.
    Refused(&'a Attempt),
    /// The server had the command for all the available time.
    NeededLonger {
        /// The time limit for one attempt, if the server sets it.
        limit: Option<Duration>,
        /// The newest attempt that a server itself ended for this reason.
        said: Option<&'a Attempt>,
    },
    /// The server with the command gave no sign of life any more, and no other server replaced it.
    FellSilent(&'a Attempt),
    /// The coordinator had no room for the command until the deadline.
    NoRoom(&'a Attempt),
    /// The last attempt with an error or a lost connection explains the failure.
    Said(&'a Attempt),
    /// The coordinator is not on the list.
    NotListed(&'a CoordinatorHint),
    /// The servers do not let pages of this origin connect.
    OriginNotAllowed(&'a Attempt),
    OtherCluster,
    /// A program answers at every address, but this client can use none of them.
    NoUse,
    /// The client reached servers, but none of them was coordinator.
    NoCoordinator,
    NobodyReached,
    Cancelled,
}

impl Failure {
    fn cause(&self) -> Cause<'_> {
        match self.stop {
            Stop::Cancelled => return Cause::Cancelled,
            Stop::NeededLonger => return self.needed_longer(),
            Stop::Refused => {
                if let Some(tried) = self.decisive_attempt() {
                    return Cause::Refused(tried);
                }
            }
            Stop::NotListed | Stop::NoUse | Stop::Deadline => {}
        }
        let last =
            |is_it: fn(&AttemptEnd) -> bool| self.attempts.iter().rev().find(|tried| is_it(&tried.end));
        let is_code =
            |end: &AttemptEnd, code| matches!(end, AttemptEnd::Refused(frame) if frame.code == code);
        if self.stop == Stop::Deadline {
            let worked = |end: &AttemptEnd| match end {
                AttemptEnd::Lost(Lost::StillWorking) => true,
                AttemptEnd::Refused(frame) => frame.code == ErrorCode::Deadline,
                _ => false,
            };
            if last(worked).is_some() {
                return self.needed_longer();
            }
            if let Some(tried) = last(|end| matches!(end, AttemptEnd::Lost(_))) {
                return match tried.end {
                    AttemptEnd::Lost(Lost::Silence) => Cause::FellSilent(tried),
                    _ => Cause::Said(tried),
                };
            }
            if let Some(tried) = last(|end| matches!(end, AttemptEnd::Refused(_)) && !end.is_about_cluster())
            {
                if is_code(&tried.end, ErrorCode::Overloaded) {
                    return Cause::NoRoom(tried);
                }
                if !is_code(&tried.end, ErrorCode::NotCoordinator) {
                    return Cause::Said(tried);
                }
            }
        }
        if let Some(tried) = last(AttemptEnd::is_about_origin) {
            return Cause::OriginNotAllowed(tried);
        }
        let elsewhere = self
            .attempts
            .iter()
            .filter(|tried| tried.end.is_about_cluster())
            .count();
        if elsewhere > 0 && elsewhere == self.attempts.len() {
            return Cause::OtherCluster;
        }
        if let Some(coordinator) = &self.unlisted {
            return Cause::NotListed(coordinator);
        }
        if self.stop == Stop::NoUse {
            return Cause::NoUse;
        }
        let reached = last(|end| {
            matches!(
                end,
                AttemptEnd::NotCoordinator { .. } | AttemptEnd::HelloRefused(_) | AttemptEnd::Refused(_)
            )
        });
        match reached {
            Some(_) => Cause::NoCoordinator,
            None => Cause::NobodyReached,
        }
    }

    fn needed_longer(&self) -> Cause<'_> {
        let said = |tried: &&Attempt| matches!(&tried.end, AttemptEnd::Refused(frame) if frame.code == ErrorCode::Deadline);
        Cause::NeededLonger {
            limit: self.longest_deadline.filter(|limit| *limit < self.given.deadline),
            said: self.attempts.iter().rfind(said),
        }
    }

    /// Returns the outcome and the reason in one line.
    pub fn summary(&self) -> String {
        let verdict = match self.outcome {
            Outcome::NotExecuted => "not executed",
            Outcome::Unknown => "outcome unknown",
            Outcome::Executed => "executed, but there is no reply",
        };
        // A read without an answer may have been executed, but it has no effect.
        let verdict = match self.stop {
            Stop::Refused => verdict,
            _ if self.only_reads => "no reply",
            _ => verdict,
        };
        [verdict, ": ", &self.reason()].concat()
    }

    /// Returns the reason why there is no reply, for people.
    pub fn reason(&self) -> String {
        let within = [" within ", &readable(self.took), &self.passes_text()].concat();
        match self.cause() {
            Cause::Refused(tried) if self.mongo().is_some() => tried.end.text(),
            Cause::Refused(tried) if is_id_reused(tried) => {
                let id = self.id.map(|id| id.text()).unwrap_or_default();
                [
                    "the id ",
                    &id,
                    " belongs to another command: the text differs from the one that was sent with it",
                ]
                .concat()
            }
            Cause::Refused(tried) => [tried.url.as_str(), " ", &tried.end.text()].concat(),
            Cause::NeededLonger { limit, said } => {
                let whose = match limit {
                    None => [&*readable(self.given.deadline), " of ", self.given.option].concat(),
                    Some(limit) => readable(limit) + " that the servers allow for one try",
                };
                let said = said.map(|tried| ["; ", tried.url.as_str(), " ", &tried.end.text()].concat());
                [
                    "MongoDB needed longer than the ",
                    &whose,
                    ", for this command or those before it",
                    &said.unwrap_or_default(),
                ]
                .concat()
            }
            Cause::FellSilent(tried) => [
                tried.url.as_str(),
                " fell silent, and no other server became coordinator",
                &within,
            ]
            .concat(),
            Cause::NoRoom(tried) => [tried.url.as_str(), " had no room for it", &within].concat(),
            Cause::Said(tried) => [
                "no reply",
                &within,
                "; ",
                tried.url.as_str(),
                " ",
                &tried.end.text(),
            ]
            .concat(),
            Cause::NotListed(coordinator) => {
                [&*named(coordinator), " is coordinator and is not on your list"].concat()
            }
            Cause::OriginNotAllowed(tried) => [tried.url.as_str(), " ", &tried.end.text()].concat(),
            Cause::OtherCluster => match &self.given.cluster {
                Some(cluster) => ["no server of the list belongs to the cluster \"", cluster, "\""].concat(),
                None => "every server of the list belongs to another cluster".into(),
            },
            Cause::NoUse => "no server of the list is one this client can use".into(),
            Cause::NoCoordinator => ["no server of the list was coordinator", &within].concat(),
            Cause::NobodyReached => ["no server of the list could be reached", &within].concat(),
            Cause::Cancelled => ["cancelled after ", &readable(self.took)].concat(),
        }
    }

    fn passes_text(&self) -> String {
        let passes = if self.passes == 1 { " pass" } else { " passes" };
        [" (", &*decimal(self.passes.into()), passes, " over the list)"].concat()
    }

    /// Returns `true` if the same text with the same id can get another answer.
    pub fn can_get_better(&self) -> bool {
        self.stop != Stop::Refused
    }

    /// Returns advice on the next step, for people.
    pub fn hint(&self) -> String {
        match (self.outcome, self.id) {
            (Outcome::Unknown, Some(id)) => self.hint_if_unknown(&id.text()),
            (Outcome::Unknown, None) => "It may or may not have been executed.".into(),
            (Outcome::Executed, _) => "It has had its effect. Do not send it again as a new command.".into(),
            (Outcome::NotExecuted, _) => {
                let said = self.last_word().filter(|frame| frame.code != ErrorCode::IdReused);
                if let Some(hint) = said.and_then(|frame| frame.hint.clone()) {
                    return hint;
                }
                let nothing = if self.only_reads {
                    "Nothing was changed: the command only reads."
                } else {
                    "Nothing was changed."
                };
                [nothing, self.advice().as_str()].join(" ").trim_end().to_owned()
            }
        }
    }

    fn hint_if_unknown(&self, id: &str) -> String {
        let refused_for = match self.cause() {
            Cause::Refused(tried) => Some(tried.end.code()),
            _ => None,
        };
        if refused_for == Some(ErrorCode::IdExpired.as_str()) {
            return "It may or may not have been executed, and the servers no longer know: they remember an id for a \
                    limited time. Look at the data before you send it as a new command."
                .into();
        }
        if refused_for.is_some() {
            return [
                "An earlier try may or may not have had its effect. This answer does not say, and the next would be the \
                 same. Ask for the outcome of the id ",
                id,
                ".",
            ]
            .concat();
        }
        let longer = match self.cause() {
            Cause::NeededLonger { limit: None, .. } => [" Raise ", self.given.option, " for that."].concat(),
            _ => String::new(),
        };
        [
            "It may or may not have been executed. Ask again with the id ",
            id,
            ": it runs if it had not, and its first reply comes back if it had.",
            &longer,
        ]
        .concat()
    }

    /// Returns advice on a command that had no effect.
    fn advice(&self) -> String {
        match self.cause() {
            Cause::Refused(tried) if is_id_reused(tried) => {
                "With this id, send exactly the text that was sent first; a new command needs an id of its own.".into()
            }
            Cause::Refused(tried) if tried.end.blames_the_client() => {
                "The client and the server do not understand each other: use versions that belong together.".into()
            }
            Cause::Refused(tried) if matches!(tried.end, AttemptEnd::Lost(_)) => {
                "Ask for less, or raise the limit of the proxy that found the message too long.".into()
            }
            Cause::Refused(_) => "Correct the command and send it again.".into(),
            Cause::NeededLonger { limit, said } => {
                let cheaper = match limit {
                    None => [
                        "Raise ",
                        self.given.option,
                        ", or make the command cheaper: an index, a limit.",
                    ]
                    .concat(),
                    Some(_) => "A command that needs longer by itself must be cheaper (an index, a limit) or divided.".into(),
                };
                let hint = said.and_then(|tried| match &tried.end {
                    AttemptEnd::Refused(frame) => frame.hint.as_ref(),
                    _ => None,
                });
                let hint = hint.map(|hint| [" The server advises: ", hint, "."].concat());
                cheaper + &hint.unwrap_or_default()
            }
            Cause::NotListed(coordinator) => ["Add ", &named(coordinator), " to the list of servers."].concat(),
            Cause::OriginNotAllowed(_) => {
                "Start the servers with --allow-origin and the origin of this page.".into()
            }
            Cause::OtherCluster | Cause::NoUse => "Check the list of servers and the cluster's name.".into(),
            Cause::NobodyReached => "Check the list of servers, and that they run; then send it again.".into(),
            Cause::NoRoom(_) => "Send it again later: the servers have more commands than they can execute.".into(),
            Cause::FellSilent(_) | Cause::NoCoordinator => "Send it again once a coordinator is reachable.".into(),
            Cause::Said(_) => "Send it again.".into(),
            Cause::Cancelled => String::new(),
        }
    }
}

fn is_id_reused(tried: &Attempt) -> bool {
    tried.end.code() == ErrorCode::IdReused.as_str()
}

fn named(coordinator: &CoordinatorHint) -> String {
    match &coordinator.url {
        Some(url) => [&*coordinator.server, " at ", place(url)].concat(),
        None => coordinator.server.clone(),
    }
}

/// Returns the address in the form in which people write it into the list, or the URL itself if it
/// has an unusual form.
fn place(url: &str) -> &str {
    let place = url
        .strip_prefix("ws://")
        .and_then(|rest| rest.strip_suffix("/v1"));
    place.unwrap_or(url)
}
