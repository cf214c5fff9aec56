use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_chaos::fault::{Fault, Node};
use bellwether_chaos::network::Traffic;
use bellwether_client::Outcome;
use bellwether_protocol::RoleName;
use bellwether_testkit::wait_until;

use crate::stage::Lab;

pub(crate) async fn delayed_packets_arrive_later(lab: &mut Lab) -> Result<()> {
    let before = traffic(lab)?;
    lab.inflict(Fault::Delay).await?;
    wait_until("a packet to be delayed", async || {
        ensure!(traffic(lab)?.delayed > before.delayed, "none is");
        Ok(())
    })
    .await
}

pub(crate) async fn lost_packets_do_not_arrive(lab: &mut Lab) -> Result<()> {
    let before = traffic(lab)?;
    lab.inflict(Fault::Loss).await?;
    wait_until("a packet to be lost", async || {
        ensure!(traffic(lab)?.lost > before.lost, "none is");
        Ok(())
    })
    .await
}

pub(crate) async fn lost_replies_leave_the_effect(lab: &mut Lab) -> Result<()> {
    for manner in ["silent", "reset"] {
        let coordinator = coordinator(lab).await?;
        let inflicted = lab
            .inflict_so(Fault::LoseReplies, |inflicted| {
                inflicted.nodes == [coordinator]
                    && inflicted.what.contains("100 %")
                    && inflicted.what.contains(manner)
            })
            .await?;
        let outcome = lab.insert(Duration::from_secs(3)).await?;
        ensure!(
            outcome == Outcome::Unknown,
            "without a reply the client knows: {outcome}"
        );
        ensure!(lab.last_insert_is_there().await?, "the command was not executed");
        lab.world.heal(inflicted).await?;
    }
    Ok(())
}

async fn coordinator(lab: &Lab) -> Result<Node> {
    let statuses = lab.world.statuses().await;
    let is_coordinator = |status: &Option<_>| {
        let status: &Option<bellwether_protocol::Status> = status;
        status
            .as_ref()
            .is_some_and(|status| status.role == RoleName::Coordinator)
    };
    statuses
        .iter()
        .position(is_coordinator)
        .map(Node::Server)
        .context("no coordinator")
}

fn traffic(lab: &Lab) -> Result<Traffic> {
    lab.world.traffic().context("no network")
}
