//! Servers that are paused with all their connections open. A client that has one of them on its
//! list, or its command there, goes to another, and the command is executed once.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwether_client::native::Native;
use bellwether_client::{CommandText, Executed, Lost, OneShot, ServerUrl, Try, TryEnd};
use bellwether_testkit::{Cluster, FailPoint, ReplicaSet};
use bson::{Document, doc};
use tokio::time::sleep;

/// The fail point between the end of a command and its reply.
const AFTER_A_COMMAND: &str = "waitAfterCommandFinishesExecution";

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_takes_connections_and_says_nothing_is_overtaken() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    let coordinator = cluster.all_agree().await?.coordinator;
    let follower = (coordinator + 1) % cluster.servers.len();
    cluster.servers[follower].process.pause()?;
    let executed = one_shot(&cluster, follower)?
        .execute(&insert("once")?, |_| {})
        .await?;
    assert_eq!(
        try_at(&executed, &cluster, follower)?.end,
        TryEnd::Overtaken,
        "{executed:?}"
    );
    assert_eq!(count(&set, "once").await?, 1);
    Ok(())
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
        let before = cluster.all_agree().await?;
        let old = before.coordinator;
        let held = FailPoint::on(set.client(), AFTER_A_COMMAND, step).await?;
        let (shot, command) = (one_shot(&cluster, old)?, insert(text)?);
        let attempt = tokio::spawn(async move { shot.execute(&command, |_| {}).await });
        held.entered().await?;
        cluster.servers[old].process.pause()?;
        held.off().await?;

        let executed = attempt.await??;
        assert_eq!(executed.replayed, is_committed, "{executed:?}");
        assert_eq!(executed.epoch == before.epoch, is_committed, "{executed:?}");
        let lost = try_at(&executed, &cluster, old)?;
        match lost.end {
            TryEnd::Lost(Lost::Superseded { epoch }) if lost.sent => assert!(epoch > before.epoch),
            _ => bail!("the try at the silent one ended otherwise: {executed:?}"),
        }
        cluster.servers[old].process.resume()?;
        cluster.all_agree().await?;
        assert_eq!(count(&set, text).await?, 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_most_of_the_time_succeeds_at_the_first_try() -> Result<()> {
    let set = ReplicaSet::start(3).await?;
    let mut cluster = Cluster::start(set.uri()).await?;
    let coordinator = cluster.all_agree().await?.coordinator;
    let step = doc! { "ns": "app.notes", "commands": ["insert"] };
    let held = FailPoint::on(set.client(), AFTER_A_COMMAND, step).await?;
    let (shot, command) = (one_shot(&cluster, coordinator)?, insert("slow")?);
    let shot = shot.deadline(Duration::from_secs(12));
    let attempt = tokio::spawn(async move { shot.execute(&command, |_| {}).await });
    held.entered().await?;
    // More than a third of the time, and long enough for three greetings that ask whether the
    // server is alive.
    sleep(Duration::from_secs(6)).await;
    held.off().await?;

    let executed = attempt.await??;
    assert!(!executed.replayed, "{executed:?}");
    let tries = executed.tries.iter().filter(|tried| tried.sent).count();
    assert_eq!(tries, 1, "{executed:?}");
    assert_eq!(count(&set, "slow").await?, 1);
    Ok(())
}

/// Makes a one-shot that begins at this server.
fn one_shot(cluster: &Cluster, first: usize) -> Result<OneShot<Native>> {
    let first: ServerUrl = cluster.servers[first].url().parse()?;
    Ok(OneShot::new(Native::new(), cluster.urls().join(",").parse()?).first(first))
}

fn insert(text: &str) -> Result<CommandText> {
    Ok(format!(r#"{{"insert":"notes","documents":[{{"text":"{text}"}}]}}"#).parse()?)
}

fn try_at<'a>(executed: &'a Executed, cluster: &Cluster, server: usize) -> Result<&'a Try> {
    let url: ServerUrl = cluster.servers[server].url().parse()?;
    let mut tries = executed.tries.iter();
    tries
        .find(|tried| tried.url == url)
        .with_context(|| format!("{url} was not tried: {executed:?}"))
}

async fn count(set: &ReplicaSet, text: &str) -> Result<u64> {
    let notes = set.client().database("app").collection::<Document>("notes");
    Ok(notes.count_documents(doc! { "text": text }).await?)
}
