//! The WebSocket transport, checked with the conformance suite of the election.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use bellwether_election::ServerId;
use bellwether_election::conformance::{self, Fixture, Limits};
use core::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{Directory, Flush, PeerSecrets, PeerSettings, PeerTransport};

/// The address of every server, the same at every start, and the flush of each transport.
#[derive(Default)]
struct WebSocket {
    addresses: BTreeMap<ServerId, SocketAddr>,
    flushes: BTreeMap<ServerId, Flush>,
    secrets: Option<PeerSecrets>,
}

impl Fixture for WebSocket {
    type Transport = PeerTransport;

    async fn start(&mut self, id: &ServerId, members: &[ServerId]) -> PeerTransport {
        for member in members {
            self.addresses.entry(member.clone()).or_insert_with(free_address);
        }
        let peers = members.iter().filter(|member| *member != id);
        let settings = PeerSettings {
            cluster: "c".to_owned(),
            id: id.clone(),
            client_url: None,
            peers: peers
                .map(|peer| (peer.clone(), self.addresses[peer].to_string()))
                .collect(),
            secrets: self.secrets.clone(),
        };
        let listener = listen(self.addresses[id]).await;
        let (transport, flush) = PeerTransport::start(settings, listener, &Directory::default());
        self.flushes.insert(id.clone(), flush);
        transport
    }

    async fn stop(&mut self, id: &ServerId, transport: PeerTransport) {
        drop(transport);
        if let Some(flush) = self.flushes.remove(id) {
            flush.wait(Duration::from_secs(30)).await;
        }
        // The listener's task ends when the runtime gets to it.
        listen(self.addresses[id]).await;
    }
}

async fn listen(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Returns an address below the ports that the operating system assigns itself. No other program
/// then takes it while its server is stopped.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 10_000 + (std::process::id() * 101 + NEXT.fetch_add(1, Ordering::Relaxed)) % 22_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

#[tokio::test]
async fn it_conforms() {
    conformance::check(WebSocket::default(), Limits::default())
        .await
        .assert();
}

#[tokio::test]
async fn it_conforms_with_a_secret() {
    let websocket = WebSocket {
        secrets: Some("0123456789abcdef0123456789abcdef".parse().unwrap()),
        ..WebSocket::default()
    };
    conformance::check(websocket, Limits::default()).await.assert();
}
