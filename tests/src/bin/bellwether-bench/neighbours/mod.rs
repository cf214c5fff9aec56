//! The waiting times of innocent clients next to each kind of neighbour. Also the time without
//! service after a command that MongoDB cannot stop.

mod innocents;
mod kinds;
mod unstoppable;

use std::fs;
use std::time::Duration;

use anyhow::Result;
use bellwether_testkit::markdown::{line, table};
use bson::{Document, doc};
use clap::Args;
use serde::Serialize;
use tempfile::TempDir;
use tokio::runtime::{self, Handle};
use tokio::time::sleep;

use crate::bed::Bed;
use crate::figures;
use crate::machine::Machine;
use crate::statistics::Percentiles;
use innocents::{Innocents, Waits};
use kinds::{Kind, Place};

/// Pause between a neighbour's end and the next slice, so that late effects do not count for the
/// next one.
const REST: Duration = Duration::from_secs(2);

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Number of times that each neighbour is measured [default: 5; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Time for which it is measured each time, and as long without it, in seconds [default: 8;
    /// with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

/// One neighbour in one round.
#[derive(Serialize)]
struct Slice {
    kind: String,
    without: Waits,
    with: Waits,
    epochs: u64,
}

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let (rounds, seconds) = if quick { (1, 1) } else { (5, 8) };
    let rounds = options.rounds.unwrap_or(rounds);
    let length = Duration::from_secs(options.seconds.unwrap_or(seconds));
    let www = page()?;
    let mut bed = Bed::start_for_page(www.path().to_path_buf(), &[]).await?;
    let machine = Machine::seen(bed.replica_set.client()).await?;
    prepare(&bed).await?;
    // The neighbours' own work must not delay the innocents within this program.
    let apart = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mut slices = Vec::new();
    for round in 0..rounds {
        for kind in Kind::ALL {
            eprintln!("Round {}: {}.", round + 1, kind.name());
            slices.push(slice(&mut bed, apart.handle(), kind, length).await?);
        }
    }
    drop(bed);
    apart.shutdown_background();
    machine.show();
    show(&slices, rounds, length);
    let mut recoveries = Vec::new();
    for round in 0..rounds {
        eprintln!("Round {}: an update that MongoDB cannot stop.", round + 1);
        recoveries.push(unstoppable::recovery().await?);
    }
    unstoppable::show(&recoveries);
    figures::save("neighbours", &(slices, recoveries))
}

/// Makes a page with one large file, of which compression makes about half.
fn page() -> Result<TempDir> {
    let www = TempDir::with_prefix("bellwether-www-")?;
    fs::write(
        www.path().join("index.html"),
        "<!doctype html><title>Page</title>",
    )?;
    let letters: Vec<u8> = (0..3_000_000_u32)
        .map(|index| b"abcdefghijklmnopqrstuvwxyz"[(index.wrapping_mul(2_654_435_761) >> 27) as usize % 26])
        .collect();
    fs::write(www.path().join(kinds::LARGE_FILE), letters)?;
    Ok(www)
}

async fn prepare(bed: &Bed) -> Result<()> {
    let app = bed.replica_set.client().database("app");
    let unique = doc! { "createIndexes": "bad", "indexes": [{ "key": { "t": 1 }, "name": "t", "unique": true, "sparse": true }] };
    app.run_command(unique).await?;
    let bad = app.collection::<Document>("bad");
    bad.insert_one(doc! { "_id": 1, "n": 0, "t": kinds::text() })
        .await?;
    Ok(())
}

/// Measures the innocents alone, then next to the neighbour.
async fn slice(bed: &mut Bed, apart: &Handle, kind: Kind, length: Duration) -> Result<Slice> {
    let before = bed.cluster.agreement().await?;
    let ports: Vec<u16> = bed.cluster.servers.iter().map(|server| server.port).collect();
    let innocents = Innocents::start(&ports);
    sleep(REST).await;
    innocents.waits();
    sleep(length).await;
    let without = innocents.waits();
    let place = Place {
        port: ports[before.coordinator],
        mongodb: bed.replica_set.client().clone(),
    };
    let neighbour = {
        let _apart = apart.enter();
        kind.begin(&place)
    };
    sleep(REST).await;
    innocents.waits();
    sleep(length).await;
    let with = innocents.waits();
    drop(neighbour);
    drop(innocents);
    sleep(REST).await;
    let after = bed.cluster.agreement().await?;
    Ok(Slice {
        kind: kind.name().to_owned(),
        without,
        with,
        epochs: after.epoch - before.epoch,
    })
}

fn show(slices: &[Slice], rounds: u32, length: Duration) {
    line(&format!(
        "What four innocent clients wait, in ms, each on a connection kept open that inserts and finds in turn without a pause. \
         {rounds} rounds of {length:?} without and {length:?} with each neighbour, in turn; medians of the rounds. `failed` are \
         commands of innocents that were not executed at the first try, `epochs` the coordinators elected meanwhile.\n"
    ));
    let header = [
        "next to",
        "write p50 without",
        "with",
        "write p99 without",
        "with",
        "read p50 without",
        "with",
        "read p99 without",
        "with",
        "failed",
        "epochs",
    ];
    let rows: Vec<Vec<String>> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let of_it: Vec<&Slice> = slices.iter().filter(|slice| slice.kind == kind.name()).collect();
            let over = |which: fn(&Slice) -> Percentiles| {
                Percentiles::over_rounds(&of_it.iter().map(|slice| which(slice)).collect::<Vec<_>>())
            };
            let (writes, beside) = (
                over(|slice| slice.without.writes),
                over(|slice| slice.with.writes),
            );
            let (reads, reads_beside) = (over(|slice| slice.without.reads), over(|slice| slice.with.reads));
            let mut cells = vec![kind.name().to_owned()];
            let times = [
                writes.p50,
                beside.p50,
                writes.p99,
                beside.p99,
                reads.p50,
                reads_beside.p50,
                reads.p99,
                reads_beside.p99,
            ];
            cells.extend(times.map(|ms| format!("{ms:.1}")));
            let failed: u64 = of_it.iter().map(|slice| slice.with.failed).sum();
            let epochs: u64 = of_it.iter().map(|slice| slice.epochs).sum();
            cells.extend([failed, epochs].map(|count| count.to_string()));
            cells
        })
        .collect();
    table(&header, &rows);
}
