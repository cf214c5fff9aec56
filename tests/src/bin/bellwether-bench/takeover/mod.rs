//! The waiting time of commands when the coordinator is killed, paused or stopped.

mod fault;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwether_client::ServerList;
use bellwether_testkit::Journal;
use clap::Args;
use serde::Serialize;
use tokio::time::sleep;

use crate::bed::{Bed, list_from};
use crate::figures;
use crate::insistent::Insistent;
use crate::machine::Machine;
use crate::one_shots::OneShots;
use crate::statistics::Percentiles;
use bellwether_testkit::markdown::{line, table};

use fault::Fault;

/// Number of commands of each client that end a round: then operation is normal again.
const AFTERWARDS: usize = 3;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Number of times that each fault befalls the coordinator [default: 50; with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Number of clients under load [default: 8]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    clients: Option<u32>,

    /// Time for which the cluster is left alone before each fault, in milliseconds [default: 2000;
    /// with --quick 500]. A server that comes back takes over within the first second if its new
    /// number is the largest. A shorter rest measures faults in the middle of that.
    #[arg(long)]
    rest_ms: Option<u64>,
}

/// A fault in certain circumstances.
struct Row {
    fault: Fault,
    what: &'static str,
    loaded: bool,
    prober: Prober,
}

/// The client that asks at the moment of the fault.
#[derive(Clone, Copy)]
enum Prober {
    /// It sends one-shot commands; the coordinator is at each place of its list in turn, round by
    /// round.
    OneShot,
    /// It asks the servers without the fault, again and again.
    Insistent,
}

impl Row {
    const fn new(fault: Fault, what: &'static str, loaded: bool, prober: Prober) -> Self {
        Self {
            fault,
            what,
            loaded,
            prober,
        }
    }
}

const ROWS: [Row; 7] = [
    Row::new(Fault::Kill, "`kill -9`, idle", false, Prober::OneShot),
    Row::new(Fault::Kill, "`kill -9`, under load", true, Prober::OneShot),
    Row::new(Fault::Pause, "`SIGSTOP`, idle", false, Prober::Insistent),
    Row::new(Fault::Pause, "`SIGSTOP`, under load", true, Prober::Insistent),
    Row::new(
        Fault::Pause,
        "`SIGSTOP`, idle, seen by a one-shot client",
        false,
        Prober::OneShot,
    ),
    Row::new(Fault::Stop, "`SIGTERM`, idle", false, Prober::OneShot),
    Row::new(Fault::Stop, "`SIGTERM`, under load", true, Prober::OneShot),
];

/// The effect of one fault.
#[derive(Serialize)]
struct Round {
    /// Time from the fault to the first command executed by the next coordinator.
    next: Duration,
    /// The longest time without an executed command around the fault.
    pause: Duration,
    failures: Vec<String>,
}

#[derive(Serialize)]
struct Takeovers {
    machine: Machine,
    rows: Vec<(&'static str, Vec<Round>)>,
}

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let (rounds, rest_ms) = if quick { (3, 500) } else { (50, 2000) };
    let rounds = options.rounds.unwrap_or(rounds);
    let rest = Duration::from_millis(options.rest_ms.unwrap_or(rest_ms));
    let clients = usize::try_from(options.clients.unwrap_or(8))?;
    let mut bed = Bed::start().await?;
    let machine = Machine::seen(bed.replica_set.client()).await?;
    let mut rows: Vec<_> = ROWS.iter().map(|row| (row.what, Vec::new())).collect();
    let faults = usize::try_from(rounds)?;
    for round in 0..faults {
        eprintln!(
            "Round {} of {faults}: every fault once, idle and under load.",
            round + 1
        );
        for (row, (_, measured)) in ROWS.iter().zip(&mut rows) {
            sleep(rest).await;
            let clients = if row.loaded { clients } else { 0 };
            let one = one(&mut bed, row, round, clients).await;
            measured.push(one.with_context(|| format!("{}, round {}", row.what, round + 1))?);
        }
    }
    let takeovers = Takeovers { machine, rows };
    show(&takeovers, clients, rest);
    figures::save("takeover", &takeovers)
}

/// Injects one fault. At its moment a client sends a command, and goes on with others until
/// operation is normal again. Under load other clients already send commands.
async fn one(bed: &mut Bed, row: &Row, round: usize, clients: usize) -> Result<Round> {
    let before = bed.cluster.all_agree().await?;
    let lists: Vec<ServerList> = (0..clients)
        .map(|client| list_from(&bed.cluster, client))
        .collect::<Result<_>>()?;
    let list = list_from(&bed.cluster, before.coordinator + round)?;
    let others = (1..bed.cluster.servers.len())
        .map(|step| bed.cluster.servers[(before.coordinator + step) % bed.cluster.servers.len()].port)
        .collect();

    let (load, probes) = (Journal::default(), Journal::default());
    let begun = Instant::now();
    let loading = OneShots::start(lists, &load);
    load.all_executed(clients, AFTERWARDS, begun, 0).await?;

    let struck = Instant::now();
    row.fault
        .strike(&mut bed.cluster.servers[before.coordinator].process)?;
    let epoch = before.epoch + 1;
    match row.prober {
        Prober::OneShot => {
            let probing = OneShots::start([list], &probes);
            probes.all_executed(1, AFTERWARDS, struck, epoch).await?;
            probing.finish().await?;
        }
        Prober::Insistent => {
            let _probing = Insistent::start(others, probes.clone());
            probes.all_executed(1, AFTERWARDS, struck, epoch).await?;
        }
    }
    if row.fault != Fault::Pause {
        // Clients that wait for the answer of a stopped server may do so until it is resumed.
        load.all_executed(clients, AFTERWARDS, struck, epoch).await?;
    }
    let all = probes.and(&load);
    let next = all
        .first_in(epoch, struck)
        .context("nothing was executed after the fault")?;
    let pause = all.longest_pause(struck);

    let mending = Instant::now();
    row.fault
        .mend(&mut bed.cluster.servers[before.coordinator].process)
        .await?;
    load.all_executed(clients, AFTERWARDS, mending, epoch).await?;
    loading.finish().await?;
    ensure!(
        bed.cluster.all_agree().await?.epoch > before.epoch,
        "nobody took over; nothing was measured"
    );
    let failures = load.and(&probes).failures();
    Ok(Round {
        next,
        pause,
        failures,
    })
}

fn show(takeovers: &Takeovers, clients: usize, rest: Duration) {
    takeovers.machine.show();
    line(&format!(
        "Times in ms. The cluster rests {rest:?} before each fault. The load are {clients} clients that pass one insert after \
         another, each with a new connection, as does the one that begins at the moment of the fault; after `SIGSTOP` that \
         one asks the other servers every 5 ms. A server's time-out is 500 ms.\n"
    ));
    let header = [
        "fault of the coordinator",
        "n",
        "to the first command of the next coordinator: p50",
        "p99",
        "max",
        "longest pause: p50",
        "p99",
        "max",
        "commands failed",
    ];
    let rows = takeovers.rows.iter().map(|(what, rounds)| {
        let times = |of: fn(&Round) -> Duration| Percentiles::of(rounds.iter().map(of).collect());
        let failed: usize = rounds.iter().map(|round| round.failures.len()).sum();
        vec![
            (*what).to_owned(),
            rounds.len().to_string(),
            times(|round| round.next).to_string(),
            times(|round| round.pause).to_string(),
            failed.to_string(),
        ]
    });
    table(&header, &rows.collect::<Vec<_>>());
    for (what, rounds) in &takeovers.rows {
        for failure in rounds.iter().flat_map(|round| &round.failures) {
            eprintln!("{what}: a command failed: {failure}");
        }
    }
}
