//! The transports of this crate and its examples conform, and the checks find the errors of others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod broken;
#[path = "../../examples/udp/fragments.rs"]
mod fragments;
mod network;
#[path = "../../examples/tcp/transport.rs"]
mod tcp;
#[path = "../../examples/udp/transport.rs"]
mod udp;

use bellwether_election::conformance::{self, Fixture, Limits};
use bellwether_election::{ServerId, memory};

struct InMemory(memory::Network);

impl Fixture for InMemory {
    type Transport = memory::Endpoint;

    async fn start(&mut self, id: &ServerId, _members: &[ServerId]) -> memory::Endpoint {
        self.0.join(id.clone())
    }
}

#[tokio::test]
async fn in_memory() {
    conformance::check(InMemory(memory::Network::new()), Limits::default())
        .await
        .assert();
}

/// A transport may lose, duplicate and reorder messages.
#[tokio::test]
async fn in_memory_with_faults() {
    let network = memory::Network::new();
    network.set_faults(memory::Faults {
        drop: 0.02,
        duplicate: 0.2,
        delay: core::time::Duration::ZERO..=core::time::Duration::from_millis(20),
    });
    let report = conformance::check(InMemory(network), Limits::default()).await;
    assert_eq!(report.failed().collect::<Vec<_>>(), [], "{report}");
}
