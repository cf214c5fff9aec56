//! Tests by datagrams which node hears which.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bellwether_chaos::fault::Node;
use bellwether_chaos::network::NetworkHost;
use bellwether_chaos::world::World;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

/// Pairs of a sender and a receiver.
pub(crate) type Hearing = BTreeSet<(Node, Node)>;

const PORT: u16 = 9;

/// Time during which each node listens. A datagram that arrives at all does so in milliseconds.
const LISTENING: Duration = Duration::from_millis(800);

/// Returns all pairs of nodes, which hear each other if nothing is cut.
pub(crate) fn everybody(world: &World) -> Hearing {
    between(&world.nodes(), &world.nodes())
}

/// Returns all pairs from each of these to each of those, and back.
pub(crate) fn between(some: &[Node], others: &[Node]) -> Hearing {
    let pairs = some
        .iter()
        .flat_map(|a| others.iter().flat_map(move |b| [(*a, *b), (*b, *a)]));
    pairs.filter(|(a, b)| a != b).collect()
}

/// Returns the pairs of nodes of which one hears the other now.
pub(crate) async fn heard(world: &World) -> Result<Hearing> {
    let nodes = world.nodes();
    let hosts: Vec<NetworkHost> = nodes
        .iter()
        .map(|node| world.host(*node).cloned())
        .collect::<Option<_>>()
        .context("no network")?;
    let addresses: Vec<_> = hosts.iter().map(|host| (host.address(), PORT)).collect();
    let listeners = hosts.into_iter().zip(addresses.clone()).map(|(host, own)| {
        let addresses = addresses.clone();
        host.run(async move || {
            let socket = UdpSocket::bind(own).await?;
            // Until all others listen as well.
            sleep(LISTENING / 4).await;
            for address in &addresses {
                socket.send_to(b"?", *address).await?;
            }
            let end = Instant::now() + LISTENING;
            let mut from = Vec::new();
            while let Ok(heard) = timeout(
                end.saturating_duration_since(Instant::now()),
                socket.recv_from(&mut [0]),
            )
            .await
            {
                from.push(heard?.1.ip());
            }
            anyhow::Ok(from)
        })
    });
    let listeners: Vec<_> = listeners.collect();
    let mut hearing = Hearing::new();
    for (to, listener) in nodes.iter().zip(listeners) {
        let from = tokio::task::spawn_blocking(|| listener.join())
            .await?
            .map_err(|_| anyhow!("a listener has panicked"))???;
        for (place, (address, _)) in addresses.iter().enumerate() {
            if from.contains(&(*address).into()) && nodes[place] != *to {
                hearing.insert((nodes[place], *to));
            }
        }
    }
    Ok(hearing)
}
