//! The transports of the examples, on this machine's loop-back.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bellwether_election::conformance::{self, Fixture, Limits};
use bellwether_election::{Event, Message, ServerId, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::tcp::TcpTransport;
use crate::udp::UdpTransport;

/// An address for every server, the same at every start of it.
#[derive(Default)]
struct Addresses(BTreeMap<ServerId, SocketAddr>);

impl Addresses {
    fn of(&mut self, members: &[ServerId]) -> BTreeMap<ServerId, SocketAddr> {
        let mut address = |member: &ServerId| *self.0.entry(member.clone()).or_insert_with(free_address);
        members
            .iter()
            .map(|member| (member.clone(), address(member)))
            .collect()
    }
}

/// Returns an address with a port below the range from which the system takes ports. So no program
/// takes the port while its server is stopped.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 10_000 + (std::process::id() * 101 + NEXT.fetch_add(1, Ordering::Relaxed)) % 22_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Waits for the sockets of a server that was stopped: a task that holds one ends when the runtime
/// gets to it.
async fn until_free(address: SocketAddr) {
    while TcpListener::bind(address).is_err() || UdpSocket::bind(address).is_err() {
        sleep(Duration::from_millis(5)).await;
    }
}

struct Udp(Addresses);

impl Fixture for Udp {
    type Transport = UdpTransport;

    async fn start(&mut self, id: &ServerId, members: &[ServerId]) -> UdpTransport {
        let addresses = self.0.of(members);
        UdpTransport::bind(id, addresses).await.unwrap()
    }
}

struct Tcp(Addresses);

impl Fixture for Tcp {
    type Transport = TcpTransport;

    async fn start(&mut self, id: &ServerId, members: &[ServerId]) -> TcpTransport {
        let addresses = self.0.of(members);
        TcpTransport::bind(id, addresses).await.unwrap()
    }

    async fn stop(&mut self, id: &ServerId, transport: TcpTransport) {
        drop(transport);
        until_free(self.0.0[id]).await;
    }
}

#[tokio::test]
async fn udp() {
    conformance::check(Udp(Addresses::default()), Limits::default())
        .await
        .assert();
}

#[tokio::test]
async fn tcp() {
    conformance::check(Tcp(Addresses::default()), Limits::default())
        .await
        .assert();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_on_several_threads() {
    conformance::check(Tcp(Addresses::default()), Limits::default())
        .await
        .assert();
}

/// Returns bytes that are no message, such as any program may send.
fn rubbish() -> Vec<Vec<u8>> {
    let message = serde_json::to_vec(&conformance::samples(&"x".parse().unwrap())[0]).unwrap();
    vec![
        Vec::new(),
        b"\x00\xff\x16\x03".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"{}\n[]\nnull\n".to_vec(),
        vec![b'['; 60_000],
        vec![b'x'; 65_000],
        message[..message.len() / 2].to_vec(),
        // Well-formed, from a sender that is no member.
        [b"x\n", message.as_slice(), b"\n"].concat(),
        // From a member that then sends nothing sensible.
        [b"b\n".as_slice(), b"\xff\xfe\n", &message, b"\n"].concat(),
    ]
}

fn pair() -> ([ServerId; 2], BTreeMap<ServerId, SocketAddr>) {
    let ids = ["a", "b"].map(|id| id.parse::<ServerId>().unwrap());
    let addresses = Addresses::default().of(&ids);
    (ids, addresses)
}

/// Sends until a message of `from` arrives at `to`; nothing else may arrive before.
async fn hears_only(from: &mut impl Transport, to: &mut impl Transport, ids: &[ServerId; 2]) {
    let sent: Message = conformance::samples(&ids[0]).swap_remove(0);
    let hearing = async {
        loop {
            from.send(&ids[1], sent.clone());
            match timeout(Duration::from_millis(50), to.recv()).await {
                Ok(Some(Event::Message { from, message })) => {
                    assert_eq!((&from, &message), (&ids[0], &sent));
                    return;
                }
                Ok(None) => panic!("the transport has ended"),
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(30), hearing)
        .await
        .expect("it is heard");
}

#[tokio::test]
async fn udp_takes_rubbish_in_its_stride() {
    let (ids, addresses) = pair();
    let mut a = UdpTransport::bind(&ids[0], addresses.clone()).await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for bytes in rubbish() {
        stranger.send_to(&bytes, addresses[&ids[0]]).unwrap();
        // And from an address that is a member's.
        let member = UdpSocket::bind(addresses[&ids[1]]).unwrap();
        member.send_to(&bytes, addresses[&ids[0]]).unwrap();
    }
    let mut b = UdpTransport::bind(&ids[1], addresses).await.unwrap();
    let [a_id, b_id] = ids;
    hears_only(&mut b, &mut a, &[b_id, a_id]).await;
}

#[tokio::test]
async fn tcp_takes_rubbish_in_its_stride() {
    let (ids, addresses) = pair();
    let mut a = TcpTransport::bind(&ids[0], addresses.clone()).await.unwrap();
    for bytes in rubbish() {
        let mut stream = TcpStream::connect(addresses[&ids[0]]).await.unwrap();
        // It may hang up before it has read everything.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let _ = timeout(Duration::from_secs(30), reading)
            .await
            .expect("it hangs up");
        assert_eq!(answer, b"");
    }
    let mut b = TcpTransport::bind(&ids[1], addresses).await.unwrap();
    let [a_id, b_id] = ids;
    hears_only(&mut b, &mut a, &[b_id, a_id]).await;
}
