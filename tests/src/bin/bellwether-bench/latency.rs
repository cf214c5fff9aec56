//! The waiting time of one client for one command, compared with the driver.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwether_client::native::Native;
use bellwether_client::{CommandText, OneShot, ServerList};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::bed::{Bed, list_from};
use crate::figures;
use crate::kept_open::KeptOpen;
use crate::machine::Machine;
use crate::side::{Caller, Driver, make_documents};
use crate::statistics::{Percentiles, Spread};
use crate::workload::{Operation, Operations, Workload};
use bellwether_testkit::markdown::{line, table};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Number of rounds [default: 5; with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Number of commands of each kind in a round [default: 200; with --quick 30]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    commands: Option<u32>,
}

/// A kind of command, and the driver's operation to compare with.
struct Row {
    what: &'static str,
    how: How,
    /// The index of the driver's row.
    driver: usize,
}

#[derive(Clone, Copy)]
enum How {
    /// A new connection for each command, to the coordinator at once.
    OneShot,
    /// A new connection for each command, to a follower first, which names the coordinator.
    Redirected,
    KeptOpen(Workload),
    Driver(Workload),
}

const ROWS: [Row; 6] = [
    Row {
        what: "insert: the driver, `w: majority`",
        how: How::Driver(Workload::Inserts),
        driver: 0,
    },
    Row {
        what: "insert: Bellwether, connection kept open",
        how: How::KeptOpen(Workload::Inserts),
        driver: 0,
    },
    Row {
        what: "insert: Bellwether, one-shot, the coordinator first in the list",
        how: How::OneShot,
        driver: 0,
    },
    Row {
        what: "insert: Bellwether, one-shot, a follower first",
        how: How::Redirected,
        driver: 0,
    },
    Row {
        what: "find by `_id`: the driver, `linearizable`",
        how: How::Driver(Workload::Reads),
        driver: 4,
    },
    Row {
        what: "find by `_id`: Bellwether, connection kept open",
        how: How::KeptOpen(Workload::Reads),
        driver: 4,
    },
];

/// All that was measured: for each row its rounds.
#[derive(Serialize, Deserialize)]
struct Latency {
    machine: Machine,
    rows: Vec<(String, Vec<Percentiles>)>,
}

struct Clients {
    driver: Driver,
    kept_open: KeptOpen,
    one_shot: OneShot<Native>,
    redirected: OneShot<Native>,
}

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let (rounds, commands) = if quick { (2, 30) } else { (5, 200) };
    let rounds = options.rounds.unwrap_or(rounds);
    let commands = options.commands.unwrap_or(commands);
    let mut bed = Bed::start().await?;
    let machine = Machine::seen(bed.replica_set.client()).await?;
    make_documents(&bed).await?;
    let mut clients = clients(&mut bed).await?;

    const WARM_UP: u32 = 20;
    clients.round(WARM_UP).await?;
    let mut measured = vec![Vec::new(); ROWS.len()];
    for round in 1..=rounds {
        eprintln!("Round {round} of {rounds}: {commands} commands of each kind, in turn.");
        let times = clients.round(commands).await?;
        for (rounds, times) in measured.iter_mut().zip(times) {
            rounds.push(Percentiles::of(times));
        }
    }
    machine.show();
    show(&measured, rounds, commands);
    let names = ROWS.iter().map(|row| row.what.to_owned());
    let rows = names.zip(measured).collect();
    figures::save("latency", &Latency { machine, rows })
}

async fn clients(bed: &mut Bed) -> Result<Clients> {
    let coordinator = bed.cluster.all_agree().await?.coordinator;
    let list = |first| list_from(&bed.cluster, first);
    let one_shot = |list: ServerList| OneShot::new(Native::new(), list);
    let kept_open = KeptOpen::open(bed.cluster.servers[coordinator].port).await?;
    ensure!(kept_open.is_coordinators(), "the coordinator has just changed");
    Ok(Clients {
        driver: Driver::connect(bed, 1).await?,
        kept_open,
        one_shot: one_shot(list(coordinator)?),
        redirected: one_shot(list(coordinator + 1)?),
    })
}

impl Clients {
    /// Sends each kind of command in turn, this many times; returns the times of each kind.
    async fn round(&mut self, commands: u32) -> Result<Vec<Vec<Duration>>> {
        let mut times = vec![Vec::new(); ROWS.len()];
        for _ in 0..commands {
            for (row, times) in ROWS.iter().zip(&mut times) {
                times.push(self.one(row.how).await.context(row.what)?);
            }
        }
        Ok(times)
    }

    async fn one(&mut self, how: How) -> Result<Duration> {
        let insert = || Operations::of(Workload::Inserts).next();
        match how {
            How::OneShot => one_shot(&self.one_shot, insert()).await,
            How::Redirected => one_shot(&self.redirected, insert()).await,
            How::KeptOpen(workload) => timed(&mut self.kept_open, workload).await,
            How::Driver(workload) => timed(&mut self.driver, workload).await,
        }
    }
}

async fn timed(caller: &mut impl Caller, workload: Workload) -> Result<Duration> {
    let operation = Operations::of(workload).next();
    let started = Instant::now();
    caller.call(operation).await?;
    Ok(started.elapsed())
}

async fn one_shot(client: &OneShot<Native>, operation: Operation) -> Result<Duration> {
    let command: CommandText = operation.command().parse()?;
    let started = Instant::now();
    client.execute(&command, |_| {}).await?;
    Ok(started.elapsed())
}

fn show(measured: &[Vec<Percentiles>], rounds: u32, commands: u32) {
    line(&format!(
        "One client, one command after the other, all kinds in turn: {rounds} rounds of {commands} commands of each kind. \
         p50 and p99 are medians over the rounds, in ms; the ratio is that of the p50 to the driver's, median (least–most).\n"
    ));
    let rows = ROWS.iter().zip(measured).map(|(row, rounds)| {
        let driver = &measured[row.driver];
        let ratios = rounds
            .iter()
            .zip(driver)
            .map(|(ours, driver)| ours.p50 / driver.p50);
        let Percentiles { p50, p99, max, .. } = Percentiles::over_rounds(rounds);
        vec![
            row.what.to_owned(),
            format!("{p50:.2}"),
            format!("{p99:.1}"),
            format!("{max:.1}"),
            Spread::of(ratios).show(|ratio| format!("{ratio:.2}")),
        ]
    });
    table(&["", "p50", "p99", "max", "ratio"], &rows.collect::<Vec<_>>());
}
