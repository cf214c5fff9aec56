//! Servers that are paused with all their connections open. A client that has one of them on its
//! list, or its command there, goes to another, and the command is executed once.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bellwether_client::native::Native;
use bellwether_client::{Attempt, AttemptEnd, CommandText, Executed, Failure, Lost, OneShot, ServerUrl};
use bellwether_protocol::RoleName;
use bellwether_testkit::{Agreement, Cluster, FailPoint, ReplicaSet, unless_stalled};
use bson::{Document, doc};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The fail point between the end of a command and its reply.
const AFTER_A_COMMAND: &str = "waitAfterCommandFinishesExecution";

// A client may take a server on a machine that stands still for a silent one. Each scenario inserts
// a text of its own, also when it is played again.

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_takes_connections_and_says_nothing_is_overtaken() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let coordinator = cluster.all_agree().await?.coordinator;
    let follower = (coordinator + 1) % cluster.servers.len();
    cluster.servers[follower].process.pause()?;
    let mut round = 0;
    unless_stalled(async || {
        round += 1;
        let text = format!("once, {round}");
        let executed = one_shot(&cluster, follower)?
            .execute(&insert(&text)?, |_| {})
            .await?;
        let end = &attempt_at(&executed, &cluster, follower)?.end;
        ensure!(*end == AttemptEnd::Overtaken, "{executed:?}");
        inserted_once(&set, &text).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_does_not_wait_for_a_coordinator_that_was_replaced() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    // It is paused before its transaction is committed, and after that.
    for (text, step, is_committed) in [
        (
            "executed by the second",
            doc! { "ns": "app.notes", "commands": ["insert"] },
            false,
        ),
        (
            "executed by the first",
            doc! { "commands": ["commitTransaction"] },
            true,
        ),
    ] {
        let mut round = 0;
        unless_stalled(async || {
            round += 1;
            let text = format!("{text}, {round}");
            replace_in_mid_command(&set, &mut cluster, &step, &text, is_committed).await
        })
        .await?;
    }
    Ok(())
}

/// Pauses the coordinator while MongoDB holds its command after this step, and resumes it after
/// another server has answered.
async fn replace_in_mid_command(
    set: &ReplicaSet,
    cluster: &mut Cluster,
    step: &Document,
    text: &str,
    is_committed: bool,
) -> Result<()> {
    let Held {
        before,
        attempt,
        fail_point,
        text,
    } = hold(set, cluster, step, text, Duration::from_secs(30)).await?;
    let old = before.coordinator;
    cluster.servers[old].process.pause()?;
    fail_point.off().await?;

    let executed = attempt.await?;
    cluster.servers[old].process.resume()?;
    let executed = executed?;
    ensure!(executed.replayed == is_committed, "{executed:?}");
    ensure!((executed.epoch == before.epoch) == is_committed, "{executed:?}");
    match attempt_at(&executed, cluster, old)?.end {
        AttemptEnd::Lost(Lost::Superseded { epoch })
            if epoch > before.epoch && attempt_at(&executed, cluster, old)?.sent => {}
        _ => bail!("the try at the silent one ended otherwise: {executed:?}"),
    }
    cluster.all_agree().await?;
    inserted_once(set, &text).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_most_of_the_time_succeeds_at_the_first_try() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start_steady(set.uri()).await?;
    let step = doc! { "ns": "app.notes", "commands": ["insert"] };
    let mut round = 0;
    unless_stalled(async || {
        round += 1;
        let text = format!("slow, {round}");
        let held = hold(&set, &mut cluster, &step, &text, Duration::from_secs(12)).await?;
        // More than a third of the time, and long enough for three greetings that ask whether the
        // server is alive.
        sleep(Duration::from_secs(6)).await;
        held.fail_point.off().await?;

        let executed = held.attempt.await??;
        ensure!(!executed.replayed, "{executed:?}");
        let attempts = executed.attempts.iter().filter(|tried| tried.sent).count();
        ensure!(attempts == 1, "{executed:?}");
        inserted_once(&set, &held.text).await
    })
    .await
}

/// A command that the coordinator has given to MongoDB, where a fail point holds it.
struct Held {
    /// The coordinator and its epoch.
    before: Agreement,
    attempt: JoinHandle<Result<Executed, Failure>>,
    fail_point: FailPoint,
    /// The text that the command inserts.
    text: String,
}

/// Executes an insert until MongoDB holds it after this step. If the machine stands still, the
/// servers may hold an election before that step. Then the command goes on, and the next command
/// inserts another text.
async fn hold(
    set: &ReplicaSet,
    cluster: &mut Cluster,
    step: &Document,
    text: &str,
    deadline: Duration,
) -> Result<Held> {
    for round in 0..10 {
        let before = cluster.all_agree().await?;
        let text = format!("{text}, {round}");
        let fail_point = FailPoint::on(set.client(), AFTER_A_COMMAND, step.clone()).await?;
        let (shot, command) = (one_shot(cluster, before.coordinator)?, insert(&text)?);
        let shot = shot.deadline(deadline);
        let attempt = tokio::spawn(async move { shot.execute(&command, |_| {}).await });
        fail_point.entered().await?;
        let status = cluster.servers[before.coordinator].status().await?;
        if status.role == RoleName::Coordinator && status.epoch == Some(before.epoch) {
            return Ok(Held {
                before,
                attempt,
                fail_point,
                text,
            });
        }
        fail_point.off().await?;
        attempt.await??;
    }
    bail!("the servers held an election during each of ten commands")
}

/// Makes a one-shot that begins at this server.
fn one_shot(cluster: &Cluster, first: usize) -> Result<OneShot<Native>> {
    let first: ServerUrl = cluster.servers[first].url().parse()?;
    Ok(OneShot::new(Native::new(), cluster.urls().join(",").parse()?).first(first))
}

fn insert(text: &str) -> Result<CommandText> {
    Ok(format!(r#"{{"insert":"notes","documents":[{{"text":"{text}"}}]}}"#).parse()?)
}

fn attempt_at<'a>(executed: &'a Executed, cluster: &Cluster, server: usize) -> Result<&'a Attempt> {
    let url: ServerUrl = cluster.servers[server].url().parse()?;
    let mut attempts = executed.attempts.iter();
    attempts
        .find(|tried| tried.url == url)
        .with_context(|| format!("{url} was not tried: {executed:?}"))
}

async fn inserted_once(set: &ReplicaSet, text: &str) -> Result<()> {
    let notes = set.client().database("app").collection::<Document>("notes");
    let there = notes.count_documents(doc! { "text": text }).await?;
    ensure!(there == 1, "{text:?} is there {there} times");
    Ok(())
}
