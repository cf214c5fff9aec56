use core::time::Duration;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use bellwether_client::CommandId;
use clap::{Parser, Subcommand};

use crate::report::Exit;
use crate::terminal::{escaped, tell};

const AFTER_HELP: &str = "\
Servers are taken from --servers, else --servers-file, else the environment variable BELLWETHER_SERVERS, else
the file bellwether/servers in $XDG_CONFIG_HOME or ~/.config. Entries are host:port or ws://host:port/v1,
separated by commas, blanks or line ends; in a file, lines that start with # are skipped.

Exit codes:
  0  executed; the reply is on standard output, if it was kept.
  1  MongoDB refused the command; nothing was changed.
  2  the command line, the list of servers or the command itself is wrong; nothing was changed. Correct it before you
     try again. The code is also 2 if the --id belongs to a command with another text.
  3  not executed, for another reason: no coordinator, not enough time, or a refusal that depends on the data or the
     servers. For `outcome`: no effect until now.
  4  unknown: it may or may not have been executed. Send it again with the --id that is printed: it is executed
     once in all, and you get its first reply. Or ask for its outcome only, with `bellwether outcome`.
  5  unknown, and the same text with the same --id would be refused again; standard error says why.
A command that only reads has no effect: without a reply it ends with 3.

Example:
  bellwether --servers 127.0.0.1:7001,127.0.0.1:7002 '{\"insert\":\"notes\",\"documents\":[{\"text\":\"hi\"}]}'";

const USAGE: &str = "\
bellwether [OPTIONS] <COMMAND>
       bellwether [OPTIONS] outcome <ID>";

/// Passes one command to each server of a Bellwether cluster in turn until one executes it.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, after_help = AFTER_HELP, max_term_width = 110)]
#[command(override_usage = USAGE, subcommand_help_heading = "Questions", disable_help_subcommand = true)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) question: Option<Question>,

    /// The MongoDB command in Extended JSON, or - to read it from standard input
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) command: Option<String>,

    /// Reads the command from this file
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// The servers, in the order in which they are tried: the nearest first
    #[arg(long, value_name = "LIST", conflicts_with = "servers_file", global = true)]
    pub(crate) servers: Option<String>,

    /// Reads the servers from this file
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) servers_file: Option<PathBuf>,

    /// Asks again about the command with this id, whose outcome was unknown
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<CommandId>,

    /// Sends the command only to servers of this cluster
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) cluster: Option<String>,

    /// The command's deadline, for client, server and MongoDB: seconds, or a number with ms, s or
    /// m. A server gives one try 60s at most by default; further tries use the rest
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, global = true)]
    pub(crate) timeout: Duration,

    /// Prints the reply as it was received
    #[arg(long, conflicts_with = "relaxed", global = true)]
    pub(crate) raw: bool,

    /// Prints numbers and dates in relaxed Extended JSON, which does not tell their types apart
    #[arg(long, global = true)]
    pub(crate) relaxed: bool,

    /// Tells on standard error which server said what
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// Asks what became of a command, and executes nothing
    #[command(override_usage = "bellwether outcome [OPTIONS] <ID>")]
    Outcome {
        /// The command's id
        id: CommandId,
    },
}

impl Arguments {
    /// Reads the command line.
    ///
    /// # Errors
    /// The exit code, after the help or the error was printed.
    pub(crate) fn read() -> Result<Self, Exit> {
        let given: Vec<OsString> = env::args_os().collect();
        Self::try_parse_from(&given).map_err(|error| {
            if !error.use_stderr() {
                // The help and the version contain no text of the arguments. If no process reads
                // the pipe, that is not an error.
                let _ = error.print();
                return Exit::Executed;
            }
            // An error quotes arguments. A line break in an argument could forge a line, and clap
            // removes text that looks like a colour. With escaped arguments the error is the same,
            // unless the escaped arguments are valid.
            let safe = given.iter().map(|argument| escaped(&argument.to_string_lossy()));
            let error = Self::try_parse_from(safe).err().unwrap_or(error);
            for line in error.render().to_string().lines() {
                tell(line);
            }
            Exit::Usage
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(unit) => text.split_at(unit),
        None => (text, "s"),
    };
    let seconds_each = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("unknown unit {unit:?}; use ms, s or m")),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| format!("{digits:?} is not a number"))?;
    match Duration::try_from_secs_f64(number * seconds_each) {
        Ok(time) if (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&time) => Ok(time),
        _ => Err("it must lie between 1ms and 1440m".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "0", "-1", "1h", "x", "1e300", "NaN", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
