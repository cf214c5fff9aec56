use std::process::ExitCode;

use bellwether_client::{
    AttemptEnd, ErrorCode, Event, Executed, Failure, MongoErrorDetails, Outcome, OutcomeResult, RawJson,
};

use crate::arguments::Arguments;
use crate::pretty::{pretty, pretty_relaxed};
use crate::terminal::{print_json, tell};

/// The exit code of the process; `--help` lists the numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    Executed = 0,
    Mongo = 1,
    Usage = 2,
    NotExecuted = 3,
    Unknown = 4,
    UnknownStill = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

pub(crate) fn executed(arguments: &Arguments, executed: &Executed) -> Exit {
    if arguments.verbose {
        let replayed = if executed.replayed {
            ", the stored reply of an earlier execution"
        } else {
            ""
        };
        tell(&format!(
            "id {} in epoch {}{replayed}",
            executed.id, executed.epoch
        ));
    }
    print(arguments, &executed.result);
    Exit::Executed
}

pub(crate) fn outcome_result(arguments: &Arguments, outcome_result: &OutcomeResult) -> Exit {
    match outcome_result.outcome {
        Outcome::Executed => {
            let epoch = outcome_result
                .epoch
                .map(|epoch| format!(" in epoch {epoch}"))
                .unwrap_or_default();
            match &outcome_result.result {
                Some(result) => {
                    tell(&format!("executed{epoch}; this was the reply:"));
                    print(arguments, result);
                }
                None => tell(&format!("executed{epoch}; the reply was not kept")),
            }
            Exit::Executed
        }
        Outcome::NotExecuted => {
            tell(&format!(
                "not executed until now; to have it executed, send it with: --id {}",
                outcome_result.id
            ));
            Exit::NotExecuted
        }
        Outcome::Unknown => {
            tell("unknown: it may be executed at any moment; ask again");
            Exit::Unknown
        }
    }
}

fn laid_out(arguments: &Arguments, json: &RawJson) -> String {
    if arguments.raw {
        json.as_str().to_owned()
    } else if arguments.relaxed {
        pretty_relaxed(json)
    } else {
        pretty(json)
    }
}

fn print(arguments: &Arguments, result: &RawJson) {
    let text = laid_out(arguments, result);
    // The command has had its effect, even if no process reads the reply any more.
    if let Err(error) = print_json(&text) {
        tell(&format!(
            "bellwether: executed, but the reply cannot be printed: {error}"
        ));
    }
}

pub(crate) fn failure(arguments: &Arguments, failure: &Failure) -> Exit {
    for (at, line) in failure.lines().iter().enumerate() {
        tell(&[if at == 0 { "bellwether: " } else { "" }, line].concat());
    }
    tell_details(arguments, failure);
    match (failure.outcome, failure.id) {
        (Outcome::Executed, _) => Exit::Executed,
        (Outcome::NotExecuted, _) if blames_the_input(failure) => Exit::Usage,
        (Outcome::NotExecuted, _) if failure.mongo().is_some() => Exit::Mongo,
        (Outcome::NotExecuted, _) => Exit::NotExecuted,
        (Outcome::Unknown, Some(id)) => {
            let is_known = failure.code() != ErrorCode::IdExpired.as_str();
            if arguments.question.is_none() && failure.can_get_better() {
                tell(&format!(
                    "To ask again, repeat the same command line with: --id {id}"
                ));
            }
            if is_known {
                let servers = named_servers(arguments);
                tell(&format!(
                    "To ask for the outcome only: bellwether outcome {servers}{id}"
                ));
            }
            if failure.can_get_better() {
                Exit::Unknown
            } else {
                Exit::UnknownStill
            }
        }
        (Outcome::Unknown, None) => Exit::Unknown,
    }
}

/// Returns `true` if the server, or the client before it sends, refuses the command as it is
/// written. The same command line would always end in this way, so the user must correct it.
fn blames_the_input(failure: &Failure) -> bool {
    match failure.decisive_attempt().map(|tried| &tried.end) {
        Some(AttemptEnd::TooLarge { .. }) => true,
        Some(AttemptEnd::Refused(frame)) => matches!(
            frame.code,
            ErrorCode::BadCommand | ErrorCode::CommandNotAllowed | ErrorCode::TooDeep | ErrorCode::IdReused
        ),
        _ => false,
    }
}

/// Prints the parts of MongoDB's error that are meant for programs, such as the rule that a
/// document violates.
fn tell_details(arguments: &Arguments, failure: &Failure) {
    let details = failure.mongo().and_then(|mongo| mongo.details.as_deref());
    for (name, value) in details.into_iter().flat_map(MongoErrorDetails::parts) {
        let text = format!("{name}: {}", laid_out(arguments, value));
        text.lines().for_each(tell);
    }
}

/// Returns the options that name the servers and their authority, as on this command line, for the
/// next command line.
fn named_servers(arguments: &Arguments) -> String {
    let authority = arguments.ca_file.as_ref();
    let authority = authority.map(|file| format!("--ca-file '{}' ", file.display()));
    let servers = match (&arguments.servers, &arguments.servers_file) {
        (Some(list), _) => {
            let entries: Vec<&str> = list
                .split([',', ' ', '\t', '\n'])
                .filter(|entry| !entry.is_empty())
                .collect();
            format!("--servers {} ", entries.join(","))
        }
        (None, Some(file)) => format!("--servers-file '{}' ", file.display()),
        (None, None) => String::new(),
    };
    authority.unwrap_or_default() + &servers
}

pub(crate) fn event(event: Event<'_>) {
    match event {
        Event::Pass { pass } if pass > 1 => tell(&format!("pass {pass} over the list")),
        Event::Sent { id, .. } => tell(&format!("sent with id {id}")),
        Event::Ended { tried, .. } => tell(&tried.to_string()),
        Event::Pausing { pause } => tell(&format!(
            "no server could execute it; trying again in {} ms",
            pause.as_millis()
        )),
        _ => {}
    }
}
