//! Checks of a transport that receives messages faster than the server reads them, and of
//! interrupted reads.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;

use super::Fixture;
use super::cluster::{Cluster, Fault, wrong};
use super::delivery::messages;
use super::samples::largest;
use crate::{Event, Message, Number, Transport};

/// Number of messages in a burst: too few for a transport to lose any.
const BURST: usize = 8;
const BURSTS: usize = 50;
/// Time limit for the rest of a burst before the next burst.
const BURST_LIMIT: Duration = Duration::from_millis(500);
/// A datagram can be lost by chance, even on the loopback device. More than one lost message is no
/// chance.
const FORGIVEN: usize = 1;

pub(super) async fn full_queue<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    let flood = flood(cluster).await?;
    let arrived = cluster.deliver(0, 1).await?;
    arrived.map_err(|seen| {
        Fault::Wrong(format!(
            "after {flood} messages to a peer that did not read: {seen}"
        ))
    })
}

pub(super) async fn backlog<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    let flood = flood(cluster).await?;
    let arrived = cluster.deliver(0, 1).await?;
    arrived.map_err(|_| Fault::Unclear("nothing arrives after the flood".into()))?;
    let large = largest(&cluster.ids[0]);
    let kept = messages(cluster.events(1)).filter(|(_, message)| **message == large);
    if kept.count() >= flood {
        return wrong(format!(
            "all of {flood} messages to a peer that did not read were kept for it; keep a few dozen and drop the \
             rest, because by the time they are read they are out of date"
        ));
    }
    Ok(())
}

/// Sends more messages than any transport should keep, while the receiver does not read. Returns
/// their number.
async fn flood<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<usize, Fault> {
    cluster.connect(&[0, 1]).await?;
    let flood = cluster.limits.flood;
    let (to, large) = (cluster.ids[1].clone(), largest(&cluster.ids[0]));
    cluster
        .send_all(0, to, core::iter::repeat_n(large, flood))
        .await?;
    Ok(flood)
}

pub(super) async fn cancellation<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    cluster.connect(&[0, 1]).await?;
    let without = lost(cluster, false).await?;
    if without > FORGIVEN {
        return Err(Fault::Unclear(format!(
            "of {} messages in bursts of {BURST}, {without} are lost even if recv is left alone",
            BURST * BURSTS
        )));
    }
    let with = lost(cluster, true).await?;
    if with > without + FORGIVEN {
        return wrong(format!(
            "{with} or more of {} messages are lost when the future of recv is dropped before it is ready, \
             and {without} when it is not; whatever recv has taken from elsewhere must be kept in the \
             transport while recv waits for something else",
            BURST * BURSTS
        ));
    }
    Ok(())
}

/// Returns the number of messages lost from bursts, while `recv` is left alone or always cancelled.
async fn lost<F: Fixture>(cluster: &mut Cluster<'_, F>, cancelled: bool) -> Result<usize, Fault> {
    let mut missing = BTreeSet::new();
    for burst in 0..BURSTS {
        let messages: Vec<Message> = (0..BURST).map(|turn| numbered(cluster, burst + turn)).collect();
        missing.extend(messages.iter().map(|message| message.sender.rank.number));
        let to = cluster.ids[1].clone();
        cluster.send_all(0, to, messages).await?;
        collect(cluster, &mut missing, cancelled, BURST_LIMIT).await?;
        if missing.len() > BURST {
            break;
        }
    }
    // The message may only be late.
    collect(cluster, &mut missing, cancelled, 4 * BURST_LIMIT).await?;
    Ok(missing.len())
}

/// Returns a unique message. Every third has the largest size, so that it arrives in pieces.
fn numbered<F: Fixture>(cluster: &mut Cluster<'_, F>, turn: usize) -> Message {
    let mut message = cluster.message(0, turn);
    if turn.is_multiple_of(3) {
        message.body = largest(&cluster.ids[0]).body;
    }
    message
}

async fn collect<F: Fixture>(
    cluster: &mut Cluster<'_, F>,
    missing: &mut BTreeSet<Number>,
    cancelled: bool,
    limit: Duration,
) -> Result<(), Fault> {
    let end = Instant::now() + limit;
    for turn in 0.. {
        let seen = cluster.events(1).len();
        if missing.is_empty() || Instant::now() >= end {
            break;
        }
        if cancelled {
            // Two out of three times at the first wait, where a transport most easily loses an
            // event that it has taken.
            let polls = [1, 2, 1, 3, 1, 6][turn % 6];
            if let Some(event) = poll_and_drop(cluster.transport(1)?, polls).await {
                cluster.record(1, event)?;
            }
        } else {
            cluster
                .pump(end.saturating_duration_since(Instant::now()))
                .await?;
        }
        for (_, message) in messages(&cluster.events(1)[seen..]) {
            missing.remove(&message.sender.rank.number);
        }
    }
    Ok(())
}

/// Polls `recv` this number of times, with or without a wake-up, and drops it.
async fn poll_and_drop(transport: &mut impl Transport, polls: usize) -> Option<Option<Event>> {
    let mut reading = pin!(transport.recv());
    for _ in 0..polls {
        let poll = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await;
        if let Poll::Ready(event) = poll {
            return Some(event);
        }
        // Lets the transport's own tasks and the I/O continue.
        yield_now().await;
    }
    None
}
