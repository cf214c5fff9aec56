use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellwether_chaos::fault::{Fault, Node};
use bellwether_client::Outcome;
use bellwether_testkit::wait_until;

use crate::stage::{Lab, State};

pub(crate) async fn clients_are_served(lab: &mut Lab) -> Result<()> {
    let outcome = lab.insert(Duration::from_secs(30)).await?;
    ensure!(outcome == Outcome::Executed, "{outcome}");
    ensure!(lab.last_insert_is_there().await?, "executed, and not there");
    Ok(())
}

pub(crate) async fn a_killed_one_is_gone(lab: &mut Lab) -> Result<()> {
    let victim = lab.inflict(Fault::ServerKill).await?.nodes[0];
    is(lab, victim, &State::Gone).await
}

pub(crate) async fn a_paused_one_stands_still(lab: &mut Lab) -> Result<()> {
    let victim = lab.inflict(Fault::ServerPause).await?.nodes[0];
    is(lab, victim, &State::Stopped).await?;
    let Node::Server(place) = victim else {
        anyhow::bail!("{victim} is no server");
    };
    ensure!(lab.world.statuses().await[place].is_none(), "it answers");
    Ok(())
}

pub(crate) async fn a_stopped_one_ends_by_itself(lab: &mut Lab) -> Result<()> {
    let victim = lab.inflict(Fault::ServerStop).await?.nodes[0];
    is(lab, victim, &State::Gone).await
}

pub(crate) async fn a_clock_that_jumps_is_told_by_the_log(lab: &mut Lab) -> Result<()> {
    let jumped = lab.inflict(Fault::ClockJump).await?;
    let seconds: i64 = jumped
        .what
        .split_whitespace()
        .rev()
        .nth(1)
        .context("no seconds")?
        .parse()?;
    let Node::Server(place) = jumped.nodes[0] else {
        anyhow::bail!("{jumped:?}");
    };
    wait_until("the server's log to tell another time", async || {
        // It logs that a peer is gone and back.
        let killed = lab
            .inflict_so(Fault::ServerKill, |killed| killed.nodes != jumped.nodes)
            .await?;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        lab.world.heal(killed).await?;
        let log = lab.world.cluster().servers[place].process.log_tail(1);
        let told = log.split_whitespace().next().context("an empty log")?;
        let told = bson::DateTime::parse_rfc3339_str(told)?.timestamp_millis() / 1000;
        let off = told - bson::DateTime::now().timestamp_millis() / 1000;
        // Its last log entry is some seconds old at most.
        ensure!((seconds - 60..=seconds + 1).contains(&off), "it is {off} s off");
        Ok(())
    })
    .await
}

pub(crate) async fn whom_a_fault_has_met_no_other_meets(lab: &mut Lab) -> Result<()> {
    let mut met = Vec::new();
    for seed in 0..60 {
        if let Some(inflicted) = lab.world.inflict(Fault::ServerPause, seed).await? {
            met.push(inflicted.nodes[0]);
        }
    }
    met.sort_unstable();
    ensure!(
        met == [Node::Server(0), Node::Server(1), Node::Server(2)],
        "{met:?}"
    );
    Ok(())
}

pub(crate) async fn is(lab: &Lab, node: Node, state: &State) -> Result<()> {
    let what = format!("{node} to be {state:?}");
    wait_until(&what, async || {
        let now = lab.state(node)?;
        ensure!(now == *state, "it is {now:?}");
        Ok(())
    })
    .await
}
