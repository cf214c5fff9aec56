//! Shows that the tests of the election detect bugs. Each bug in `crates/election/tests/planted/`
//! is planted in a copy of the workspace. The check it names must fail, with the name of the broken
//! invariant.

mod copy;
mod edit;
pub(crate) mod programs;
mod verdict;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwether_programs::target_dir;
use clap::Args;
use serde::Deserialize;
use tokio::time::timeout;

use self::copy::Copy;
use self::edit::{Edit, Edited, described};
use self::verdict::Verdict;
use crate::step::{cargo, say, show};

/// A hang is no verdict.
const LONGEST_CHECK: Duration = Duration::from_secs(900);

/// A bug of the election as its file describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    /// The name of the file that describes it.
    #[serde(skip)]
    name: String,
    /// The reason why it is a bug, in one line.
    why: String,
    /// The test that must fail: `simulation::<path of the test>` or `model::<path of the test>`.
    check: String,
    /// The invariant that the failure must name.
    invariant: String,
    /// Its changes of the code.
    #[serde(rename = "edit")]
    edits: Vec<Edit>,
}

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only bugs whose names contain this
    filter: Option<String>,
    /// Number of seeds that the simulation may try; as many as in every test run unless given
    #[arg(long)]
    seeds: Option<u64>,
    /// Only build the programs that `cargo xtask chaos --planted` runs, with the bugs of the real
    /// system in them
    #[arg(long, conflicts_with_all = ["filter", "seeds"])]
    programs: bool,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    if options.programs {
        let place = programs::build(&programs::all()?).await?;
        let variable = programs::VARIABLE;
        show(&format!("{variable} chooses the bug of {}", place.display()));
        return Ok(());
    }
    let described = described("crates/election/tests/planted")?.into_iter();
    let mut bugs: Vec<Bug> = described.map(|(name, bug)| Bug { name, ..bug }).collect();
    bugs.retain(|bug| options.filter.as_ref().is_none_or(|part| bug.name.contains(part)));
    ensure!(!bugs.is_empty(), "no planted bug has such a name");
    let place = target_dir()?.join("planted");
    // Before anything is built: a bug whose text is no longer in the source proves nothing.
    let edited = bugs.iter().map(|bug| Edited::by(&bug.name, &bug.edits));
    let edited = edited.collect::<Result<Vec<Edited>>>()?;
    let copy = Copy::make(&place.join("workspace"), &Edited::default())?;
    let checks = Checks {
        workspace: copy.workspace(),
        target: &place.join("target"),
        seeds: options.seeds,
    };
    checks.pass_without_bugs(&bugs).await?;
    let mut missed = Vec::new();
    show(&verdict::heading());
    for (bug, edited) in bugs.iter().zip(&edited) {
        copy.plant(edited)?;
        let (output, failed, seconds) = checks.check(&bug.check).await?;
        copy.restore(edited)?;
        let verdict = Verdict::new(bug, &output, failed);
        show(&verdict.row(bug, seconds));
        if !verdict.caught() {
            say(format_args!("\n{}\n", verdict.explain(bug, &output)));
            missed.push(bug.name.as_str());
        }
    }
    ensure!(missed.is_empty(), "not caught: {}", missed.join(", "));
    show(&format!("all {} planted bugs were caught", bugs.len()));
    Ok(())
}

struct Checks<'a> {
    workspace: &'a Path,
    target: &'a Path,
    seeds: Option<u64>,
}

impl Checks<'_> {
    /// Checks that the tests pass without bugs: a check that fails anyway detects nothing.
    async fn pass_without_bugs(&self, bugs: &[Bug]) -> Result<()> {
        let mut checks: Vec<&str> = bugs.iter().map(|bug| bug.check.as_str()).collect();
        checks.sort_unstable();
        checks.dedup();
        for check in checks {
            let (output, failed, seconds) = self.check(check).await?;
            ensure!(!failed, "{check} fails without any bug planted:\n{output}");
            say(format_args!("{check} passes without a bug ({seconds:.1} s)"));
        }
        Ok(())
    }

    /// Runs one test, `<test target>::<path of the test>`. Gives its output, whether it failed, and
    /// how long it took without being built.
    async fn check(&self, check: &str) -> Result<(String, bool, f64)> {
        let (target, test) = check
            .split_once("::")
            .context("a check is <test target>::<path of the test>")?;
        let package = match target {
            "model" => "bellwether-election-model",
            _ => "bellwether-election",
        };
        let package = ["--package", package, "--test", target];
        let mut build = cargo(["test", "--no-run", "--quiet"]);
        let built = build
            .args(package)
            .current_dir(self.workspace)
            .env("CARGO_TARGET_DIR", self.target)
            .stdin(Stdio::null())
            .output()
            .await?;
        ensure!(
            built.status.success(),
            "what was planted does not compile:\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let began = Instant::now();
        let mut run = cargo(["test", "--quiet"]);
        run.args(package)
            .args(["--", "--exact", test])
            .current_dir(self.workspace)
            .env("CARGO_TARGET_DIR", self.target)
            .env("RUST_BACKTRACE", "0")
            .env_remove("BELLWETHER_SEED")
            .env_remove("BELLWETHER_FIRST_SEED")
            .env_remove("BELLWETHER_SEEDS")
            .stdin(Stdio::null());
        if let Some(seeds) = self.seeds {
            run.env("BELLWETHER_SEEDS", seeds.to_string());
        }
        let output = timeout(LONGEST_CHECK, run.output())
            .await
            .with_context(|| format!("{check} did not end within {LONGEST_CHECK:?}"))??;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let ran = text.contains("1 passed") || text.contains("1 failed");
        ensure!(ran, "there is no test {check}:\n{text}");
        Ok((text, !output.status.success(), began.elapsed().as_secs_f64()))
    }
}
