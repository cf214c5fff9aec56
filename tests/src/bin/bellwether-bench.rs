//! What the user feels: how long a command waits when the coordinator dies, and what a one-shot insert costs beside the
//! driver's own. Both are measured in one run on one machine, so compare them with each other only.
//!
//! `cargo xtask bench` builds this together with the programs it starts, and runs it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bellwether_client::native::Native;
use bellwether_client::{CommandText, Executed, OneShot, ServerList};
use bellwether_tests::{Cluster, ClusterOptions, ReplicaSet, ReplicaSetOptions};
use bson::{Document, doc};
use clap::Parser;
use mongodb::options::WriteConcern;
use tempfile::TempDir;
use tokio::time::sleep;

/// Measures takeover time and the latency of commands.
#[derive(Parser)]
#[command(name = "bellwether-bench")]
struct Options {
    /// How often the coordinator is killed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// How many inserts of each kind are measured
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    inserts: u32,

    /// How long the cluster is left alone before each kill, in milliseconds. The server that comes back takes over
    /// within the first second if its new number is the largest; a shorter rest measures kills in the middle of that.
    #[arg(long, default_value_t = 2000)]
    rest_ms: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let without_tests = ReplicaSetOptions {
        test_commands: false,
        ..ReplicaSetOptions::default()
    };
    let replica_set = ReplicaSet::start_with(without_tests).await?;
    let logs = TempDir::with_prefix("bellwether-bench-").context("making a directory for logs")?;
    let mut cluster = Cluster::start_with(ClusterOptions {
        logs: Some(logs.path().to_path_buf()),
        ..ClusterOptions::new(replica_set.uri())
    })
    .await?;
    let servers: ServerList = cluster.urls().join(",").parse()?;

    eprintln!("Measuring {} inserts of each kind, in turn.", options.inserts);
    let (one_shot, driver) = inserts(&servers, &replica_set, options.inserts).await?;
    eprintln!("Killing the coordinator {} times.", options.rounds);
    let rest = Duration::from_millis(options.rest_ms);
    let takeovers = takeovers(&mut cluster, &servers, options.rounds, rest).await?;

    println!("                                                      n      p50      p99      max   (ms)");
    row("kill -9 of the coordinator to the next reply", takeovers);
    row("insert: one-shot, a new connection each", one_shot);
    row("insert: the driver, w: majority, connected", driver);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "\n{cores} cores for 3 mongod, 3 servers and the client, all on loopback. A server's time-out is 500 ms; the \
         cluster rests {rest:?} before each kill.\nThe first row's client sends its command at the moment of the kill, \
         to a list that begins with any of the three."
    );
    Ok(())
}

async fn inserts(
    servers: &ServerList,
    replica_set: &ReplicaSet,
    count: u32,
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    const WARM_UP: u32 = 20;
    let direct = replica_set
        .client()
        .database("app")
        .collection::<Document>("bench_driver");
    let (mut one_shot, mut driver) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + count {
        let started = Instant::now();
        insert(servers, n).await?;
        let by_one_shot = started.elapsed();
        let started = Instant::now();
        direct
            .insert_one(doc! { "n": n })
            .write_concern(WriteConcern::majority())
            .await?;
        let by_driver = started.elapsed();
        if n >= WARM_UP {
            one_shot.push(by_one_shot);
            driver.push(by_driver);
        }
    }
    Ok((one_shot, driver))
}

async fn takeovers(
    cluster: &mut Cluster,
    servers: &ServerList,
    rounds: u32,
    rest: Duration,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for round in 0..rounds {
        sleep(rest).await;
        let before = cluster.agreement().await?;
        let coordinator = &mut cluster.servers[before.coordinator].process;
        let started = Instant::now();
        coordinator.strike()?;
        let executed = insert(servers, round).await?;
        times.push(started.elapsed());
        ensure!(
            executed.epoch > before.epoch,
            "the killed coordinator answered; nothing was measured"
        );
        coordinator.restart()?;
        cluster.all_agree().await?;
    }
    Ok(times)
}

async fn insert(servers: &ServerList, n: u32) -> Result<Executed> {
    let command: CommandText =
        format!(r#"{{"insert":"bench_one_shot","documents":[{{"n":{n}}}]}}"#).parse()?;
    let one_shot = OneShot::new(Native::new(), servers.clone());
    one_shot
        .execute(&command, |_| {})
        .await
        .context("an insert was not executed")
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1].as_secs_f64() * 1000.0;
    println!(
        "{what:46} {:8} {:8.1} {:8.1} {:8.1}",
        times.len(),
        at(50),
        at(99),
        at(100)
    );
}
