//! Actions of an operator on a cluster. No command fails.

use anyhow::Result;
use bellwether_testkit::Compose;

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

/// Adds two servers and removes them. Clients have the longer list all the time: an operator who
/// adds servers updates the clients' lists first.
pub(crate) async fn five_servers_and_back(stage: &mut Stage) -> Result<()> {
    let urls = stage.compose.urls(5);
    for (what, servers) in [
        ("from three servers to five", 5),
        ("from five servers to three", 3),
    ] {
        let resize = async |compose: &mut Compose, _coordinator: usize| compose.up_to(servers).await;
        stage
            .fault_for_clients_of(urls.clone(), what, Recovers::ByItself, resize)
            .await?;
    }
    Ok(())
}
