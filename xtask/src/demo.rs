//! Builds the demo, the server and the client, and starts the demo.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};
use bellwether_programs::{is_free, target_dir};
use clap::Args;

use crate::step::{cargo, command, run as run_step, say};
use crate::{provision, web};

#[derive(Args)]
pub(crate) struct Options {
    /// The first of the ports: N to N+2 for clients and the page, N+100 to N+102 between the
    /// servers, N+200 to N+202 for MongoDB
    #[arg(long, value_name = "N", default_value_t = 7001, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    ports_from: u16,
}

/// The ports of 127.0.0.1, three of each kind, with the option that names them to the demo.
type Ports = [(&'static str, [u16; 3]); 3];

/// Replaces this process by the demo, once all is built.
pub(crate) async fn run(options: Options) -> Result<()> {
    let ports = ports_from(options.ports_from);
    expect_free(&ports, options.ports_from)?;
    provision::mongod().await?;
    web::build().await?;
    say(format_args!(
        "Building the demo, the server and the client, unoptimised: that compiles fastest."
    ));
    // In one go, so that cargo builds the common dependencies of the three once.
    let packages = ["bellwether-server", "bellwether-client", "xtask-demo"];
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    run_step(cargo(["build", "--bins"]).args(packages)).await?;
    let programs = target_dir()?.join("debug");
    let mut demo = command(programs.join("xtask-demo")).into_std();
    for (option, ports) in ports {
        demo.arg(option).arg(ports.map(|port| port.to_string()).join(","));
    }
    // Not a child process: signals to this process must end what the demo has started.
    let failed = demo.env("BELLWETHER_PROGRAMS", programs).exec();
    Err(failed).context("starting the demo")
}

fn ports_from(first: u16) -> Ports {
    let three = |from: u16| [from, from + 1, from + 2];
    [
        ("--clients", three(first)),
        ("--peers", three(first + 100)),
        ("--mongodb", three(first + 200)),
    ]
}

fn expect_free(ports: &Ports, first: u16) -> Result<()> {
    let mut all = ports.iter().flat_map(|(_, ports)| ports);
    if let Some(port) = all.find(|port| !is_free(**port)) {
        let other = if first < 64_000 { first + 1000 } else { 7001 };
        bail!(
            "port {port} of 127.0.0.1 is taken, perhaps by another demo. \
             Choose others: cargo xtask demo --ports-from {other}"
        );
    }
    Ok(())
}
