//! Checks that messages arrive unchanged, at their receiver and at no other server.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Fixture;
use super::cluster::{Cluster, Fault, wrong};
use super::samples::samples;
use crate::{Event, Message};

pub(super) async fn delivery<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.start(0).await?;
    cluster.start(1).await?;
    for (from, to) in [(0, 1), (1, 0)] {
        cluster.deliver(from, to).await?.map_err(Fault::Wrong)?;
    }
    Ok(())
}

pub(super) async fn sender<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1, 2]).await?;
    cluster.stop(1).await?;
    cluster.start(1).await?;
    let again = cluster.reach(&[0, 1, 2]).await;
    for server in 0..3 {
        for (from, message) in messages(cluster.events(server)) {
            let sender = &message.sender.rank.id;
            if from != sender {
                return wrong(format!(
                    "{} received a message from {sender} and took it for one from {from}",
                    cluster.ids[server]
                ));
            }
        }
    }
    again
}

pub(super) async fn content<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    let mut seen = Vec::new();
    for sample in samples(&cluster.ids[0]) {
        let body = format!("{:?}", sample.body);
        if let Err(why) = cluster.deliver_one_of(0, 1, |_, _| sample.clone()).await? {
            seen.push(format!("{}: {}", shortened(&body), shortened(&why)));
        }
    }
    if seen.is_empty() {
        Ok(())
    } else {
        wrong(seen.join("; "))
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

pub(super) async fn echo<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    cluster.pump_for(cluster.limits.quiet).await?;
    for server in 0..2 {
        let own = &cluster.ids[server];
        for (_, message) in messages(cluster.events(server)) {
            if message.sender.rank.id == *own {
                return wrong(format!("{own} received what it had itself sent: {message:?}"));
            }
        }
    }
    Ok(())
}

pub(super) async fn addressee<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1, 2]).await?;
    cluster.pump_for(cluster.limits.quiet).await?;
    for (server, own) in cluster.ids.iter().enumerate() {
        for (_, message) in messages(cluster.events(server)) {
            let sender = &message.sender.rank.id;
            let meant = cluster.addressees.get(&message.sender.rank.number);
            // Another check covers messages that return to their sender.
            if let Some(meant) = meant.filter(|meant| **meant != server && sender != own) {
                let meant = &cluster.ids[*meant];
                return wrong(format!("{own} received what {sender} had sent to {meant}"));
            }
        }
    }
    Ok(())
}

pub(super) async fn nowhere<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    // The third is a member that never starts.
    cluster.connect(&[0, 1]).await?;
    let Ok(stranger) = "nobody-knows-me".parse() else {
        return Err(Fault::Unclear("no id for a stranger".into()));
    };
    let cases = [
        ("a server that is no member", stranger),
        ("itself", cluster.ids[0].clone()),
        ("a member that is not there", cluster.ids[2].clone()),
    ];
    for (whom, to) in cases {
        let messages: Vec<Message> = (0..200).map(|turn| cluster.message(0, turn)).collect();
        let sent = cluster.send_all(0, to, messages).await;
        sent.map_err(|fault| match fault {
            Fault::Wrong(seen) => Fault::Wrong(format!("when sending to {whom}: {seen}")),
            unclear @ Fault::Unclear(_) => unclear,
        })?;
        for (from, to) in [(0, 1), (1, 0)] {
            let arrived = cluster.deliver(from, to).await?;
            arrived.map_err(|seen| Fault::Wrong(format!("after sending to {whom}: {seen}")))?;
        }
    }
    Ok(())
}

/// Returns the messages among the events, each with its reported sender.
pub(super) fn messages(events: &[Event]) -> impl Iterator<Item = (&crate::ServerId, &Message)> {
    events.iter().filter_map(|event| match event {
        Event::Message { from, message } => Some((from, message)),
        Event::Link { .. } => None,
    })
}
