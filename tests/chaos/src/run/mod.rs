//! One run: a cluster, clients, faults, and the checks of their history.

mod clients;
mod player;
mod primary;

use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::bystanders::bystanders_execute;
use crate::check::{self, Finding, Verdict};
use crate::converges::converges;
use crate::final_state::FinalState;
use crate::history::{self, Entry, Writer};
use crate::ledger::{Ledger, Line, Watcher};
use crate::options::Options;
use crate::plan::Plan;
use crate::replay::{Replay, replay};
use crate::report::{Figures, MachineWatch, RunReport, draw, executed};
use crate::workload;
use crate::world::{World, WorldOptions};
use clients::Clients;
use player::Player;

/// Chooses one of the bugs of programs that have them. The project's own programs do not know it.
const PLANTED: &str = "PLANTED_BUG";

/// Number of hosts that the clients share.
const CLIENT_HOSTS: usize = 2;

/// Time during which clients go on after all faults are healed.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Highest number of commands that are sent once more after a run.
const REPLAYS: usize = 5_000;

/// Time limit for the search for a coordinator that accepts them, and the pause between two
/// attempts.
const ASKING: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// Starts a cluster, inflicts the plan's faults, and judges the history. All files go to `dir`.
///
/// # Errors
/// If a part of the suite itself cannot be started or fails. A fault of the cluster is a finding,
/// not an error.
pub async fn run(options: &Options, plan: Plan, dir: &Path) -> Result<RunReport> {
    let seed = plan.seed;
    write(&dir.join("plan.json"), &plan)?;
    let mut machine = MachineWatch::start();
    let mut world = World::start(world_options(options, seed, dir))
        .await
        .context("starting the cluster")?;
    workload::prepare(world.database()).await?;

    let started = Instant::now();
    let ledger = Watcher::start(world.database(), &dir.join("ledger.jsonl")).await?;
    let written = Writer::create(&dir.join("history.jsonl"))?;
    let clients = Clients::start(options, &world, seed, started, &written)?;
    let player = Player {
        world: &mut world,
        started,
        history: written,
        machine: &mut machine,
        verbose: options.verbose,
    };
    let timeline = player.play(&plan).await;
    write(&dir.join("timeline.json"), &timeline)?;

    // From here on there are no faults.
    let healed = world.heal_all().await;
    sleep(AFTERWARDS).await;
    clients.stop().await?;
    let entries = history::read(&dir.join("history.jsonl"))?;
    let executed = executed(&entries);
    let mut findings = vec![
        converges(&executed, &timeline, options.servers),
        after_all(healed, executed.last().is_some_and(|last| *last > timeline.ended)),
    ];
    findings.extend(bystanders_execute(&entries, &timeline));
    eprintln!("{} calls; checking them", entries.len());
    let replays = ask_again(&world, &entries).await?;
    let state = FinalState::read(world.database()).await?;
    let ledger = ledger.finish().await?;
    findings.push(check::granted_epochs_only(&timeline.beliefs, &ledger));
    let machine = machine.finish(dir);
    // The checks need the processors themselves.
    drop(world);

    let length_ms = plan.length_ms;
    let figures = Figures::of(&entries, &timeline, length_ms, epochs(&ledger));
    let title = format!(
        "seed {seed}: {} calls, {} faults",
        entries.len(),
        timeline.faults.len()
    );
    draw(&dir.join("timeline.svg"), &title, &entries, &timeline)?;
    let limit = *options.check_limit;
    let checked = spawn_blocking(move || check::all(&entries, &state, &replays, &ledger, limit));
    findings.extend(checked.await.context("a checker ended early")?);
    Ok(RunReport {
        seed,
        replay: options.replay(seed, 1),
        planted: env::var(PLANTED).ok(),
        dir: ".".into(),
        figures,
        findings,
        troubles: timeline.troubles,
        machine,
    })
}

fn world_options(options: &Options, seed: u64, dir: &Path) -> WorldOptions {
    WorldOptions {
        servers: options.servers,
        client_hosts: CLIENT_HOSTS,
        server_args: options.server_arg.clone(),
        loopback: options.loopback,
        ..WorldOptions::new(dir.join("logs"), seed)
    }
}

/// Checks `converges` once more: when all faults are healed, servers must agree, and commands must
/// be executed.
fn after_all(healed: Result<()>, executed: bool) -> Finding {
    let verdict = match healed {
        Err(error) => Verdict::Violated(format!("after the last fault was healed: {error:#}")),
        Ok(()) if !executed => {
            Verdict::Violated("no command was executed after the last fault was healed".into())
        }
        Ok(()) => Verdict::Held,
    };
    Finding {
        invariant: "converges".into(),
        workload: None,
        verdict,
        checked: 1,
    }
}

/// Sends the executed commands once more. On a busy machine the coordinator may change meanwhile;
/// then the next one gets them. If no server is coordinator until the time limit, which is a
/// finding already, this returns no answers.
async fn ask_again(world: &World, entries: &[Entry]) -> Result<Vec<Replay>> {
    let until = Instant::now() + ASKING;
    loop {
        let coordinator = world.coordinator().await;
        let asked = match coordinator {
            Some(place) => replay(entries, &world.urls()[place], REPLAYS).await,
            None => Ok(Vec::new()),
        };
        let settled = asked.is_ok() && coordinator.is_some();
        if settled || Instant::now() > until {
            return asked.context("sending commands once more");
        }
        sleep(BETWEEN_TRIES).await;
    }
}

/// Returns the number of granted epochs.
fn epochs(ledger: &Ledger) -> u64 {
    let granted = ledger
        .lines
        .iter()
        .filter(|line| matches!(line, Line::Granted { .. }));
    granted.count() as u64
}

fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec_pretty(value)?;
    fs::write(path, json).with_context(|| format!("writing {}", path.display()))
}
