use anyhow::Result;
use bellwether_programs::target_dir;
use clap::Args;

use crate::step::{cargo, command, run as run_step};
use crate::{provision, web};

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
