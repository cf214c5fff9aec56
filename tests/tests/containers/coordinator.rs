//! Faults of the coordinator's container.

use anyhow::{Result, ensure};
use bellwether_testkit::{Compose, Gate, http_get};
use tokio::time::sleep;

use crate::fault::{LASTS, Recovers, Seen};
use crate::stage::Stage;

pub(crate) async fn killed(stage: &mut Stage) -> Result<()> {
    let what = "`docker kill` of the coordinator";
    let kill = async |compose: &mut Compose, coordinator: usize| compose.kill(&server(coordinator)).await;
    expect_takeover(&stage.fault(what, Recovers::ByItself, kill).await?)
}

pub(crate) async fn paused(stage: &mut Stage) -> Result<()> {
    let what = "`docker pause` of the coordinator";
    let pause = async |compose: &mut Compose, coordinator: usize| compose.pause(&server(coordinator)).await;
    expect_takeover(&stage.fault(what, Recovers::ByItself, pause).await?)
}

/// Checks `docker stop`. The coordinator has the whole grace period to finish its commands in
/// progress and hand over; no command fails.
pub(crate) async fn stopped(stage: &mut Stage) -> Result<()> {
    let what = "`docker stop` of the coordinator";
    let stop = async |compose: &mut Compose, coordinator: usize| {
        let (code, took) = compose.stop(&server(coordinator)).await?;
        println!("docker stop of the coordinator: exit code {code} after {took:?}");
        // One that is killed because it is still there after the grace period has another code.
        ensure!(code == 0, "the coordinator has ended with {code} after {took:?}");
        Ok(())
    };
    let seen = stage.fault(what, Recovers::ByItself, stop).await?;
    seen.expect_no_failure()?;
    expect_takeover(&seen)
}

pub(crate) async fn cut_from_peers(stage: &mut Stage) -> Result<()> {
    let what = "the coordinator cut off from its peers only";
    expect_takeover(&cut(stage, what, &["peers"]).await?)
}

pub(crate) async fn cut_from_mongodb(stage: &mut Stage) -> Result<()> {
    let what = "the coordinator cut off from MongoDB only";
    expect_takeover(&cut(stage, what, &["database"]).await?)
}

/// Cuts the coordinator off from the clients' network.
///
/// Docker may go on to pass the published port on, through another of the container's networks.
/// Version 20.10 does so, to the address that the container has there. [`no_client_reaches_it`]
/// describes the consequences if Docker does not.
pub(crate) async fn cut_from_clients(stage: &mut Stage) -> Result<()> {
    let what = "the coordinator cut off from the network `clients` only";
    let cut = async |compose: &mut Compose, coordinator: usize| {
        compose.cut(&server(coordinator), &["clients"]).await?;
        let answer = http_get(compose.ports()[coordinator], "/livez", &[]).await;
        println!(
            "a server that is not in the network `clients` answers at its published port: {}",
            answer.is_ok()
        );
        Ok(())
    };
    stage.fault(what, Recovers::OnceMended, cut).await.map(drop)
}

/// Blocks the clients' connections. Neither its peers nor MongoDB notice this, so it stays
/// coordinator, and clients must wait.
pub(crate) async fn no_client_reaches_it(stage: &mut Stage) -> Result<()> {
    let what = "no client reaches the coordinator for 5 s, and everybody else does";
    let mut gates = Vec::new();
    for port in stage.compose.ports() {
        gates.push(Gate::open_to(*port).await?);
    }
    let urls = gates.iter().map(Gate::url).collect();
    let shut = async |_: &mut Compose, coordinator: usize| {
        gates[coordinator].shut();
        sleep(LASTS).await;
        gates[coordinator].open_again();
        Ok(())
    };
    let seen = stage
        .fault_for_clients_of(urls, what, Recovers::ByItself, shut)
        .await?;
    ensure!(
        seen.after == seen.before,
        "something else has befallen the coordinator: {seen:?}"
    );
    Ok(())
}

pub(crate) async fn cut_from_everything(stage: &mut Stage) -> Result<()> {
    let what = "the coordinator cut off from everything";
    expect_takeover(&cut(stage, what, &["peers", "database", "clients"]).await?)
}

async fn cut(stage: &mut Stage, what: &'static str, networks: &[&str]) -> Result<Seen> {
    let cut =
        async |compose: &mut Compose, coordinator: usize| compose.cut(&server(coordinator), networks).await;
    stage.fault(what, Recovers::ByItself, cut).await
}

/// Returns the service of the server at this place.
pub(crate) fn server(place: usize) -> String {
    format!("s{}", place + 1)
}

fn expect_takeover(seen: &Seen) -> Result<()> {
    ensure!(
        seen.after.epoch > seen.before.epoch,
        "nobody took over, so nothing had befallen the coordinator: {seen:?}"
    );
    Ok(())
}

impl Seen {
    /// Fails if a client's command has the outcome not executed or unknown.
    pub(crate) fn expect_no_failure(&self) -> Result<()> {
        ensure!(
            self.refused == 0 && self.unknown == 0,
            "commands failed: {:#?}",
            self.failures
        );
        Ok(())
    }
}
