//! Memory and processor time of the coordinator, with idle connections and under load.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bed::Bed;
use crate::closed_loop::closed_loop;
use crate::figures;
use crate::kept_open::KeptOpen;
use crate::machine::Machine;
use crate::processes::{Memory, allow_files, cpu_time};
use crate::side::{connect, make_documents, with_operations};
use crate::workload::{Operations, Workload};
use bellwether_testkit::markdown::{count, line, table};

/// Number of connections from one address: a large part of the ports that the system gives to
/// outgoing connections.
const PER_ADDRESS: u32 = 4000;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Number of idle connections at a time [default: 1,1000,10000; with --quick 1,100,1000]
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    connections: Vec<u32>,

    /// Time for which idle connections are measured, in seconds [default: 30; with --quick 3].
    /// Servers ping every 15 s.
    #[arg(long)]
    idle_seconds: Option<u64>,

    /// Time for which the load is measured, in seconds [default: 10; with --quick 2]
    #[arg(long)]
    load_seconds: Option<u64>,

    /// Number of clients of the load [default: 256; with --quick 64]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4000))]
    clients: Option<u32>,
}

#[derive(Serialize)]
struct Row {
    what: String,
    #[serde(flatten)]
    memory: Memory,
    /// The part of one core that the server kept busy.
    cpu: f64,
    per_command_us: Option<f64>,
}

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let counts = match (options.connections.as_slice(), quick) {
        ([], false) => &[1, 1000, 10_000],
        ([], true) => &[1, 100, 1000][..],
        (chosen, _) => chosen,
    };
    let (idle, load, clients) = if quick { (3, 2, 64) } else { (30, 10, 256) };
    let idle = Duration::from_secs(options.idle_seconds.unwrap_or(idle));
    let load = Duration::from_secs(options.load_seconds.unwrap_or(load));
    let clients = options.clients.unwrap_or(clients);
    let most = counts.iter().max().copied().unwrap_or_default();
    allow_files(u64::from(most) + 1000)?;
    // Some connections are needed to ask the servers for their status.
    let connections = format!("--connections {} --connections-per-address 0", most + 100);
    let args: Vec<OsString> = connections.split(' ').map(Into::into).collect();

    let mut rows = Vec::new();
    let mut machine = None;
    for connections in counts {
        eprintln!("{connections} idle connections.");
        // Each row has servers of its own: an allocator does not give its memory back.
        let mut bed = Bed::start_with(args.clone()).await?;
        if machine.is_none() {
            machine = Some(Machine::seen(bed.replica_set.client()).await?);
        }
        match idle_row(&mut bed, *connections, idle).await {
            Ok(row) => rows.push(row),
            Err(error) => eprintln!("No figures for {connections} idle connections: {error:#}"),
        }
    }
    eprintln!("{clients} clients that insert.");
    rows.push(load_row(&mut Bed::start().await?, clients, load).await?);
    if let Some(machine) = machine {
        machine.show();
    }
    show(&rows, idle, load);
    figures::save("memory", &rows)
}

async fn idle_row(bed: &mut Bed, connections: u32, measured: Duration) -> Result<Row> {
    let pid = coordinator(bed).await?;
    let port = bed.coordinator_port().await?;
    let mut idling = JoinSet::new();
    let open = async |number: u32| {
        let [_, b, c, d] = (number / PER_ADDRESS + 1).to_be_bytes();
        let opening = KeptOpen::open_from(Ipv4Addr::new(127, b, c, d), port);
        let opened = timeout(Duration::from_secs(5), opening).await;
        opened.context("the server does not answer")?
    };
    let mut opened = stream::iter(0..connections).map(open).buffer_unordered(32);
    while let Some(connection) = opened
        .try_next()
        .await
        .with_context(|| format!("it took {} connections and no more", idling.len()))?
    {
        idling.spawn(connection.idle());
    }
    let before = cpu_time(pid)?;
    tokio::select! {
        Some(ended) = idling.join_next() => match ended.context("a connection panicked")? {
            Err(error) => return Err(error),
            Ok(()) => bail!("a connection ended"),
        },
        () = sleep(measured) => {}
    }
    let what = format!("idle connections: {}", count(f64::from(connections)));
    row(what, pid, before, measured, None)
}

// Far fewer commands than a float can count.
#[allow(clippy::cast_precision_loss)]
async fn load_row(bed: &mut Bed, clients: u32, measured: Duration) -> Result<Row> {
    let pid = coordinator(bed).await?;
    make_documents(bed).await?;
    let port = bed.coordinator_port().await?;
    let operations = || Operations::of(Workload::Inserts);
    let callers = with_operations(connect(port, usize::try_from(clients)?).await?, operations);
    let round = closed_loop(callers, measured, &bed.gauge()).await?;
    let what = format!("{clients} clients, {} inserts a second", count(round.per_second));
    Ok(Row {
        what,
        memory: Memory::of(pid)?,
        cpu: round.servers_us * round.per_second / 1e6,
        per_command_us: Some(round.servers_us),
    })
}

async fn coordinator(bed: &mut Bed) -> Result<u32> {
    let agreement = bed.cluster.all_agree().await?;
    Ok(bed.cluster.servers[agreement.coordinator].process.pid())
}

fn row(
    what: String,
    pid: u32,
    before: Duration,
    measured: Duration,
    per_command_us: Option<f64>,
) -> Result<Row> {
    let cpu = cpu_time(pid)?.saturating_sub(before);
    Ok(Row {
        what,
        memory: Memory::of(pid)?,
        cpu: cpu.as_secs_f64() / measured.as_secs_f64(),
        per_command_us,
    })
}

// Bytes are far fewer than a float can count.
#[allow(clippy::cast_precision_loss)]
fn show(rows: &[Row], idle: Duration, load: Duration) {
    line(&format!(
        "The coordinator's memory in MiB and its processor time, over {idle:?} with idle connections (it pings each every 15 s) \
         and {load:?} under load; each row with servers freshly started. Processor time a command is that of all three servers.\n"
    ));
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let rows = rows.iter().map(|row| {
        vec![
            row.what.clone(),
            mib(row.memory.resident),
            mib(row.memory.proportional),
            mib(row.memory.peak),
            format!("{:.1} %", 100.0 * row.cpu),
            row.per_command_us
                .map_or_else(|| "–".to_owned(), |time| format!("{time:.0} µs")),
        ]
    });
    let header = ["", "resident", "proportional", "peak", "of one core", "a command"];
    table(&header, &rows.collect::<Vec<_>>());
}
