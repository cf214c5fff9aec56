//! The waiting times of a user who opens the page and sends a command, in a headless Chromium. The
//! times are measured inside the page, by its own clock, between its own events.

mod sizes;
mod visitor;

use std::time::Duration;

use anyhow::{Result, ensure};
use bellwether_testkit::{BlackHole, page_dir};
use clap::Args;
use serde::Serialize;

use crate::bed::Bed;
use crate::figures;
use crate::machine::Machine;
use crate::statistics::{Percentiles, Spread};
use bellwether_testkit::markdown::{line, table};
use sizes::Sizes;
use visitor::{Visit, Visitor};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Number of times that the page is loaded in each situation [default: 40; with --quick 4]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    loads: Option<u32>,

    /// Number of commands from each page that knows the coordinator [default: 5; with --quick 2]
    #[arg(long)]
    commands: Option<u32>,

    /// Number of times that the coordinator is killed [default: 10; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    kills: Option<u32>,
}

/// The state of the three servers.
#[derive(Clone, Copy, Serialize)]
enum Situation {
    AllWell,
    OneDead,
    TwoDead,
    OneBlackHoled,
}

const SITUATIONS: [Situation; 4] = [
    Situation::AllWell,
    Situation::OneDead,
    Situation::TwoDead,
    Situation::OneBlackHoled,
];

/// The servers' numbers are drawn up so that the last one is coordinator while it lives.
const NUMBERS: [u64; 3] = [1, 2, 3];
const HOST: usize = 0;
const SUCCESSOR: usize = 1;
const COORDINATOR: usize = 2;

#[derive(Serialize)]
struct Figures {
    machine: Machine,
    situations: Vec<(Situation, Vec<Visit>)>,
    kills: Vec<Duration>,
    sizes: Sizes,
}

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let (loads, commands, kills) = if quick { (4, 2, 1) } else { (40, 5, 10) };
    let loads = options.loads.unwrap_or(loads);
    let commands = options.commands.unwrap_or(commands);
    let kills = options.kills.unwrap_or(kills);

    let mut bed = Bed::start_for_page(page_dir()?, &NUMBERS).await?;
    let visitor = Visitor::start(&bed.cluster.servers[HOST].page(), bed.cluster.urls()).await?;
    let mut measured = Figures {
        machine: Machine::seen(bed.replica_set.client()).await?,
        situations: Vec::new(),
        kills: Vec::new(),
        sizes: Sizes::default(),
    };
    for situation in SITUATIONS {
        let trouble = situation.bring_about(&mut bed).await?;
        eprintln!(
            "{}: {loads} times two loads, and {commands} commands more.",
            situation.title()
        );
        let mut visits = Vec::new();
        // The first load of all also starts a process of the browser's.
        visitor.visit(1).await?;
        for _ in 0..loads {
            visits.push(visitor.visit(commands).await?);
        }
        measured.situations.push((situation, visits));
        drop(trouble);
        all_well(&mut bed).await?;
    }
    for kill in 1..=kills {
        eprintln!("Kill {kill} of {kills}, with a command in flight.");
        measured.kills.push(kill_in_flight(&visitor, &mut bed).await?);
        all_well(&mut bed).await?;
    }
    measured.sizes = Sizes::of(&visitor.loaded().await?)?;
    visitor.close().await?;
    measured.show(loads, commands);
    figures::save("page", &measured)
}

async fn all_well(bed: &mut Bed) -> Result<()> {
    for server in &mut bed.cluster.servers {
        if !server.process.is_running() {
            server.process.restart()?;
        }
    }
    let agreement = bed.cluster.all_agree().await?;
    ensure!(agreement.coordinator == COORDINATOR, "{agreement:?}");
    Ok(())
}

/// Kills the coordinator under a page that sends one command after the other, and returns the
/// longest time of a command.
async fn kill_in_flight(visitor: &Visitor, bed: &mut Bed) -> Result<Duration> {
    visitor.visit(3).await?;
    visitor.begin_to_send().await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    bed.cluster.servers[COORDINATOR].process.kill()?;
    bed.cluster.agreement().await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    visitor.longest_sent().await
}

impl Situation {
    fn title(self) -> &'static str {
        match self {
            Self::AllWell => "all three servers up",
            Self::OneDead => "one of three dead",
            Self::TwoDead => "two of three dead",
            Self::OneBlackHoled => "one of three black-holed",
        }
    }

    /// Brings this situation about, until the returned value is dropped and the servers are started
    /// again. The servers that remain have taken over by then: another benchmark measures takeover.
    async fn bring_about(self, bed: &mut Bed) -> Result<Option<BlackHole>> {
        let dead: &[usize] = match self {
            Self::AllWell => &[],
            Self::OneDead => &[COORDINATOR],
            Self::TwoDead => &[COORDINATOR, SUCCESSOR],
            Self::OneBlackHoled => &[SUCCESSOR],
        };
        for server in dead {
            bed.cluster.servers[*server].process.kill()?;
        }
        bed.cluster.agreement().await?;
        if let Self::OneBlackHoled = self {
            let port = bed.cluster.servers[SUCCESSOR].port;
            return BlackHole::open_at(port).await.map(Some);
        }
        Ok(None)
    }
}

impl Figures {
    fn show(&self, loads: u32, commands: u32) {
        self.machine.show();
        line(&format!(
            "A headless Chromium, times in ms, p50 / p95: from the beginning of the navigation to the first executed command, \
             with nothing cached; from the click to the reply, by a page that has loaded and tries the servers in random order; \
             the same by when it knows the coordinator. {loads} loads for each of the first two columns, {commands} commands after \
             each for the third. The commands insert a document.\n"
        ));
        let rows = self.situations.iter().map(|(situation, visits)| {
            let of = |times: Vec<Duration>| {
                let Percentiles { p50, p95, .. } = Percentiles::of(times);
                format!("{p50:.0} / {p95:.0}")
            };
            vec![
                situation.title().to_owned(),
                of(visits.iter().map(|visit| visit.load_to_executed).collect()),
                of(visits.iter().map(|visit| visit.unknowing).collect()),
                of(visits.iter().flat_map(|visit| visit.knowing.clone()).collect()),
            ]
        });
        let header = [
            "",
            "load to executed",
            "coordinator not known",
            "coordinator known",
        ];
        table(&header, &rows.collect::<Vec<_>>());
        let kills = self.kills.iter().map(Duration::as_secs_f64);
        line(&format!(
            "The coordinator killed with a command of the page in flight, {} times: that command took {} s, median (least–most).\n",
            self.kills.len(),
            Spread::of(kills).show(|seconds| format!("{seconds:.2}"))
        ));
        self.sizes.show();
    }
}
