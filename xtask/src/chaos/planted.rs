//! Shows that the suite detects bugs of the servers or the client. Each mutant in
//! `tests/chaos/planted/` is run with the options its file names, and the suite must name the
//! invariant that it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwether_programs::{find_mongod, target_dir};
use serde::Deserialize;
use tokio::time::timeout;

use super::program;
use crate::planted::programs::{self, Bug, VARIABLE};
use crate::provision;
use crate::step::{cargo, say, show};

/// A hang is no verdict.
const LONGEST: Duration = Duration::from_secs(1_800);

/// Options of a run that the programs must pass while no mutant is chosen.
const WITHOUT: [&str; 6] = ["--seed", "1", "--phase", "mixed", "--length", "20s"];

/// Exit code of `cargo test` if a test failed. Before, the same test has been built and has passed.
const TEST_FAILED: i32 = 101;

/// Exit code of the suite if a check was violated.
const VIOLATED: i32 = 3;

/// Runs the bugs with these names, or all if there are none.
pub(super) async fn run(names: &[String]) -> Result<()> {
    let all = programs::all()?;
    for name in names {
        ensure!(
            all.iter().any(|bug| bug.name == *name),
            "no planted bug is called {name}; there are {}",
            listed(&all)
        );
    }
    provision::mongod().await?;
    provision::faketime().await;
    let built = programs::build(&all).await?;
    let campaign = Campaign {
        programs: built,
        out: target_dir()?.join("chaos/planted"),
    };
    let passed = campaign.play(None, &WITHOUT.map(String::from)).await?;
    ensure!(
        passed.code == Some(0),
        "the suite fails without any bug chosen; its report is in {}",
        passed.out.display()
    );
    show("| planted bug | caught by | seed | seconds |\n|---|---|---:|---:|");
    let mut missed = Vec::new();
    for bug in all
        .iter()
        .filter(|bug| names.is_empty() || names.contains(&bug.name))
    {
        if !bug.test.is_empty() {
            if !campaign.fails(bug).await? {
                missed.push(bug.name.as_str());
            }
            continue;
        }
        let played = campaign.play(Some(&bug.name), &bug.args).await?;
        let caught = played.caught(&bug.invariants)?;
        show(&row(bug, caught.as_ref(), &played));
        if caught.is_none() {
            say(format_args!(
                "\n{} ({}) should have broken {}; what the suite saw is in {}\n",
                bug.name,
                bug.why,
                bug.invariants.join(" or "),
                played.out.display()
            ));
            missed.push(bug.name.as_str());
        }
    }
    ensure!(missed.is_empty(), "not caught: {}", missed.join(", "));
    Ok(())
}

struct Campaign {
    programs: PathBuf,
    out: PathBuf,
}

/// A run of the suite.
struct Played {
    code: Option<i32>,
    out: PathBuf,
    took: Duration,
}

/// The run that gave a bug away.
struct Caught {
    seed: u64,
    /// All that was violated, and in which workloads if it was checked in each: bugs show in
    /// several ways.
    violated: BTreeMap<String, BTreeSet<String>>,
}

/// As much of the suite's `report.json` as matters here.
#[derive(Deserialize)]
struct Report {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    seed: u64,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    invariant: String,
    workload: Option<String>,
    verdict: serde_json::Value,
}

impl Campaign {
    /// Returns `true` if the bug's test passes without it and fails with it.
    async fn fails(&self, bug: &Bug) -> Result<bool> {
        let began = Instant::now();
        let log = self.out.join(&bug.name).with_extension("log");
        let passed = self.test(None, &bug.test, &log).await?;
        ensure!(
            passed == Some(0),
            "the test of {} fails without the bug; its output is in {}",
            bug.name,
            log.display()
        );
        let failed = self.test(Some(&bug.name), &bug.test, &log).await? == Some(TEST_FAILED);
        let (name, test, seconds) = (&bug.name, bug.test.join(" "), began.elapsed().as_secs_f64());
        let by = if failed {
            format!("`{test}`")
        } else {
            "NOTHING".into()
        };
        show(&format!("| {name} | {by} | – | {seconds:.0} |"));
        if !failed {
            say(format_args!(
                "\n{name} ({}) should have made `{test}` fail\n",
                bug.why
            ));
        }
        Ok(failed)
    }

    /// Runs a test of the project with the programs that have the bugs. Gives its exit code.
    async fn test(&self, bug: Option<&str>, test: &[String], log: &Path) -> Result<Option<i32>> {
        fs::create_dir_all(&self.out).with_context(|| format!("making {}", self.out.display()))?;
        let output = fs::File::create(log)?;
        let mut command = cargo(["test", "-p", "bellwether-tests"]);
        command
            .args(test)
            .env("BELLWETHER_PROGRAMS", &self.programs)
            .env("BELLWETHER_MONGOD", find_mongod()?)
            .env_remove(VARIABLE)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(bug) = bug {
            command.env(VARIABLE, bug);
        }
        say(format_args!("{}: {}", bug.unwrap_or("no bug"), test.join(" ")));
        let status = timeout(LONGEST, command.status())
            .await
            .with_context(|| format!("the test did not end within {LONGEST:?}"))??;
        Ok(status.code())
    }

    async fn play(&self, bug: Option<&str>, args: &[String]) -> Result<Played> {
        let out = self.out.join(bug.unwrap_or("none"));
        if out.exists() {
            fs::remove_dir_all(&out).with_context(|| format!("removing {}", out.display()))?;
        }
        fs::create_dir_all(&self.out).with_context(|| format!("making {}", self.out.display()))?;
        let log = fs::File::create(out.with_extension("log"))?;
        let mut suite = program(&self.programs);
        suite
            .args(args)
            .args(["--until-violated", "--out"])
            .arg(&out)
            .env("BELLWETHER_MONGOD", find_mongod()?)
            .env_remove(VARIABLE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(bug) = bug {
            suite.env(VARIABLE, bug);
        }
        say(format_args!("{}: {}", bug.unwrap_or("no bug"), args.join(" ")));
        let began = Instant::now();
        let status = timeout(LONGEST, suite.status())
            .await
            .with_context(|| format!("the suite did not end within {LONGEST:?}"))??;
        Ok(Played {
            code: status.code(),
            out,
            took: began.elapsed(),
        })
    }
}

impl Played {
    /// Returns the run in which one of these invariants was violated, if there was one.
    fn caught(&self, invariants: &[String]) -> Result<Option<Caught>> {
        let known = [Some(0), Some(VIOLATED), Some(4)];
        ensure!(
            known.contains(&self.code),
            "the suite could not run; what it said is in {}",
            self.out.with_extension("log").display()
        );
        let report = Report::read(&self.out.join("report.json"))?;
        Ok(report.caught(invariants))
    }
}

impl Report {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no report", path.display()))
    }

    /// Returns the first run in which one of these invariants is violated.
    fn caught(self, invariants: &[String]) -> Option<Caught> {
        self.runs.into_iter().find_map(|run| {
            let mut violated: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for finding in run.findings {
                if finding.verdict.get("violated").is_some() {
                    violated
                        .entry(finding.invariant)
                        .or_default()
                        .extend(finding.workload);
                }
            }
            let caught = invariants
                .iter()
                .any(|invariant| violated.contains_key(invariant));
            caught.then_some(Caught {
                seed: run.seed,
                violated,
            })
        })
    }
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let violated = self.violated.iter().map(|(invariant, workloads)| {
            let workloads: Vec<&str> = workloads.iter().map(String::as_str).collect();
            match workloads.as_slice() {
                [] => invariant.clone(),
                _ => format!("{invariant} ({})", workloads.join(", ")),
            }
        });
        f.write_str(&violated.collect::<Vec<_>>().join("; "))
    }
}

fn row(bug: &Bug, caught: Option<&Caught>, played: &Played) -> String {
    let (by, seed) = match caught {
        Some(caught) => (caught.to_string(), caught.seed.to_string()),
        None if played.code == Some(VIOLATED) => ("(something else)".into(), "–".into()),
        None => ("NOTHING".into(), "–".into()),
    };
    let (name, seconds) = (&bug.name, played.took.as_secs_f64());
    format!("| {name} | {by} | {seed} | {seconds:.0} |")
}

fn listed(bugs: &[Bug]) -> String {
    let names: Vec<&str> = bugs.iter().map(|bug| bug.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"replay": "", "runs": [
        {"seed": 4, "findings": [{"invariant": "set", "workload": "set", "verdict": "held", "checked": 1}]},
        {"seed": 5, "findings": [
            {"invariant": "linearizable", "workload": null, "verdict": {"undecided": "slow"}, "checked": 1},
            {"invariant": "bank", "workload": "bank", "verdict": {"violated": "lost"}, "checked": 1},
            {"invariant": "exactly_once", "workload": "set", "verdict": {"violated": "twice"}, "checked": 1},
            {"invariant": "exactly_once", "workload": "append", "verdict": {"violated": "twice"}, "checked": 1},
            {"invariant": "fenced", "workload": null, "verdict": {"violated": "stale"}, "checked": 1}
        ]}
    ]}"#;

    #[test]
    fn only_the_violation_of_a_named_invariant_catches_a_bug() {
        let caught = |invariants: &[&str]| {
            let report: Report = serde_json::from_str(REPORT).unwrap();
            let invariants: Vec<String> = invariants.iter().map(ToString::to_string).collect();
            report
                .caught(&invariants)
                .map(|caught| (caught.seed, caught.to_string()))
        };
        let all = "bank (bank); exactly_once (append, set); fenced";
        assert_eq!(caught(&["bank"]), Some((5, all.into())));
        assert_eq!(caught(&["set", "linearizable"]), None);
        assert_eq!(caught(&["linearizable", "fenced"]), Some((5, all.into())));
    }
}
