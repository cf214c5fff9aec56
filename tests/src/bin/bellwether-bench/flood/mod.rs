//! The waiting times of good clients during attacks, and the memory and files that the attacks
//! leave in the server afterwards.

mod attack;
mod good;
mod open_files;

use std::ffi::OsString;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, ensure};
use bellwether_testkit::markdown::{count, line, table};
use bellwether_testkit::wait_until;
use bson::doc;
use clap::Args;
use serde::Serialize;
use tokio::time::sleep;

use crate::bed::Bed;
use crate::figures;
use crate::machine::Machine;
use crate::processes::Memory;
use crate::processes::allow_files;
use attack::Attack;
use good::{Good, Waits};
use open_files::OpenFiles;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Number of idle connections [default: 10000; with --quick 500]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    idle: Option<u32>,

    /// Duration of each attack, in seconds [default: 20; with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,

    /// Number of connections that a flood opens a second [default: 2000; with --quick 500]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    per_second: Option<u32>,

    /// Number of times that all attacks are made, to see if the second time leaves more behind than
    /// the first [default: 2; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

#[derive(Serialize)]
struct Row {
    what: String,
    waits: Waits,
    opened: u64,
    refused: u64,
    frames: u64,
    resident: u64,
    files: OpenFiles,
}

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let (idle, readers, seconds, per_second, rounds) = if quick {
        (500, 2, 2, 500, 1)
    } else {
        (10_000, 32, 20, 2000, 2)
    };
    let idle = options.idle.unwrap_or(idle);
    let length = Duration::from_secs(options.seconds.unwrap_or(seconds));
    let per_second = options.per_second.unwrap_or(per_second);
    let rounds = options.rounds.unwrap_or(rounds);
    allow_files(u64::from(idle) + 7000)?;
    // Idle ones must leave places to those that are measured.
    let mut args = format!("--connections {}", idle.max(9000) + 1000);
    if quick {
        // A busy machine should cause no election, since this run is not about figures.
        args.push_str(" --timeout-ms 10000");
    }
    let args: Vec<OsString> = args.split(' ').map(Into::into).collect();
    let mut bed = Bed::start_with(args).await?;
    let machine = Machine::seen(bed.replica_set.client()).await?;
    let field = Field::of(&mut bed).await?;
    let attacks = [
        Attack::Idle { connections: idle },
        Attack::SlowReaders { connections: readers },
        Attack::SlowHandshakes,
        Attack::FromOneAddress { per_second },
        Attack::FromMany { per_second },
        Attack::Pings,
        Attack::BadFrames { per_second },
    ];
    let mut rows = Vec::new();
    let mut ends = Vec::new();
    field.warm_up(length).await?;
    let begin = field.quiet(None).await?;
    ends.push(begin);
    for _ in 0..rounds {
        rows.extend(field.round(&attacks, length).await?);
        ends.push(field.quiet(Some(begin.files)).await?);
    }
    let epochs = bed.cluster.all_agree().await?.epoch - field.epoch;
    machine.show();
    show(&rows, &ends, length);
    line(&format!(
        "Another coordinator was elected {epochs} times meanwhile.\n"
    ));
    figures::save("flood", &rows)
}

/// The attacked server and its cluster.
struct Field {
    epoch: u64,
    pid: u32,
    port: u16,
    urls: Vec<String>,
    mongodb: Vec<u16>,
}

/// The server without any connected client.
#[derive(Clone, Copy)]
struct Quiet {
    memory: Memory,
    files: OpenFiles,
}

impl Field {
    async fn of(bed: &mut Bed) -> Result<Self> {
        let agreement = bed.cluster.all_agree().await?;
        let coordinator = &bed.cluster.servers[agreement.coordinator];
        let large = bed.replica_set.client().database("app").collection("large");
        let documents = (0..4).map(|id| doc! { "_id": id, "text": "x".repeat(900_000) });
        large.insert_many(documents).await?;
        let mut urls = bed.cluster.urls();
        urls.rotate_left(agreement.coordinator);
        Ok(Self {
            epoch: agreement.epoch,
            pid: coordinator.process.pid(),
            port: coordinator.port,
            urls,
            mongodb: bed.replica_set.members.iter().map(|member| member.port).collect(),
        })
    }

    fn files(&self) -> Result<OpenFiles> {
        OpenFiles::of(self.pid, self.port, &self.mongodb)
    }

    /// Runs good clients, so that the server has made everything that it makes once.
    async fn warm_up(&self, length: Duration) -> Result<()> {
        let _good = Good::start(self.port, &self.urls);
        sleep(length / 2).await;
        Ok(())
    }

    /// Waits until the server has closed every connection, and has only the files open that it had
    /// before. Connections to MongoDB do not count, because the driver keeps them.
    async fn quiet(&self, before: Option<OpenFiles>) -> Result<Quiet> {
        let files = wait_until("the server to let go of all connections", async || {
            let files = self.files()?;
            ensure!(files.clients == 0, "{} are left", files.clients);
            let others = before.map_or(files.others, |before| before.others);
            ensure!(
                files.others == others,
                "it has {files} files open, and {others} others before"
            );
            // Also, no other link of a peer opens or closes just now.
            sleep(Duration::from_secs(1)).await;
            ensure!(self.files()? == files, "it opens and closes some");
            Ok(files)
        })
        .await?;
        Ok(Quiet {
            memory: Memory::of(self.pid)?,
            files,
        })
    }

    async fn round(&self, attacks: &[Attack], length: Duration) -> Result<Vec<Row>> {
        let good = Good::start(self.port, &self.urls);
        let mut rows = vec![self.row("before", &good, length, None).await?];
        for attack in attacks {
            eprintln!("{}.", attack.name());
            rows.push(self.row(&attack.name(), &good, length, Some(*attack)).await?);
        }
        rows.push(self.row("after", &good, length, None).await?);
        Ok(rows)
    }

    async fn row(&self, what: &str, good: &Good, length: Duration, attack: Option<Attack>) -> Result<Row> {
        let attackers = match attack {
            Some(attack) => Some(attack.begin(self.port).await?),
            None => None,
        };
        // Commands from before the attack do not belong to it.
        good.waits();
        sleep(length).await;
        // On a busy machine it may take longer; but it must come.
        wait_until("a good client's command to be executed", async || {
            ensure!(good.executed() > 0, "none was, since {what}");
            Ok(())
        })
        .await?;
        let waits = good.waits();
        let tallied = |which: fn(&attack::Tally) -> &std::sync::atomic::AtomicU64| {
            let tally = attackers.as_ref().map(|attackers| &attackers.tally);
            tally.map_or(0, |tally| which(tally).load(Ordering::Relaxed))
        };
        Ok(Row {
            what: what.to_owned(),
            waits,
            opened: tallied(|tally| &tally.opened),
            refused: tallied(|tally| &tally.refused),
            frames: tallied(|tally| &tally.frames),
            resident: Memory::of(self.pid)?.resident,
            files: self.files()?,
        })
    }
}

// Far fewer than a float can count.
#[allow(clippy::cast_precision_loss)]
fn show(rows: &[Row], ends: &[Quiet], length: Duration) {
    line(&format!(
        "What good clients wait, in ms, over {length:?} of each: four on connections kept open and four with a connection for each \
         command, each 20 ms after its last answer. Then what those did who attacked the coordinator, and its resident memory in MiB \
         and open files (of clients + to MongoDB + others) at the end of it.\n"
    ));
    let header = [
        "",
        "kept open p50",
        "p99",
        "max",
        "one-shot p50",
        "p99",
        "max",
        "executed",
        "failed",
        "opened",
        "refused",
        "frames",
        "memory",
        "files",
    ];
    let number = |value: u64| count(value as f64);
    let shown = rows.iter().map(|row| {
        let Waits {
            kept_open,
            one_shots,
            executed,
            failed,
        } = row.waits;
        let mut cells = vec![row.what.clone()];
        for waited in [kept_open, one_shots] {
            cells.extend([waited.p50, waited.p99, waited.max].map(|ms| format!("{ms:.1}")));
        }
        cells.extend([executed as u64, failed, row.opened, row.refused, row.frames].map(number));
        cells.extend([mib(row.resident), row.files.to_string()]);
        cells
    });
    table(&header, &shown.collect::<Vec<_>>());
    line("The server when nobody is connected, before and after each round of all attacks:\n");
    let shown = ends.iter().enumerate().map(|(round, quiet)| {
        let when = if round == 0 {
            "before".to_owned()
        } else {
            format!("after round {round}")
        };
        vec![
            when,
            mib(quiet.memory.resident),
            mib(quiet.memory.peak),
            quiet.files.to_string(),
        ]
    });
    table(&["", "memory", "its peak", "files"], &shown.collect::<Vec<_>>());
}

// As above.
#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}
