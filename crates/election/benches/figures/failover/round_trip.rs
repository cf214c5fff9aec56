//! The time for a message there and one back, between two threads that were idle before.

use std::io;
use std::time::{Duration, Instant};

use bellwether_election::memory::Network;
use bellwether_election::{Body, Event, Member, Message, Number, ServerId, Transport};
use tokio::time::{sleep, timeout};

use super::processes::{addresses, free_ports};
use super::server::{ids, runtime};
use crate::table::percentile;
use crate::tcp::TcpTransport;

const ROUNDS: usize = 400;

/// Between two messages, for a thread that has slept is not woken as fast.
const IDLE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
pub(super) struct RoundTrip {
    pub(super) p50: Duration,
    /// The highest delay that the machine adds now and then, without any fault.
    pub(super) p99: Duration,
}

pub(super) fn memory() -> io::Result<RoundTrip> {
    let ids = ids(2)?;
    let network = Network::new();
    let other = network.join(ids[1].clone());
    let one = network.join(ids[0].clone());
    measure(&ids, async move { Ok(one) }, async move { Ok(other) })
}

pub(super) fn tcp() -> io::Result<RoundTrip> {
    let ids = ids(2)?;
    let addresses = addresses(&ids, &free_ports(2)?);
    let (one, other) = (ids[0].clone(), ids[1].clone());
    let copy = addresses.clone();
    measure(
        &ids,
        async move { TcpTransport::bind(&one, copy).await },
        async move { TcpTransport::bind(&other, addresses).await },
    )
}

fn measure<T: Transport>(
    ids: &[ServerId],
    one: impl Future<Output = io::Result<T>>,
    other: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<RoundTrip> {
    std::thread::spawn(move || -> io::Result<()> {
        runtime()?.block_on(async {
            let mut transport = other.await?;
            while let Some(event) = transport.recv().await {
                if let Event::Message { from, message } = event {
                    transport.send(&from, message);
                }
            }
            Ok(())
        })
    });
    let message = Message {
        sender: Member::new(ids[0].clone(), Number(1)),
        body: Body::Query,
    };
    let to = &ids[1];
    runtime()?.block_on(async {
        let mut transport = one.await?;
        let mut times = Vec::new();
        while times.len() < ROUNDS {
            sleep(IDLE).await;
            let start = Instant::now();
            transport.send(to, message.clone());
            let answer = async {
                while let Some(event) = transport.recv().await {
                    if matches!(event, Event::Message { .. }) {
                        return;
                    }
                }
            };
            // Without an answer there was no connection yet.
            if timeout(Duration::from_millis(100), answer).await.is_ok() {
                times.push(start.elapsed());
            }
        }
        times.sort_unstable();
        Ok(RoundTrip {
            p50: percentile(&times, 50),
            p99: percentile(&times, 99),
        })
    })
}
