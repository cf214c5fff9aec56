//! `bellwether-chaos`: see `cargo xtask chaos -- --help`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use bellwether_chaos::check::Verdict;
use bellwether_chaos::network;
use bellwether_chaos::options::Options;
use bellwether_chaos::plan::Plan;
use bellwether_chaos::report::Report;
use bellwether_chaos::run::run;
use bellwether_testkit::target_dir;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

const VIOLATED: u8 = 3;
const UNDECIDED: u8 = 4;

fn main() -> ExitCode {
    let mut options = Options::parse();
    match start(&mut options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &mut Options) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    if options.plan_only {
        let plan = plan(options, seed)?;
        println!("{}", serde_json::to_string_pretty(&plan)?);
        return Ok(ExitCode::SUCCESS);
    }
    // An impossible plan is reported before anything is started.
    plan(options, seed)?;
    if !options.loopback
        && let Err(why) = network::enclose()
    {
        eprintln!("NO FAULTS OF THE NETWORK: {why:#}");
        options.loopback = true;
    }
    let runtime = tokio::runtime::Runtime::new().context("starting tokio")?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = all(options, seed) => done.map(Some),
            interrupted = interrupted() => interrupted.map(|()| None),
        }
    });
    // Does not wait for tasks that still wait for the removed network.
    runtime.shutdown_background();
    let Some(report) = done? else {
        eprintln!("\nEnded, and everything that was started with it.");
        return Ok(ExitCode::from(130));
    };
    if report.count(|verdict| matches!(verdict, Verdict::Violated(_))) > 0 {
        return Ok(ExitCode::from(VIOLATED));
    }
    let undecided = report.count(|verdict| matches!(verdict, Verdict::Undecided(_))) > 0;
    Ok(match undecided && !options.allow_undecided {
        true => ExitCode::from(UNDECIDED),
        false => ExitCode::SUCCESS,
    })
}

/// Makes one run after the other, and the report on all.
async fn all(options: &Options, first: u64) -> Result<Report> {
    let out = directory(options, first)?;
    let mut report = Report::new(options.replay(first, options.runs));
    eprintln!("seed {first}; again: {}", report.replay);
    for seed in first..first.saturating_add(options.runs) {
        let (name, dir) = match options.runs {
            1 => (".".to_owned(), out.clone()),
            _ => (format!("seed-{seed}"), out.join(format!("seed-{seed}"))),
        };
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        let ran = run(options, plan(options, seed)?, &dir).await;
        report.add(name, ran.with_context(|| format!("the run with seed {seed}"))?);
        // Written after each run, so that its result is saved even if the next run fails.
        report.write(&out)?;
        let violated = report.count(|verdict| matches!(verdict, Verdict::Violated(_))) > 0;
        if violated && options.until_violated {
            break;
        }
    }
    println!("{report}");
    // The violations once more at the end, a line each: the report above is long, and may have been
    // cut off.
    for verdict in report.not_held() {
        println!("{verdict}");
    }
    eprintln!(
        "The report, the history, the picture and the logs: {}",
        out.display()
    );
    Ok(report)
}

fn plan(options: &Options, seed: u64) -> Result<Plan> {
    let Some(file) = &options.replay_plan else {
        return Plan::draw(seed, &options.schedule);
    };
    let text = fs::read(file).with_context(|| format!("reading the plan {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no plan", file.display()))
}

/// Returns the directory for all written files. Files of an earlier run are never mixed with them.
fn directory(options: &Options, seed: u64) -> Result<PathBuf> {
    let dir = match &options.out {
        Some(dir) => std::path::absolute(dir).context("finding the directory of --out")?,
        None => {
            let dir = target_dir()?.join("chaos").join(seed.to_string());
            if dir.exists() {
                fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
            }
            dir
        }
    };
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    ensure!(
        is_empty(&dir)?,
        "{} is not empty: give --out another directory",
        dir.display()
    );
    Ok(dir)
}

fn is_empty(dir: &Path) -> Result<bool> {
    let mut entries = fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    Ok(entries.next().is_none())
}

/// Returns on Ctrl-C, and on `kill`.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
