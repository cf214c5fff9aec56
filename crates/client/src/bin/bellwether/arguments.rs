use core::time::Duration;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use bellwether_client::CommandId;
use clap::{Parser, Subcommand};

use crate::report::Exit;
use crate::terminal::{escaped, tell};

const AFTER_HELP: &str = "\
The program takes the servers from the first of these: --servers, --servers-file, the environment variable
BELLWETHER_SERVERS, the file bellwether/servers in $XDG_CONFIG_HOME or ~/.config. Entries are host:port or
ws://host:port/v1, separated by commas, blanks or line ends. With TLS they are wss://host:port/v1. In a file,
lines that start with # are comments.

A token or an API key comes from --token-file, or else from the environment variable BELLWETHER_TOKEN. There is no
option for the token itself, because other users of the machine can see the options of a program.

Exit codes:
  0  Executed. The reply is on standard output, if it was kept.
  1  MongoDB refused the command. Nothing was changed.
  2  The command line, the list of servers or the command itself is wrong. Nothing was changed. Correct it: the
     same again would be refused again. An --id of a command with another text is an example.
  3  Not executed, for another reason: no coordinator, not enough time, or a refusal that depends on the data or
     the servers. For `outcome`: no effect until now.
  4  Unknown: the command may or may not have been executed. Ask again with the --id that is printed. The command
     then runs if it had not, and its first reply comes back if it had. `bellwether outcome` asks and runs nothing.
  5  Unknown, and the same text with the same --id would be refused again. Standard error has the reason.
A command that only reads has no effect. Without a reply it ends with 3.

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

    /// Trusts the authorities in this PEM file for wss:// servers, instead of those of this machine
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,

    /// Proves who sends the command, with the token or the API key in this file. The program sends
    /// it over wss://, or to a server on this machine
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,

    /// Asks again about the command with this id, whose outcome was unknown
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<CommandId>,

    /// Sends the command only to servers of this cluster
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) cluster: Option<String>,

    /// The command's deadline, for client, server and MongoDB: seconds, or a time such as 250ms,
    /// 1.5s, 2m or 1h. By default, a server gives one attempt 60s at most. Further attempts use the
    /// rest
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration, global = true)]
    pub(crate) timeout: Duration,

    /// Prints the reply as it was received
    #[arg(long, conflicts_with = "relaxed", global = true)]
    pub(crate) raw: bool,

    /// Prints numbers and dates in relaxed Extended JSON, which does not show their types
    #[arg(long, global = true)]
    pub(crate) relaxed: bool,

    /// Prints the answer of each server on standard error
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// Asks for the outcome of a command, and executes nothing
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

/// Reads a time of at most a day: seconds, or numbers with units.
fn duration(text: &str) -> Result<Duration, String> {
    let has_no_unit = text.ends_with(|c: char| c.is_ascii_digit());
    let time = humantime::parse_duration(&[text, if has_no_unit { "s" } else { "" }].concat());
    let time = time.map_err(|_| "not a time: write seconds, or a number with ms, s, m or h")?;
    if (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&time) {
        Ok(time)
    } else {
        Err("it must lie between 1ms and 24h".into())
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
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "0", "-1", "25h", "1M", "x", "1e300", "NaN", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
