//! The election over UDP: messages as JSON, each in one datagram or, where it is too long, in
//! several.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bellwether_election::{Event, Message, ServerId, Transport};
use tokio::net::UdpSocket;

use super::fragments::{Assembly, LONGEST_DATAGRAM, LONGEST_MESSAGE, cut};

pub(crate) struct UdpTransport {
    socket: UdpSocket,
    addresses: BTreeMap<ServerId, SocketAddr>,
    /// The same the other way round. The sender of a datagram is known only by its address, so no
    /// other program of the network may use these addresses.
    names: BTreeMap<SocketAddr, ServerId>,
    /// Of the next message. It begins anywhere, so that a restart does not go on with the numbers
    /// of the last life.
    number: u32,
    assemblies: BTreeMap<ServerId, Assembly>,
    buffer: Vec<u8>,
}

impl UdpTransport {
    /// Binds the socket of `id`. `addresses` are those of all servers, its own among them.
    pub(crate) async fn bind(id: &ServerId, addresses: BTreeMap<ServerId, SocketAddr>) -> io::Result<Self> {
        let own = addresses.get(id).copied();
        let own = own.ok_or_else(|| io::Error::other(format!("no address for {id}")))?;
        let socket = UdpSocket::bind(own).await?;
        // Until tokio has noticed that the socket is writable, nothing could be sent at once.
        socket.writable().await?;
        Ok(Self {
            socket,
            names: addresses
                .iter()
                .map(|(id, address)| (*address, id.clone()))
                .collect(),
            addresses,
            number: rand::random(),
            assemblies: BTreeMap::new(),
            // One byte more, so that a datagram that is too long is not confused with its
            // beginning.
            buffer: vec![0; LONGEST_DATAGRAM + 1],
        })
    }
}

impl Transport for UdpTransport {
    fn send(&mut self, to: &ServerId, message: Message) {
        let (Some(address), Ok(json)) = (self.addresses.get(to), serde_json::to_vec(&message)) else {
            return;
        };
        self.number = self.number.wrapping_add(1);
        let Some(datagrams) = cut(self.number, &json) else {
            let length = json.len();
            eprintln!(
                "a message to {to} has {length} bytes and was not sent: the limit is {LONGEST_MESSAGE}; \
                 use a transport over connections, such as examples/tcp"
            );
            return;
        };
        for datagram in datagrams {
            // It is lost if it cannot be sent at once.
            let _ = self.socket.try_send_to(&datagram, *address);
        }
    }

    async fn recv(&mut self) -> Option<Event> {
        loop {
            // This takes no datagram from the socket before the last await, so no datagram is lost
            // when it is dropped.
            let Ok((length, address)) = self.socket.recv_from(&mut self.buffer).await else {
                // On some systems an earlier datagram without a receiver comes back as an error.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            // Datagrams from other addresses are not for this server.
            let Some(from) = self.names.get(&address) else {
                continue;
            };
            let assembly = self.assemblies.entry(from.clone()).or_default();
            let json = assembly.take(&self.buffer[..length], Instant::now());
            if let Some(Ok(message)) = json.map(|json| serde_json::from_slice(&json)) {
                let from = from.clone();
                return Some(Event::Message { from, message });
            }
        }
    }
}
