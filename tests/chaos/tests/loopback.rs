//! On a machine without network namespaces, a world is on loopback, and reports which faults are
//! impossible there.

use anyhow::{Context, Result, ensure};
use bellwether_chaos::fault::Fault;
use bellwether_chaos::world::{World, WorldOptions};
use bellwether_testkit::execute;
use tempfile::TempDir;

#[tokio::test]
async fn processes_can_be_struck_and_the_network_cannot() -> Result<()> {
    let logs = TempDir::with_prefix("bellwether-loopback-")?;
    let options = WorldOptions {
        loopback: true,
        ..WorldOptions::new(logs.path(), 1)
    };
    let mut world = World::start(options).await?;
    let possible = world.possible();
    for fault in [Fault::ServerKill, Fault::MongodPause, Fault::StepDown] {
        ensure!(possible.contains(&fault), "{fault} is not possible");
        world
            .inflict(fault, 1)
            .await?
            .with_context(|| format!("{fault} has met nobody"))?;
        world.heal_all().await?;
    }
    for fault in [Fault::CutPeers, Fault::Delay, Fault::LoseReplies] {
        ensure!(!possible.contains(&fault), "{fault} is possible");
        ensure!(world.inflict(fault, 1).await.is_err(), "{fault} was inflicted");
    }
    let urls = world.urls();
    let client = world
        .clients_host(0)
        .run(async move || execute(&urls, r#"{"count":"faults"}"#).await);
    tokio::task::spawn_blocking(|| client.join())
        .await?
        .ok()
        .context("the client has panicked")????;
    Ok(())
}

#[tokio::test]
async fn without_a_namespace_of_its_own_a_world_says_what_it_needs() {
    let logs = TempDir::new().unwrap();
    let error = World::start(WorldOptions::new(logs.path(), 1)).await.unwrap_err();
    assert!(error.to_string().contains("network namespace"), "{error:#}");
}
