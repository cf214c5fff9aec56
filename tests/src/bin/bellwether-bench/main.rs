//! Measurements as a user sees them: waiting times of commands, throughput, and the cost of faults.
//! If the MongoDB driver can do the same by itself, both are measured in turn, in the same run on
//! the same machine. Compare only figures of one run with each other.
//!
//! `cargo xtask bench` builds this together with the programs it starts, and runs it. Everything is
//! measured from outside, through connections and signals.

mod bed;
mod closed_loop;
mod concurrency;
mod failover;
mod figures;
mod flood;
mod gauge;
mod insistent;
mod kept_open;
mod latency;
mod machine;
mod memory;
mod neighbours;
mod one_shots;
mod page;
mod plot;
mod processes;
mod reads;
mod side;
mod statistics;
mod sweep;
mod takeover;
mod workload;

use anyhow::Result;
use bellwether_testkit::markdown::line;
use clap::{Parser, Subcommand};

/// Measures Bellwether and prints tables for docs/benchmarks.md. Without the name of a table: all
/// of them, and the plots.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Options {
    /// Few and short rounds: to see that everything works, not for figures
    #[arg(long, global = true)]
    quick: bool,

    #[command(subcommand)]
    table: Option<Table>,
}

#[derive(Subcommand)]
enum Table {
    /// Time that one client waits for one command, compared with the driver
    Latency(latency::Options),
    /// Inserts, updates and mixed commands a second of 1 to 256 clients, compared with the driver's
    Concurrency(sweep::Options),
    /// Reads a second of 1 to 256 clients, compared with the driver's
    Reads(sweep::Options),
    /// Time that commands wait when the coordinator is killed, stands still, or gets the signal to
    /// end
    Takeover(takeover::Options),
    /// Time that commands wait when MongoDB's primary is killed, with the servers' help and without
    MongodbFailover(failover::Options),
    /// Memory and processor time of the coordinator, with idle connections and under load
    Memory(memory::Options),
    /// Time that good clients wait while others flood a server, and the effects that remain
    /// afterwards
    Flood(flood::Options),
    /// Time that innocent clients wait with each kind of bad neighbour, and without it
    Neighbours(neighbours::Options),
    /// Time that a user of the page waits for it and for a command, with all servers and with some
    /// of them dead
    Page(page::Options),
    /// Draws the figures of `concurrency` and `reads` into docs/
    Plot,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Options { quick, table } = Options::parse();
    match table {
        Some(table) => run(&table, quick).await,
        None => everything(quick).await,
    }
}

async fn run(table: &Table, quick: bool) -> Result<()> {
    match table {
        Table::Latency(options) => latency::run(options, quick).await,
        Table::Concurrency(options) => concurrency::run(options, quick).await,
        Table::Reads(options) => reads::run(options, quick).await,
        Table::Takeover(options) => takeover::run(options, quick).await,
        Table::MongodbFailover(options) => failover::run(options, quick).await,
        Table::Memory(options) => memory::run(options, quick).await,
        Table::Flood(options) => flood::run(options, quick).await,
        Table::Neighbours(options) => neighbours::run(options, quick).await,
        Table::Page(options) => page::run(options, quick).await,
        Table::Plot => plot::run(),
    }
}

async fn everything(quick: bool) -> Result<()> {
    let tables = [
        ("One client", Table::Latency(latency::Options::default())),
        (
            "Many clients: writes",
            Table::Concurrency(sweep::Options::default()),
        ),
        ("Many clients: reads", Table::Reads(sweep::Options::default())),
        ("Takeover", Table::Takeover(takeover::Options::default())),
        (
            "MongoDB's failover",
            Table::MongodbFailover(failover::Options::default()),
        ),
        ("Memory", Table::Memory(memory::Options::default())),
        ("Floods", Table::Flood(flood::Options::default())),
        ("Neighbours", Table::Neighbours(neighbours::Options::default())),
        ("The page", Table::Page(page::Options::default())),
    ];
    for (title, table) in &tables {
        line(&format!("### {title}\n"));
        run(table, quick).await?;
    }
    if quick {
        // Those in docs/ show real figures.
        return Ok(());
    }
    plot::run()
}
