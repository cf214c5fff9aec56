use anyhow::{Result, ensure};
use bellwether_chaos::fault::{Fault, Node};

use crate::hearing::{self, Hearing, between};
use crate::stage::Lab;

type Kind = fn(&Node) -> bool;

const SERVERS: Kind = |node| matches!(node, Node::Server(_));
const MEMBERS: Kind = |node| matches!(node, Node::Mongod(_));
const CLIENTS: Kind = |node| matches!(node, Node::Clients(_));
const ALL: Kind = |_| true;

pub(crate) async fn from_peers(lab: &mut Lab) -> Result<()> {
    cuts_off_from(lab, Fault::CutPeers, SERVERS).await
}

pub(crate) async fn from_mongodb(lab: &mut Lab) -> Result<()> {
    cuts_off_from(lab, Fault::CutMongodb, MEMBERS).await
}

pub(crate) async fn from_clients(lab: &mut Lab) -> Result<()> {
    cuts_off_from(lab, Fault::CutClients, CLIENTS).await
}

pub(crate) async fn from_everybody(lab: &mut Lab) -> Result<()> {
    cuts_off_from(lab, Fault::Isolate, ALL).await
}

pub(crate) async fn of_a_member(lab: &mut Lab) -> Result<()> {
    cuts_off_from(lab, Fault::CutMember, MEMBERS).await
}

pub(crate) async fn of_a_pair(lab: &mut Lab) -> Result<()> {
    let inflicted = lab.inflict(Fault::CutPair).await?;
    ensure!(
        inflicted.nodes.len() == 2 && inflicted.nodes.iter().all(SERVERS),
        "{inflicted:?}"
    );
    expect_missing(lab, &between(&inflicted.nodes, &inflicted.nodes)).await
}

pub(crate) async fn of_one_direction(lab: &mut Lab) -> Result<()> {
    for (what, whom, hears) in [
        ("does not hear its peers", SERVERS, false),
        ("is not heard by its peers", SERVERS, true),
        ("does not hear MongoDB", MEMBERS, false),
        ("is not heard by MongoDB", MEMBERS, true),
    ] {
        let inflicted = lab
            .inflict_so(Fault::CutOneWay, |inflicted| inflicted.what.contains(what))
            .await?;
        let victim = inflicted.nodes[0];
        let mut missing = between(&[victim], &of_kind(lab, whom));
        missing.retain(|(from, _)| (*from == victim) == hears);
        expect_missing(lab, &missing).await?;
        lab.world.heal(inflicted).await?;
    }
    Ok(())
}

async fn cuts_off_from(lab: &mut Lab, fault: Fault, whom: Kind) -> Result<()> {
    let inflicted = lab.inflict(fault).await?;
    let missing = between(&inflicted.nodes, &of_kind(lab, whom));
    expect_missing(lab, &missing).await?;
    // The observer sees it all the same.
    if let [Node::Server(place)] = inflicted.nodes[..] {
        ensure!(
            lab.world.statuses().await[place].is_some(),
            "the observer does not see s{}",
            place + 1
        );
    }
    Ok(())
}

async fn expect_missing(lab: &Lab, missing: &Hearing) -> Result<()> {
    ensure!(!missing.is_empty(), "nothing is cut");
    let heard = hearing::heard(&lab.world).await?;
    let not_heard: Hearing = hearing::everybody(&lab.world)
        .difference(&heard)
        .copied()
        .collect();
    ensure!(
        not_heard == *missing,
        "not heard: {not_heard:?}, expected: {missing:?}"
    );
    Ok(())
}

fn of_kind(lab: &Lab, kind: Kind) -> Vec<Node> {
    lab.world.nodes().into_iter().filter(kind).collect()
}
