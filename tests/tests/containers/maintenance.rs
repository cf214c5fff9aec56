//! What whoever runs a cluster does to it on purpose. No command fails.

use anyhow::Result;
use bellwether_tests::Compose;

use crate::fault::Recovers;
use crate::stage::Stage;

pub(crate) async fn rolling_restart(stage: &mut Stage) -> Result<()> {
    let what = "all servers restarted, one after another";
    let restart = async |compose: &mut Compose, _coordinator: usize| {
        for server in compose.servers() {
            compose.restart(&server).await?;
        }
        Ok(())
    };
    let seen = stage.fault(what, Recovers::ByItself, restart).await?;
    seen.expect_no_failure()
}

pub(crate) async fn rolling_replacement(stage: &mut Stage) -> Result<()> {
    let what = "all servers' containers replaced, one after another, as in an upgrade";
    let replace = async |compose: &mut Compose, _coordinator: usize| {
        for server in compose.servers() {
            compose.replace(&server).await?;
        }
        Ok(())
    };
    let seen = stage.fault(what, Recovers::ByItself, replace).await?;
    seen.expect_no_failure()
}

/// Clients have the longer list all the time: who grows tells them first.
pub(crate) async fn five_servers_and_back(stage: &mut Stage) -> Result<()> {
    for (what, servers) in [
        ("from three servers to five", 5),
        ("from five servers to three", 3),
    ] {
        let before = stage.compose.all_well().await?;
        let resize = async |compose: &mut Compose, _coordinator: usize| compose.up_to(servers).await;
        stage
            .fault_with_servers(what, Recovers::ByItself, before, 5, resize)
            .await?;
    }
    Ok(())
}
