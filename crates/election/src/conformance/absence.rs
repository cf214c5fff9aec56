//! Checks of a transport's reports on a peer that is present, that ends, and that comes back.

use alloc::collections::BTreeSet;
use alloc::format;

use tokio::time::Instant;

use super::Fixture;
use super::cluster::{Cluster, Fault, wrong};
use super::delivery::messages;
use crate::{Event, Link, Number, ServerId};

pub(super) async fn alive<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    // The report may have been true before the servers had found each other.
    let since = [0, 1].map(|server| cluster.events(server).len());
    cluster.pump_for(cluster.limits.quiet).await?;
    cluster.reach(&[0, 1]).await?;
    for (server, peer) in [(0, 1), (1, 0)] {
        let heard = &cluster.events(server)[since[server]..];
        if count_links(heard, &cluster.ids[peer], Link::Refused) > 0 {
            return wrong(format!(
                "{} reported {} as refused, which means that its process has ended, while it was there and \
                 answering",
                cluster.ids[server], cluster.ids[peer]
            ));
        }
    }
    Ok(())
}

pub(super) async fn gone<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    let since = cluster.events(0).len();
    cluster.stop(1).await?;
    let (began, time_limit) = (Instant::now(), cluster.limits.time_limit);
    // A message on its way may still be reported, and a listener may take its last connection while
    // it closes. After that no report may come.
    loop {
        let window = cluster.events(0).len();
        let message = cluster.message(0, 0);
        cluster.send(0, 1, message).await?;
        cluster.pump_for(cluster.limits.quiet).await?;
        let ups = count_links(&cluster.events(0)[window..], &cluster.ids[1], Link::Up);
        if ups == 0 && cluster.last_link(0, 1, since) != Some(Link::Up) {
            return Ok(());
        }
        if began.elapsed() >= time_limit {
            return wrong(format!(
                "{time_limit:?} after {} had ended, {} still reported its link as up",
                cluster.ids[1], cluster.ids[0]
            ));
        }
    }
}

pub(super) async fn comes_back<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    for time in ["the first", "the second"] {
        cluster.stop(1).await?;
        cluster.pump_for(cluster.limits.quiet).await?;
        cluster.start(1).await?;
        for (from, to) in [(0, 1), (1, 0)] {
            let arrived = cluster.deliver(from, to).await?;
            arrived.map_err(|seen| {
                Fault::Wrong(format!("after {time} restart of {}: {seen}", cluster.ids[1]))
            })?;
        }
    }
    Ok(())
}

pub(super) async fn link_again<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    let since = cluster.events(0).len();
    cluster.stop(1).await?;
    // A transport without hints never reports anything, so a longer wait is useless.
    for _ in 0..4 {
        if cluster.last_link(0, 1, since).is_none() {
            cluster.pump_for(cluster.limits.quiet).await?;
        }
    }
    cluster.start(1).await?;
    cluster.reach(&[0, 1]).await?;
    let (began, time_limit) = (Instant::now(), cluster.limits.time_limit);
    loop {
        let link = match cluster.last_link(0, 1, since) {
            None | Some(Link::Up) => return Ok(()),
            Some(link) => link,
        };
        if began.elapsed() >= time_limit {
            return wrong(format!(
                "{time_limit:?} after {} came back and was reached, {} still reported the link as {link:?}; the \
                 election takes such a peer for gone",
                cluster.ids[1], cluster.ids[0]
            ));
        }
        cluster.pump(cluster.limits.quiet).await?;
    }
}

pub(super) async fn stale<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    cluster.stop(1).await?;
    let mut old: BTreeSet<Number> = BTreeSet::new();
    for turn in 0..10 {
        let message = cluster.message(0, turn);
        old.insert(message.sender.rank.number);
        cluster.send(0, 1, message).await?;
    }
    let age = 2 * cluster.limits.quiet;
    cluster.pump_for(age).await?;
    let since = cluster.events(1).len();
    cluster.start(1).await?;
    cluster.reach(&[0, 1]).await?;
    cluster.pump_for(cluster.limits.quiet).await?;
    let late = messages(&cluster.events(1)[since..]);
    let late = late.filter(|(_, message)| old.contains(&message.sender.rank.number));
    match late.count() {
        0 => Ok(()),
        late => wrong(format!(
            "{late} of {} messages that were sent to {} more than {age:?} before it came back were kept and \
             delivered to it; drop what cannot be sent",
            old.len(),
            cluster.ids[1]
        )),
    }
}

fn count_links(events: &[Event], about: &ServerId, wanted: Link) -> usize {
    let links = events.iter().filter(|event| match event {
        Event::Link { peer, link } => peer == about && *link == wanted,
        Event::Message { .. } => false,
    });
    links.count()
}
