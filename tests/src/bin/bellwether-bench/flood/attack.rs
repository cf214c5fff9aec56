use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bellwether_testkit::{RawFrame, RawSocket, command_text, handshake, opcode};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::kept_open::KeptOpen;

/// Highest number of connections from one address: less than the server allows.
const PER_ADDRESS: u32 = 900;
/// Number of attackers that connect again and again, and number of connections that each of them
/// holds at a time.
const FLOODERS: u32 = 50;
const HELD: usize = 100;
/// Addresses of the flood from many.
const ADDRESSES: u32 = 200;
const SLOW_HANDSHAKES: u32 = 800;
const PINGING: u32 = 8;
const MISTAKEN: u32 = 16;

#[derive(Clone, Copy)]
pub(crate) enum Attack {
    Idle { connections: u32 },
    SlowReaders { connections: u32 },
    SlowHandshakes,
    FromOneAddress { per_second: u32 },
    FromMany { per_second: u32 },
    Pings,
    BadFrames { per_second: u32 },
}

/// Counts of the attackers' actions and the server's reactions.
#[derive(Default)]
pub(crate) struct Tally {
    /// Connections opened.
    pub(crate) opened: AtomicU64,
    /// Of these, answered with HTTP 503, or ended without an answer.
    pub(crate) refused: AtomicU64,
    /// Pings, or wrong frames.
    pub(crate) frames: AtomicU64,
}

/// An attack in progress; dropped, it ends, and all its connections with it.
pub(crate) struct Attackers {
    pub(crate) tally: Arc<Tally>,
    _tasks: JoinSet<()>,
}

impl Attack {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Idle { connections } => format!("{connections} idle connections"),
            Self::SlowReaders { connections } => {
                format!("{connections} that read none of their replies of 3.5 MB")
            }
            Self::SlowHandshakes => format!("{SLOW_HANDSHAKES} handshakes of a byte every 0.5 s"),
            Self::FromOneAddress { .. } => "connections from one address".to_owned(),
            Self::FromMany { .. } => format!("connections from {ADDRESSES} addresses"),
            Self::Pings => format!("pings without end on {PINGING} connections"),
            Self::BadFrames { .. } => "bad frames".to_owned(),
        }
    }

    /// Begins it; for idle connections, returns when all are open.
    pub(crate) async fn begin(self, port: u16) -> Result<Attackers> {
        let tally = Arc::<Tally>::default();
        let mut tasks = JoinSet::new();
        match self {
            Self::Idle { connections } => {
                let open = async |number| {
                    let opening = KeptOpen::open_from(address(number / PER_ADDRESS), port);
                    timeout(Duration::from_secs(20), opening)
                        .await
                        .context("no answer")?
                };
                let mut opened = stream::iter(0..connections).map(open).buffer_unordered(32);
                while let Some(connection) = opened.try_next().await? {
                    tally.opened.fetch_add(1, Ordering::Relaxed);
                    let tally = Arc::clone(&tally);
                    tasks.spawn(async move {
                        if connection.idle().await.is_err() {
                            tally.refused.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            }
            Self::SlowReaders { connections } => {
                again_and_again(&mut tasks, connections, 0, &tally, move |_, tally| {
                    read_nothing(port, tally)
                });
            }
            Self::SlowHandshakes => {
                again_and_again(&mut tasks, SLOW_HANDSHAKES, 0, &tally, move |number, tally| {
                    trickle(address(number % 4), port, tally)
                });
            }
            Self::FromOneAddress { per_second } => connect(&mut tasks, 1, port, per_second, &tally),
            Self::FromMany { per_second } => connect(&mut tasks, ADDRESSES, port, per_second, &tally),
            Self::Pings => again_and_again(&mut tasks, PINGING, 0, &tally, move |_, tally| ping(port, tally)),
            Self::BadFrames { per_second } => {
                again_and_again(&mut tasks, MISTAKEN, per_second, &tally, move |number, tally| {
                    mistake(address(number), port, tally)
                });
            }
        }
        Ok(Attackers { tally, _tasks: tasks })
    }
}

/// Returns an address that no good client has.
fn address(number: u32) -> Ipv4Addr {
    let [_, _, c, d] = (number + 1).to_be_bytes();
    Ipv4Addr::new(127, 1, c, d)
}

/// Runs this number of attacks at a time, and begins each again when it ends. Begins `per_second`
/// of them in a second; 0 sets no limit.
fn again_and_again<F>(
    tasks: &mut JoinSet<()>,
    count: u32,
    per_second: u32,
    tally: &Arc<Tally>,
    attack: impl Fn(u32, Arc<Tally>) -> F + Clone + Send + 'static,
) where
    F: Future<Output = Result<()>> + Send,
{
    let pause = Duration::from_secs(1)
        .checked_div(per_second)
        .map(|pause| pause * count);
    for number in 0..count {
        let (attack, tally) = (attack.clone(), Arc::clone(tally));
        tasks.spawn(async move {
            loop {
                let rest = sleep(pause.unwrap_or_default());
                // The server should close these connections, so an error is expected.
                let _ = attack(number, Arc::clone(&tally)).await;
                rest.await;
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Connections that are opened again and again, and kept without a word after the handshake.
fn connect(tasks: &mut JoinSet<()>, addresses: u32, port: u16, per_second: u32, tally: &Arc<Tally>) {
    let pause = Duration::from_secs(1)
        .checked_div(per_second)
        .map(|pause| pause * FLOODERS);
    for flooder in 0..FLOODERS {
        let tally = Arc::clone(tally);
        tasks.spawn(async move {
            let mut held = VecDeque::new();
            for number in 0.. {
                let rest = sleep(pause.unwrap_or_default());
                let from = address((flooder + number * FLOODERS) % addresses);
                match knock(from, port).await {
                    Ok(socket) => held.push_back(socket),
                    Err(_) => {
                        tally.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
                tally.opened.fetch_add(1, Ordering::Relaxed);
                if held.len() > HELD {
                    held.pop_front();
                }
                rest.await;
            }
        });
    }
}

async fn knock(from: Ipv4Addr, port: u16) -> Result<RawSocket> {
    let mut socket = RawSocket::connect_from(from, port).await?;
    socket.send(handshake(port).as_bytes()).await?;
    match socket.http_status().await? {
        101 => Ok(socket),
        status => bail!("HTTP {status}"),
    }
}

async fn read_nothing(port: u16, tally: Arc<Tally>) -> Result<()> {
    let (mut socket, hello) = RawSocket::greeted(port).await?;
    tally.opened.fetch_add(1, Ordering::Relaxed);
    loop {
        let (_, text) = command_text(&hello, &json!({ "find": "large" }));
        socket.send(&RawFrame::new(opcode::TEXT, text).bytes()).await?;
        sleep(Duration::from_millis(500)).await;
    }
}

async fn trickle(from: Ipv4Addr, port: u16, tally: Arc<Tally>) -> Result<()> {
    let mut socket = RawSocket::connect_from(from, port).await?;
    tally.opened.fetch_add(1, Ordering::Relaxed);
    socket
        .trickle(handshake(port).as_bytes(), Duration::from_millis(500))
        .await
}

async fn ping(port: u16, tally: Arc<Tally>) -> Result<()> {
    const BATCH: usize = 1000;
    let (mut socket, _) = RawSocket::greeted(port).await?;
    tally.opened.fetch_add(1, Ordering::Relaxed);
    let pings = RawFrame::new(opcode::PING, "flood").bytes().repeat(BATCH);
    let last = RawFrame::new(opcode::PING, "last").bytes();
    loop {
        socket.send(&pings).await?;
        socket.send(&last).await?;
        while let Some(received) = socket.frame().await? {
            if received.opcode == opcode::PONG && received.payload == b"last" {
                break;
            }
        }
        tally.frames.fetch_add(BATCH as u64, Ordering::Relaxed);
    }
}

/// Sends hello and then a wrong frame.
async fn mistake(from: Ipv4Addr, port: u16, tally: Arc<Tally>) -> Result<()> {
    let mut socket = knock(from, port).await?;
    let hello = RawFrame::new(opcode::TEXT, r#"{"type":"hello"}"#).bytes();
    let turn = tally.opened.fetch_add(1, Ordering::Relaxed);
    let unmasked = RawFrame {
        mask: None,
        ..RawFrame::new(opcode::TEXT, "{}")
    };
    let wrong = match turn % 5 {
        0 => unmasked,
        1 => RawFrame::new(3, "x"),
        2 => RawFrame::new(opcode::TEXT, b"\xff".as_slice()),
        3 => RawFrame::new(opcode::TEXT, "no JSON"),
        _ => RawFrame::new(opcode::PING, vec![0; 126]),
    };
    socket.send(&[hello, wrong.bytes()].concat()).await?;
    while socket.frame().await?.is_some() {}
    tally.frames.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
