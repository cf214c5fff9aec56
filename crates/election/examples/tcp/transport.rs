//! The election over TCP: lines of JSON, on connections that report when they break.
//!
//! Every server dials every other, and sends on the connection it dialled; it receives on those it
//! accepted. The first line on a connection is the id of the server that dialled it. Nothing proves
//! that id: on a network where others could connect, put TLS with certificates of both sides below
//! this.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_election::{Event, Link, Message, ServerId, Transport};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec};

/// Messages that wait for one peer. Further ones are dropped.
const QUEUE: usize = 64;
/// Events that wait for the election. Then the connections are not read.
const EVENTS: usize = 256;
/// Far above the largest message.
const LONGEST_LINE: usize = 64 * 1024;
/// Connections that others may have here at a time.
const CONNECTIONS: usize = 256;
/// Time limit for connecting, and for sending one message.
const TIME_LIMIT: Duration = Duration::from_secs(2);
/// Pauses between attempts to connect: each is twice as long, from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));

pub(crate) struct TcpTransport {
    outboxes: BTreeMap<ServerId, mpsc::Sender<Message>>,
    events: mpsc::Receiver<Event>,
    /// Ends with the transport.
    _accepting: JoinSet<()>,
}

impl TcpTransport {
    /// Listens at the address of `id` and begins to dial the others. `addresses` are those of all
    /// servers.
    pub(crate) async fn bind(id: &ServerId, addresses: BTreeMap<ServerId, SocketAddr>) -> io::Result<Self> {
        let own = addresses.get(id).copied();
        let own = own.ok_or_else(|| io::Error::other(format!("no address for {id}")))?;
        let listener = TcpListener::bind(own).await?;
        let (events_tx, events) = mpsc::channel(EVENTS);
        let mut outboxes = BTreeMap::new();
        for (peer, address) in addresses.into_iter().filter(|(peer, _)| peer != id) {
            let (outbox, messages) = mpsc::channel(QUEUE);
            outboxes.insert(peer.clone(), outbox);
            let dialler = Dialler {
                own: id.clone(),
                peer,
                address,
                events: events_tx.clone(),
                reported: None,
            };
            // The task ends once the transport is dropped and its messages are sent. The last
            // message of a server that leaves is the most important one.
            tokio::spawn(dialler.run(messages));
        }
        let peers = Arc::new(outboxes.keys().cloned().collect());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, peers, events_tx));
        Ok(Self {
            outboxes,
            events,
            _accepting: accepting,
        })
    }
}

impl Transport for TcpTransport {
    fn send(&mut self, to: &ServerId, message: Message) {
        if let Some(outbox) = self.outboxes.get(to) {
            let _ = outbox.try_send(message);
        }
    }

    async fn recv(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// Keeps a connection to one peer.
struct Dialler {
    own: ServerId,
    peer: ServerId,
    address: SocketAddr,
    events: mpsc::Sender<Event>,
    reported: Option<Link>,
}

impl Dialler {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut pause = PAUSES.0;
        loop {
            match timeout(TIME_LIMIT, TcpStream::connect(self.address)).await {
                Ok(Ok(stream)) => {
                    self.report(Link::Up).await;
                    pause = PAUSES.0;
                    let _ = self.converse(stream, &mut messages).await;
                    // Dialled again almost at once: a refusal tells a crash from a broken
                    // connection.
                    self.report(Link::Down).await;
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    self.report(Link::Refused).await;
                }
                _ => self.report(Link::Down).await,
            }
            // Messages of this time would be out of date later.
            let drop_all = async { while messages.recv().await.is_some() {} };
            if timeout(pause, drop_all).await.is_ok() {
                return;
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Sends until the connection ends.
    async fn converse(&self, stream: TcpStream, messages: &mut mpsc::Receiver<Message>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reading, writing) = stream.into_split();
        let mut lines = FramedWrite::new(writing, LinesCodec::new());
        let mut byte = [0];
        let mut line = self.own.to_string();
        loop {
            let sent = timeout(TIME_LIMIT, lines.send(&line)).await;
            sent.map_err(io::Error::from)?.map_err(io::Error::other)?;
            let message = tokio::select! {
                message = messages.recv() => message,
                // This direction carries nothing but the end of the connection.
                _ = reading.read(&mut byte) => return Ok(()),
            };
            let Some(message) = message else {
                return Ok(());
            };
            line = serde_json::to_string(&message)?;
        }
    }

    async fn report(&mut self, link: Link) {
        if self.reported.replace(link) != Some(link) {
            let peer = self.peer.clone();
            let _ = self.events.send(Event::Link { peer, link }).await;
        }
    }
}

async fn accept(listener: TcpListener, peers: Arc<BTreeSet<ServerId>>, events: mpsc::Sender<Event>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        if connections.len() < CONNECTIONS {
            connections.spawn(receive(stream, Arc::clone(&peers), events.clone()));
        }
    }
}

/// Reads until the connection ends, or until a line comes that no peer would send.
async fn receive(stream: TcpStream, peers: Arc<BTreeSet<ServerId>>, events: mpsc::Sender<Event>) {
    // The other half stays: dropping it would end the connection for the peer that dialled.
    let (reading, _writing) = stream.into_split();
    let mut lines = FramedRead::new(reading, LinesCodec::new_with_max_length(LONGEST_LINE));
    let Ok(Some(from)) = timeout(TIME_LIMIT, hello(&mut lines)).await else {
        return;
    };
    if !peers.contains(&from) {
        return;
    }
    while let Some(Ok(line)) = lines.next().await {
        let Ok(message) = serde_json::from_str(&line) else {
            return;
        };
        let from = from.clone();
        if events.send(Event::Message { from, message }).await.is_err() {
            return;
        }
    }
}

async fn hello(lines: &mut FramedRead<OwnedReadHalf, LinesCodec>) -> Option<ServerId> {
    lines.next().await?.ok()?.parse().ok()
}
