//! The command line of the program.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::fault::Fault;
use crate::history::Workload;
use crate::plan::Schedule;

/// A real cluster under faults, judged by the histories of its clients.
///
/// Ends with 0 if all checks held, and with 1 if it could not run. Ends with 3 if one is violated,
/// and with 4 if one could not be decided.
#[derive(Clone, Debug, Parser)]
#[command(name = "bellwether-chaos", version)]
pub struct Options {
    /// Seed of faults, clients and the network; drawn unless given
    #[arg(long)]
    pub seed: Option<u64>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "it would be shown as help of the flags")]
    pub schedule: Schedule,
    /// Inflict the faults of this file, the plan.json of an earlier run, instead of drawing any
    #[arg(long, value_name = "FILE")]
    pub replay_plan: Option<PathBuf>,
    /// Print the plan and do nothing
    #[arg(long)]
    pub plan_only: bool,
    /// Workloads of the clients; everything but bad-neighbours unless given
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD,…")]
    pub workloads: Vec<Workload>,
    /// Number of clients
    #[arg(long, default_value_t = 16, value_name = "COUNT")]
    pub clients: usize,
    /// Number of commands a second that all clients together send, as long as they are answered
    #[arg(long, default_value_t = 60.0, value_name = "PER-SECOND")]
    pub rate: f64,
    /// Number of servers
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    pub servers: usize,
    /// A further argument of every server, such as --server-arg=--preemption=never; may be given
    /// again
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub server_arg: Vec<OsString>,
    /// Number of runs, each with a cluster of its own: with this seed, the next one and so on
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub runs: u64,
    /// No further run after one in which a check was violated
    #[arg(long)]
    pub until_violated: bool,
    /// The directory for the report, the history and the logs, new or empty; target/chaos/SEED,
    /// emptied, unless given
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Time limit of a checker for the history of one key
    #[arg(long, default_value = "20s", value_name = "TIME")]
    pub check_limit: humantime::Duration,
    /// A check that could not be decided does not count as a failure
    #[arg(long)]
    pub allow_undecided: bool,
    /// On loopback, without the faults of a network
    #[arg(long)]
    pub loopback: bool,
    /// Show every fault
    #[arg(long, short)]
    pub verbose: bool,
}

impl Options {
    /// Returns the workloads of the clients, each once.
    pub fn workloads(&self) -> Vec<Workload> {
        let mut workloads = if self.workloads.is_empty() {
            Workload::usual()
        } else {
            self.workloads.clone()
        };
        workloads.sort_unstable();
        workloads.dedup();
        workloads
    }

    /// Returns the command that repeats the run with this seed.
    pub fn replay(&self, seed: u64, runs: u64) -> String {
        let mut line = format!("cargo xtask chaos --seed {seed}");
        let Schedule {
            length,
            faults,
            phase,
            each,
            every,
            overlap,
        } = &self.schedule;
        let mut flag = |name: &str, value: &str| {
            let _ = write!(line, " --{name} {value}");
        };
        if let Some(file) = &self.replay_plan {
            flag("replay-plan", &file.to_string_lossy());
        } else {
            flag("length", &length.to_string().replace(' ', ""));
            if !faults.is_empty() {
                flag("faults", &list(faults));
            }
            if let Some(phase) = phase {
                flag("phase", &list(&[*phase]));
            }
            if let Some(each) = each {
                flag("each", &each.to_string().replace(' ', ""));
            }
            flag("every", &every.to_string().replace(' ', ""));
            flag("overlap", &overlap.to_string());
        }
        if !self.workloads.is_empty() {
            flag("workloads", &list(&self.workloads));
        }
        flag("clients", &self.clients.to_string());
        flag("rate", &self.rate.to_string());
        if self.servers != 3 {
            flag("servers", &self.servers.to_string());
        }
        for arg in &self.server_arg {
            flag("server-arg", &arg.to_string_lossy());
        }
        if runs != 1 {
            flag("runs", &runs.to_string());
        }
        if self.loopback {
            line.push_str(" --loopback");
        }
        line
    }

    /// Returns the kinds of faults of the schedule.
    pub fn faults(&self) -> Vec<Fault> {
        self.schedule.kinds()
    }
}

fn list(values: &[impl ValueEnum]) -> String {
    let values = values.iter().filter_map(ValueEnum::to_possible_value);
    let names: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(flags: &str) -> Options {
        Options::parse_from(["bellwether-chaos"].into_iter().chain(flags.split_whitespace()))
    }

    #[test]
    fn a_replay_does_the_same() {
        let given = "--seed 7 --length 3min --faults isolate,step-down --phase mixed --each 2s --every 1s --overlap 2 \
                     --workloads bank,set --clients 5 --rate 30 --servers 5 --server-arg --verbose --runs 2 --loopback";
        let given = options(given);
        let line = given.replay(7, 2);
        let flags = line.strip_prefix("cargo xtask chaos ").unwrap();
        let again = options(flags);
        assert_eq!(format!("{given:?}"), format!("{again:?}"), "{line}");
    }

    #[test]
    fn a_replay_of_nothing_special_is_short() {
        assert_eq!(
            options("").replay(1, 1),
            "cargo xtask chaos --seed 1 --length 2m --every 3s --overlap 3 --clients 16 --rate 60"
        );
    }

    #[test]
    fn everything_usual_is_the_default() {
        assert_eq!(options("").workloads(), Workload::usual());
        assert_eq!(options("--workloads set,bank,set").workloads().len(), 2);
        assert_eq!(options("").faults(), Fault::usual());
    }
}
