use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bellwether_chaos::fault::{Fault, Node};
use bellwether_chaos::world::Inflicted;
use bellwether_client::Outcome;
use bellwether_testkit::wait_until;
use bson::{Document, Timestamp, doc};

use crate::servers::is;
use crate::stage::{Lab, State};

pub(crate) async fn a_killed_one_is_gone(lab: &mut Lab) -> Result<()> {
    let victim = lab.inflict(Fault::MongodKill).await?.nodes[0];
    is(lab, victim, &State::Gone).await
}

pub(crate) async fn a_paused_one_stands_still(lab: &mut Lab) -> Result<()> {
    let victim = lab.inflict(Fault::MongodPause).await?.nodes[0];
    is(lab, victim, &State::Stopped).await
}

pub(crate) async fn a_primary_that_steps_down_is_followed_by_another(lab: &mut Lab) -> Result<()> {
    let before = lab.world.replica_set().wait_for_primary().await?;
    let inflicted = lab.inflict(Fault::StepDown).await?;
    ensure!(inflicted.nodes == [Node::Mongod(before)], "{inflicted:?}");
    wait_until("another primary", async || {
        let now = lab.world.replica_set().primary().await;
        ensure!(now.is_some_and(|now| now != before), "it is {now:?}");
        Ok(())
    })
    .await
}

pub(crate) async fn without_a_majority_nothing_is_acknowledged(lab: &mut Lab) -> Result<()> {
    let victims = lab.inflict(Fault::MongodMajorityKill).await?.nodes;
    ensure!(victims.len() == 2, "{victims:?}");
    for victim in victims {
        is(lab, victim, &State::Gone).await?;
    }
    let outcome = lab.insert(Duration::from_secs(3)).await?;
    ensure!(outcome != Outcome::Executed, "a command ends as {outcome}");
    Ok(())
}

pub(crate) async fn one_that_does_not_interrupt_works_on_until_it_is_killed(lab: &mut Lab) -> Result<()> {
    let primary = Node::Mongod(lab.world.replica_set().wait_for_primary().await?);
    let inflicted = lab.inflict(Fault::Unstoppable).await?;
    ensure!(inflicted.nodes == [primary], "{inflicted:?}");
    let before = lab.pid(primary)?;
    ensure!(works_on_the_update(lab, primary).await?, "it does not work on it");
    // The servers go on without it.
    let outcome = lab.insert(Duration::from_secs(30)).await?;
    ensure!(outcome == Outcome::Executed, "a command ends as {outcome}");
    ensure!(
        works_on_the_update(lab, primary).await? && lab.pid(primary)? == before,
        "it has ended the work, or is another process"
    );
    lab.world.heal(inflicted).await?;
    lab.world.replica_set().all_follow().await?;
    ensure!(lab.pid(primary)? != before, "it was not killed");
    ensure!(!works_on_the_update(lab, primary).await?, "it goes on with it");
    Ok(())
}

async fn works_on_the_update(lab: &Lab, node: Node) -> Result<bool> {
    let Node::Mongod(place) = node else {
        bail!("{node} is no member");
    };
    let admin = lab.world.replica_set().members[place].direct.database("admin");
    let found = admin
        .run_command(doc! { "currentOp": 1, "ns": "app.burn", "active": true })
        .await?;
    Ok(!found.get_array("inprog")?.is_empty())
}

pub(crate) async fn with_a_stalled_disk_nothing_becomes_durable(lab: &mut Lab) -> Result<()> {
    for is_primary in [false, true] {
        let primary = Node::Mongod(lab.world.replica_set().wait_for_primary().await?);
        let meets = |inflicted: &Inflicted| (inflicted.nodes == [primary]) == is_primary;
        let inflicted = lab.inflict_so(Fault::DiskStall, meets).await?;
        let (_, durable_before) = optimes(lab, inflicted.nodes[0]).await?;
        let outcome = lab.insert(Duration::from_secs(3)).await?;
        // The disks of the others suffice, but for a primary MongoDB waits for its own as well.
        ensure!(
            (outcome == Outcome::Executed) != is_primary,
            "a command ends as {outcome}"
        );
        wait_until("the member to have what is not on its disk", async || {
            let (applied, durable) = optimes(lab, inflicted.nodes[0]).await?;
            ensure!(durable <= durable_before, "its disk takes writes");
            ensure!(applied > durable, "it has nothing new");
            Ok(())
        })
        .await?;
        lab.world.heal(inflicted).await?;
        wait_until("the disk to take writes again", async || {
            let (_, durable) = optimes(
                lab,
                Node::Mongod(lab.world.replica_set().wait_for_primary().await?),
            )
            .await?;
            ensure!(durable > durable_before, "nothing more is on it");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

pub(crate) async fn only_one_is_ill_at_a_time(lab: &mut Lab) -> Result<()> {
    let paused = lab.inflict(Fault::MongodPause).await?;
    for fault in [
        Fault::MongodKill,
        Fault::MongodPause,
        Fault::MongodMajorityKill,
        Fault::StepDown,
        Fault::CutMember,
        Fault::DiskStall,
    ] {
        for seed in 0..20 {
            ensure!(
                lab.world.inflict(fault, seed).await?.is_none(),
                "{fault} with the seed {seed}"
            );
        }
    }
    lab.world.heal(paused).await?;
    ensure!(
        lab.world.inflict(Fault::MongodPause, 1).await?.is_some(),
        "it is still held for ill"
    );
    Ok(())
}

/// Returns the operation time that a member has applied, and the one that is on its disk.
async fn optimes(lab: &Lab, node: Node) -> Result<(Timestamp, Timestamp)> {
    let Node::Mongod(place) = node else {
        bail!("{node} is no member");
    };
    let admin = lab.world.replica_set().members[place].direct.database("admin");
    let status = admin.run_command(doc! { "replSetGetStatus": 1 }).await?;
    let optimes = status.get_document("optimes")?;
    let at = |optimes: &Document, name: &str| anyhow::Ok(optimes.get_document(name)?.get_timestamp("ts")?);
    Ok((at(optimes, "appliedOpTime")?, at(optimes, "durableOpTime")?))
}
