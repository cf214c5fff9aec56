//! Faults of the container of MongoDB's primary.

use anyhow::{Result, ensure};
use bellwether_testkit::Compose;

use crate::fault::Recovers;
use crate::stage::Stage;

pub(crate) async fn primary_killed(stage: &mut Stage) -> Result<()> {
    let what = "`docker kill` of MongoDB's primary";
    primary(stage, what, async |compose, primary| compose.kill(primary).await).await
}

pub(crate) async fn primary_paused(stage: &mut Stage) -> Result<()> {
    let what = "`docker pause` of MongoDB's primary";
    primary(stage, what, async |compose, primary| compose.pause(primary).await).await
}

pub(crate) async fn primary_cut_off(stage: &mut Stage) -> Result<()> {
    let what = "MongoDB's primary cut off from everything";
    let cut = async |compose: &Compose, primary: &str| compose.cut(primary, &["database"]).await;
    primary(stage, what, cut).await
}

async fn primary(
    stage: &mut Stage,
    what: &'static str,
    strike: impl AsyncFnOnce(&Compose, &str) -> Result<()>,
) -> Result<()> {
    let before = stage.compose.primary().await?;
    let struck = before.clone();
    let strike = async |compose: &mut Compose, _coordinator: usize| strike(compose, &struck).await;
    stage.fault(what, Recovers::ByItself, strike).await?;
    let after = stage.compose.primary().await?;
    ensure!(
        after != before,
        "{before} is still the primary, so nothing had befallen it"
    );
    Ok(())
}
