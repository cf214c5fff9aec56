//! The waiting time of commands when MongoDB's own primary is killed, in a replica set with
//! MongoDB's default settings.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bellwether_testkit::{Failover, Journal, ReplicaSet, ReplicaSetOptions};
use clap::Args;
use serde::Serialize;

use crate::bed::{list_from, servers};
use crate::figures;
use crate::insistent::Insistent;
use crate::machine::Machine;
use crate::one_shots::OneShots;
use crate::statistics::Spread;
use bellwether_testkit::markdown::{line, table};

const ASSIST: &str = "--assist-failover";

/// Number of commands of each client that show normal operation, before and after.
const ALL_WELL: usize = 20;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Number of times that the primary is killed, with the servers' help and without [default: 5;
    /// with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

/// The longest time without an executed command around one kill.
#[derive(Serialize)]
struct Round {
    /// For a client that asks again every 5 ms.
    insistent: Duration,
    /// For a client that sends one-shot commands with the default pauses.
    one_shot: Duration,
}

#[derive(Serialize)]
struct Failovers {
    machine: Machine,
    plain: Vec<Round>,
    assisted: Vec<Round>,
}

pub(crate) async fn run(options: &Options, quick: bool) -> Result<()> {
    let rounds = options.rounds.unwrap_or(if quick { 1 } else { 5 });
    let mut replica_set = ReplicaSet::start_with(ReplicaSetOptions {
        test_commands: false,
        failover: Failover::Default,
        ..ReplicaSetOptions::default()
    })
    .await?;
    let mut failovers = Failovers {
        machine: Machine::seen(replica_set.client()).await?,
        plain: Vec::new(),
        assisted: Vec::new(),
    };
    for round in 1..=rounds {
        eprintln!("Round {round} of {rounds}: the primary is killed.");
        failovers.plain.push(one(&mut replica_set, Vec::new()).await?);
        eprintln!("Round {round} of {rounds}: the primary is killed, with {ASSIST}.");
        let assisted = one(&mut replica_set, vec![ASSIST.into()]).await?;
        failovers.assisted.push(assisted);
    }
    show(&failovers);
    figures::save("mongodb-failover", &failovers)
}

async fn one(replica_set: &mut ReplicaSet, args: Vec<OsString>) -> Result<Round> {
    let (mut cluster, _logs) = servers(replica_set, args).await?;
    let (insistent, one_shot) = (Journal::default(), Journal::default());
    let begun = Instant::now();
    let ports = cluster.servers.iter().map(|server| server.port).collect();
    let insisting = Insistent::start(ports, insistent.clone());
    let coordinator = cluster.all_agree().await?.coordinator;
    let shooting = OneShots::start([list_from(&cluster, coordinator)?], &one_shot);
    all_well([&insistent, &one_shot], begun).await?;

    let primary = replica_set.wait_for_primary().await?;
    let killed = Instant::now();
    replica_set.members[primary].process.kill()?;
    all_well([&insistent, &one_shot], killed).await?;
    let round = Round {
        insistent: insistent.longest_pause(killed),
        one_shot: one_shot.longest_pause(killed),
    };

    // The next round begins when everything is as it was before this one.
    let restarted = Instant::now();
    replica_set.members[primary].process.restart()?;
    replica_set.all_follow().await?;
    cluster.all_agree().await?;
    all_well([&insistent, &one_shot], restarted).await?;
    shooting.finish().await?;
    drop(insisting);
    for failure in insistent.and(&one_shot).failures() {
        eprintln!("A command failed: {failure}");
    }
    Ok(round)
}

async fn all_well(clients: [&Journal; 2], since: Instant) -> Result<()> {
    for client in clients {
        client
            .all_executed(1, ALL_WELL, since, 0)
            .await
            .context("after a failover of MongoDB")?;
    }
    Ok(())
}

fn show(failovers: &Failovers) {
    failovers.machine.show();
    line(
        "The longest time without an executed command around a `kill -9` of MongoDB's primary, in seconds, median \
         (least–most), the rounds of the two rows in turn. The replica set has MongoDB's default settings \
         (`electionTimeoutMillis` is 10 s).\n",
    );
    let seconds = |rounds: &[Round], of: fn(&Round) -> Duration| {
        Spread::of(rounds.iter().map(|round| of(round).as_secs_f64())).show(|time| format!("{time:.2}"))
    };
    let row = |what: String, rounds: &[Round]| {
        vec![
            what,
            rounds.len().to_string(),
            seconds(rounds, |round| round.insistent),
            seconds(rounds, |round| round.one_shot),
        ]
    };
    let rows = [
        row("without help".into(), &failovers.plain),
        row(format!("servers with `{ASSIST}`"), &failovers.assisted),
    ];
    let header = [
        "",
        "n",
        "a client that asks again every 5 ms",
        "a one-shot client with its own pauses",
    ];
    table(&header, &rows);
}
