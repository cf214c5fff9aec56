use std::io::{self, Write};
use std::process::ExitCode;

use bellwether_client::{Event, Executed, Failure, Outcome, readable};

use crate::arguments::Arguments;

/// How the process ends; `--help` lists the numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    Executed = 0,
    Mongo = 1,
    Usage = 2,
    NotExecuted = 3,
    Unknown = 4,
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
        eprintln!("id {} in epoch {}{replayed}", executed.id, executed.epoch);
    }
    let text = if arguments.raw {
        executed.result.get().to_owned()
    } else if arguments.relaxed {
        readable::pretty_relaxed(&executed.result)
    } else {
        readable::pretty(&executed.result)
    };
    // The command has had its effect, also if nobody reads the reply any more.
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        eprintln!("bellwether: executed, but the reply cannot be printed: {error}");
    }
    Exit::Executed
}

pub(crate) fn failure(failure: &Failure) -> Exit {
    eprintln!("bellwether: {failure}");
    match (failure.outcome, failure.id) {
        (Outcome::Executed, _) => Exit::Executed,
        (Outcome::NotExecuted, _) if failure.mongo().is_some() => Exit::Mongo,
        (Outcome::NotExecuted, _) => Exit::NotExecuted,
        (Outcome::Unknown, Some(id)) => {
            eprintln!("To ask again, repeat the same command line with: --id {id}");
            Exit::Unknown
        }
        (Outcome::Unknown, None) => Exit::Unknown,
    }
}

pub(crate) fn event(event: Event<'_>) {
    match event {
        Event::Pass { pass } if pass > 1 => eprintln!("pass {pass} over the list"),
        Event::Sent { id, .. } => eprintln!("sent with id {id}"),
        Event::Ended { tried, .. } => eprintln!("{tried}"),
        Event::Pausing { pause } => eprintln!("nobody could; trying again in {} ms", pause.as_millis()),
        _ => {}
    }
}
