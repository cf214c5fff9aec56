//! The election over UDP: one datagram for each message, as JSON.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bellwether_election::{Event, Message, ServerId, Transport};
use tokio::net::UdpSocket;

/// As long as a datagram can be.
const LONGEST: usize = 65_507;

pub(crate) struct UdpTransport {
    socket: UdpSocket,
    addresses: BTreeMap<ServerId, SocketAddr>,
    /// The same the other way round. A datagram is taken to be from whom its address says, so the network has to
    /// be one where nobody else can use these addresses.
    names: BTreeMap<SocketAddr, ServerId>,
    buffer: Vec<u8>,
}

impl UdpTransport {
    /// Binds the socket of `id`. `addresses` are those of all servers, its own among them.
    pub(crate) async fn bind(id: &ServerId, addresses: BTreeMap<ServerId, SocketAddr>) -> io::Result<Self> {
        let own = addresses.get(id).copied();
        let own = own.ok_or_else(|| io::Error::other(format!("no address for {id}")))?;
        Ok(Self {
            socket: UdpSocket::bind(own).await?,
            names: addresses
                .iter()
                .map(|(id, address)| (*address, id.clone()))
                .collect(),
            addresses,
            buffer: vec![0; LONGEST],
        })
    }
}

impl Transport for UdpTransport {
    fn send(&mut self, to: &ServerId, message: Message) {
        if let (Some(address), Ok(json)) = (self.addresses.get(to), serde_json::to_vec(&message)) {
            // It is lost if it cannot be sent at once.
            let _ = self.socket.try_send_to(&json, *address);
        }
    }

    async fn recv(&mut self) -> Option<Event> {
        loop {
            // Nothing is taken from the socket before the last await, so nothing is lost when this is dropped.
            let Ok((length, address)) = self.socket.recv_from(&mut self.buffer).await else {
                // On some systems an earlier datagram that reached nobody comes back as an error.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            // Whatever else arrives is not for us.
            let (from, json) = (self.names.get(&address), &self.buffer[..length]);
            if let (Some(from), Ok(message)) = (from, serde_json::from_slice(json)) {
                let from = from.clone();
                return Some(Event::Message { from, message });
            }
        }
    }
}
