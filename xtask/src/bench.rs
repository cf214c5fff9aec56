use anyhow::Result;
use bellwether_programs::target_dir;
use clap::Args;

use crate::step::{cargo, command, run as run_step};
use crate::{provision, web};
use bellwether_programs::ELECTION;

#[derive(Args)]
pub(crate) struct Options {
    /// One table only: latency, concurrency, reads, takeover, mongodb-failover, memory, flood,
    /// neighbours, page, or plot
    table: Option<String>,

    /// Few and short rounds: to see that everything works, not for figures
    #[arg(long)]
    quick: bool,

    /// Passed on; `cargo xtask bench TABLE -- --help` lists them
    #[arg(last = true)]
    options: Vec<String>,
}

#[derive(Args)]
pub(crate) struct ElectionOptions {
    /// Print only these: messages, quiet, failover, throughput
    tables: Vec<String>,
}

pub(crate) async fn run(options: Options) -> Result<()> {
    provision::mongod().await?;
    if options.table.as_deref().is_none_or(|table| table == "page") {
        provision::browser().await?;
        web::build().await?;
    }
    // In one go, so that cargo builds the common dependencies of the three once.
    let packages = ["bellwether-server", "bellwether-client", "bellwether-tests"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    run_step(cargo(["build", "--release", "--bins"]).args(packages)).await?;
    let programs = target_dir()?.join("release");
    let mut bench = command(programs.join("bellwether-bench"));
    if options.quick {
        bench.arg("--quick");
    }
    bench.args(options.table).args(options.options);
    run_step(bench.env("BELLWETHER_PROGRAMS", programs)).await
}

pub(crate) async fn election(options: ElectionOptions) -> Result<()> {
    let bench = [
        "bench",
        "--package",
        ELECTION,
        "--features",
        "serde",
        "--bench",
        "figures",
        "--",
    ];
    run_step(cargo(bench).args(options.tables)).await
}
