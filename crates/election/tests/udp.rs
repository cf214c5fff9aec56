//! The transport of the example `udp`, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "../examples/udp/fragments.rs"]
mod fragments;
#[path = "../examples/udp/transport.rs"]
mod transport;

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bellwether_election::{
    Body, Epoch, Event, Member, Message, Number, Roster, ServerId, Timestamp, Transport,
};
use tokio::time::timeout;

use fragments::{Assembly, LONGEST_DATAGRAM, LONGEST_MESSAGE, cut};
use transport::UdpTransport;

/// Loopback loses nothing that fits the buffers, but the machine may be slow.
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn id(id: &str) -> ServerId {
    id.parse().unwrap()
}

/// Returns the answer to a heartbeat, with this number of servers in its roster.
fn acknowledgement(servers: u64) -> Message {
    let member = |server: u64| Member::new(id(&format!("server-{server}")), Number(u64::MAX - server));
    let roster = Roster {
        version: 1,
        members: (0..servers).map(member).collect(),
    };
    Message {
        sender: Member::new(id("a"), Number(1)),
        body: Body::HeartbeatAck {
            epoch: Epoch(1),
            sent_at: Timestamp(1),
            roster: Some(roster),
        },
    }
}

async fn pair() -> (UdpTransport, UdpTransport) {
    let sockets = ["a", "b"].map(|name| (id(name), UdpSocket::bind("127.0.0.1:0").unwrap()));
    let addresses = sockets
        .iter()
        .map(|(id, socket)| (id.clone(), socket.local_addr().unwrap()));
    let addresses: BTreeMap<ServerId, SocketAddr> = addresses.collect();
    drop(sockets);
    let a = UdpTransport::bind(&id("a"), addresses.clone()).await.unwrap();
    let b = UdpTransport::bind(&id("b"), addresses).await.unwrap();
    (a, b)
}

#[tokio::test]
async fn a_roster_of_any_cluster_arrives() {
    let (mut a, mut b) = pair().await;
    for servers in [0, 1, 8, 18, 64, 200, 1_000] {
        let sent = acknowledgement(servers);
        a.send(&id("b"), sent.clone());
        let Some(Event::Message { from, message }) = timeout(TIME_LIMIT, b.recv()).await.unwrap() else {
            panic!("the transport has ended");
        };
        assert_eq!((from, message), (id("a"), sent), "{servers} servers");
    }
}

/// A message that is too long is not sent, and the next one arrives.
#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let (mut a, mut b) = pair().await;
    let (too_long, next) = (acknowledgement(4_000), acknowledgement(3));
    assert!(serde_json::to_vec(&too_long).unwrap().len() > LONGEST_MESSAGE);
    a.send(&id("b"), too_long);
    a.send(&id("b"), next.clone());
    let arrived = timeout(TIME_LIMIT, b.recv()).await.unwrap();
    assert!(matches!(arrived, Some(Event::Message { message, .. }) if message == next));
}

fn datagrams(number: u32, length: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let message: Vec<u8> = (0..251).cycle().take(length).collect();
    let datagrams: Vec<Vec<u8>> = cut(number, &message).unwrap().collect();
    assert!(
        datagrams
            .iter()
            .all(|datagram| datagram.len() <= LONGEST_DATAGRAM)
    );
    (message, datagrams)
}

#[test]
fn fragments_may_overtake_each_other_and_come_twice() {
    let (mut assembly, now) = (Assembly::default(), Instant::now());
    let (first, mut of_first) = datagrams(7, 5_000);
    let (second, of_second) = datagrams(8, 3_000);
    of_first.reverse();
    let last = of_first.pop().unwrap();
    let mut complete = Vec::new();
    for datagram in of_first.iter().chain(&of_first).chain(&of_second).chain([&last]) {
        complete.extend(assembly.take(datagram, now));
    }
    assert_eq!(complete, [second, first]);
}

#[test]
fn what_is_never_completed_is_dropped() {
    let (mut assembly, now) = (Assembly::default(), Instant::now());
    let (_, late) = datagrams(0, 3_000);
    assert_eq!(assembly.take(&late[0], now), None);
    assert_eq!(assembly.take(&late[1], now + TIME_LIMIT), None);
    assert_eq!(
        assembly.take(&late[2], now + TIME_LIMIT),
        None,
        "the first part is gone"
    );

    let (_, displaced) = datagrams(1, 2_000);
    assert_eq!(assembly.take(&displaced[0], now + TIME_LIMIT), None);
    for number in 100..10_000 {
        let (_, other) = datagrams(number, 2_000);
        assert_eq!(assembly.take(&other[0], now + TIME_LIMIT), None);
    }
    assert_eq!(
        assembly.take(&displaced[1], now + TIME_LIMIT),
        None,
        "newer ones took its place"
    );
}

#[test]
fn whatever_else_arrives_is_ignored() {
    let (mut assembly, now) = (Assembly::default(), Instant::now());
    let (_, good) = datagrams(1, 2_000);
    let header = |place: u16, count: u16| {
        let mut header = vec![0, 0, 0, 1];
        header.extend(place.to_be_bytes());
        header.extend(count.to_be_bytes());
        header
    };
    let full = vec![0; LONGEST_DATAGRAM - 8];
    let bad = [
        vec![],
        vec![1, 2, 3],
        header(0, 1),
        [header(1, 1), vec![1]].concat(),
        [header(0, 0), vec![1]].concat(),
        [header(0, u16::MAX), full.clone()].concat(),
        [header(0, 2), vec![1]].concat(),
        [header(0, 1), full, vec![1]].concat(),
    ];
    for datagram in bad {
        assert_eq!(
            assembly.take(&datagram, now),
            None,
            "{:?}",
            &datagram[..datagram.len().min(12)]
        );
    }
    assert_eq!(assembly.take(&good[0], now), None);
    assert_eq!(
        assembly.take(&[header(2, 3), vec![1]].concat(), now),
        None,
        "another count"
    );
    assert!(assembly.take(&good[1], now).is_some());
}
