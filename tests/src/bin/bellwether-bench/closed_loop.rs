use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::gauge::{Gauge, Reading};
use crate::side::Caller;
use crate::statistics::Percentiles;
use crate::workload::Operations;

/// From the start of all clients to the start of the measurement: until then they are getting into
/// step.
const WARM_UP: Duration = Duration::from_millis(300);

/// One round of one side: a number of clients, each with one outstanding command.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) latency: Percentiles,
    /// Processor time a command, in microseconds.
    pub(crate) servers_us: f64,
    pub(crate) mongods_us: f64,
    pub(crate) client_us: f64,
    /// Transactions that MongoDB committed, per second.
    pub(crate) transactions: f64,
    /// The part of the whole machine's processor time that all these took together.
    pub(crate) busy: f64,
}

/// Has all clients call for `measured`, and counts the answers of that time.
///
/// # Errors
/// If any call fails: figures of a run with errors are of no use.
pub(crate) async fn closed_loop<C: Caller>(
    mut callers: Vec<(C, Operations)>,
    measured: Duration,
    gauge: &Gauge,
) -> Result<Round> {
    // Each client has a connection after that; a driver opens its connections at the first command.
    try_join_all(
        callers
            .iter_mut()
            .map(|(caller, operations)| caller.call(operations.next())),
    )
    .await?;
    let begin = Instant::now() + WARM_UP;
    let end = begin + measured;
    let mut running = JoinSet::new();
    for (caller, operations) in callers {
        running.spawn(calls(caller, operations, begin, end));
    }
    sleep_until(begin.into()).await;
    let before = gauge.read().await?;
    sleep_until(end.into()).await;
    let used = gauge.read().await?.since(before);
    let mut latencies = Vec::new();
    while let Some(ended) = running.join_next().await {
        latencies.extend(ended.context("a client panicked")??);
    }
    Ok(round(latencies, measured, used))
}

async fn calls<C: Caller>(
    mut caller: C,
    mut operations: Operations,
    begin: Instant,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut started = Instant::now();
    while started < end {
        caller.call(operations.next()).await?;
        let answered = Instant::now();
        if (begin..end).contains(&answered) {
            latencies.push(answered - started);
        }
        started = answered;
    }
    Ok(latencies)
}

// Far fewer commands and transactions than a float can count.
#[allow(clippy::cast_precision_loss)]
fn round(latencies: Vec<Duration>, measured: Duration, used: Reading) -> Round {
    let count = latencies.len().max(1) as f64;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let busy = used.servers + used.mongods + used.client;
    Round {
        per_second: count / measured.as_secs_f64(),
        latency: Percentiles::of(latencies),
        servers_us: each(used.servers),
        mongods_us: each(used.mongods),
        client_us: each(used.client),
        transactions: used.transactions as f64 / measured.as_secs_f64(),
        busy: busy.as_secs_f64() / measured.as_secs_f64() / cores,
    }
}
