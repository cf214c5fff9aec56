//! The rules of the network have their effect on real TCP between hosts, and no other effect.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bellwether_chaos::network::{Effect, Network, address, enclose};
use bellwether_testkit::{Case, Stage, cases, play};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const OWN: u8 = 1;
const A: u8 = 11;
const B: u8 = 31;
const PORT: u16 = 7001;

/// Long enough for every packet that arrives at all.
const NEVER: Duration = Duration::from_millis(700);

fn main() -> Result<ExitCode> {
    if let Err(why) = enclose() {
        eprintln!("NOT RUN: {why:#}");
        return Ok(ExitCode::SUCCESS);
    }
    play::<Lab>(cases! {
        cases:
            hosts_reach_each_other_and_the_program_both
            a_cut_of_one_direction_leaves_the_other
            what_is_delayed_arrives_later_and_in_order_of_tcp
            what_is_lost_is_sent_again
            a_lost_result_kills_its_connection_silently
            a_lost_result_resets_its_connection_at_both_ends;
    })
}

struct Lab {
    network: Network,
}

impl Stage for Lab {
    async fn start() -> Result<Self> {
        let network = Network::start(OWN, &[A, B], 1)?;
        Ok(Self { network })
    }

    async fn play(&mut self, case: Case<Self>) -> Result<()> {
        case(self).await
    }

    async fn end(self) -> Result<()> {
        Ok(())
    }
}

impl Lab {
    /// Opens a connection from `B` to `A`; returns the end at `B` first.
    async fn connected(&self) -> Result<(TcpStream, TcpStream)> {
        let listener = self
            .on(A, async || {
                Ok(TcpListener::bind((address(A), PORT)).await?.into_std()?)
            })
            .await?;
        let listener = TcpListener::from_std(listener)?;
        let at_b = self
            .on(B, async || {
                Ok(TcpStream::connect((address(A), PORT)).await?.into_std()?)
            })
            .await?;
        let (at_a, from) = listener.accept().await?;
        ensure!(from.ip() == address(B), "a connection from {from}");
        Ok((TcpStream::from_std(at_b)?, at_a))
    }

    /// Does it on this host.
    async fn on<T: Send + 'static>(
        &self,
        host: u8,
        work: impl AsyncFnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let host = self.network.host(host).context("no such host")?.clone();
        let done = tokio::task::spawn_blocking(move || host.run(|| work()).join());
        done.await?.map_err(|_| anyhow!("a thread has panicked"))??
    }
}

async fn says(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) -> Result<()> {
    from.write_all(text).await?;
    let mut heard = vec![0; text.len()];
    timeout(Duration::from_secs(30), to.read_exact(&mut heard)).await??;
    ensure!(heard == text, "other bytes arrive");
    Ok(())
}

async fn is_not_heard(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) -> Result<()> {
    from.write_all(text).await?;
    let heard = timeout(NEVER, to.read_u8()).await;
    ensure!(heard.is_err(), "something arrives: {heard:?}");
    Ok(())
}

mod cases {
    use super::*;

    pub(super) async fn hosts_reach_each_other_and_the_program_both(lab: &mut Lab) -> Result<()> {
        let (mut b, mut a) = lab.connected().await?;
        says(&mut a, &mut b, b"there").await?;
        says(&mut b, &mut a, &vec![7; 1_000_000]).await?;
        let listener = lab
            .on(A, async || {
                Ok(TcpListener::bind((address(A), 0)).await?.into_std()?)
            })
            .await?;
        let listener = TcpListener::from_std(listener)?;
        let at: SocketAddr = listener.local_addr()?;
        let mut own = TcpStream::connect(at).await?;
        let (mut accepted, from) = listener.accept().await?;
        ensure!(from.ip() == address(OWN), "a connection from {from}");
        says(&mut own, &mut accepted, b"hello").await
    }

    pub(super) async fn a_cut_of_one_direction_leaves_the_other(lab: &mut Lab) -> Result<()> {
        let (mut b, mut a) = lab.connected().await?;
        let cut = lab.network.add(Effect::Cut, vec![(A, B)]);
        // Data without an acknowledgement arrives nevertheless.
        says(&mut b, &mut a, b"there").await?;
        is_not_heard(&mut a, &mut b, b"back").await?;
        lab.network.remove(cut);
        let mut heard = [0; 4];
        timeout(Duration::from_secs(30), b.read_exact(&mut heard)).await??;
        ensure!(&heard == b"back", "other bytes arrive");
        Ok(())
    }

    pub(super) async fn what_is_delayed_arrives_later_and_in_order_of_tcp(lab: &mut Lab) -> Result<()> {
        let (mut b, mut a) = lab.connected().await?;
        let before = lab.network.traffic();
        let (least, most) = (Duration::from_millis(20), Duration::from_millis(80));
        let delay = lab.network.add(Effect::Delay { least, most }, vec![(A, B)]);
        let begun = std::time::Instant::now();
        says(&mut a, &mut b, b"later").await?;
        ensure!(begun.elapsed() >= least, "it arrives after {:?}", begun.elapsed());
        let many: Vec<u8> = (0..=250).cycle().take(2_000_000).collect();
        says(&mut a, &mut b, &many).await?;
        lab.network.remove(delay);
        let after = lab.network.traffic();
        ensure!(after.delayed > before.delayed, "nothing was delayed: {after:?}");
        Ok(())
    }

    pub(super) async fn what_is_lost_is_sent_again(lab: &mut Lab) -> Result<()> {
        let (mut b, mut a) = lab.connected().await?;
        let before = lab.network.traffic();
        let loss = lab.network.add(Effect::Loss(0.3), vec![(A, B)]);
        for _ in 0..10 {
            says(&mut a, &mut b, b"again").await?;
        }
        lab.network.remove(loss);
        let after = lab.network.traffic();
        ensure!(after.lost > before.lost, "nothing was lost: {after:?}");
        Ok(())
    }

    const RESULT: &[u8] = br#"{"type":"result","id":"x"}"#;

    pub(super) async fn a_lost_result_kills_its_connection_silently(lab: &mut Lab) -> Result<()> {
        let (mut b, mut a) = lab.connected().await?;
        let effect = Effect::LoseResults {
            port: PORT,
            share: 1.0,
            reset: false,
        };
        let rule = lab.network.add(effect, vec![(A, B)]);
        says(&mut a, &mut b, b"hello").await?;
        is_not_heard(&mut a, &mut b, RESULT).await?;
        is_not_heard(&mut b, &mut a, b"are you there?").await?;
        lab.network.remove(rule);
        is_not_heard(&mut a, &mut b, b"yes").await?;
        let (mut b, mut a) = lab.connected().await?;
        says(&mut a, &mut b, RESULT).await
    }

    pub(super) async fn a_lost_result_resets_its_connection_at_both_ends(lab: &mut Lab) -> Result<()> {
        let (mut b, mut a) = lab.connected().await?;
        let effect = Effect::LoseResults {
            port: PORT,
            share: 1.0,
            reset: true,
        };
        let rule = lab.network.add(effect, vec![(A, B)]);
        a.write_all(RESULT).await?;
        for end in [&mut a, &mut b] {
            let ended = timeout(Duration::from_secs(30), end.read_u8()).await?;
            let kind = ended.as_ref().map_err(std::io::Error::kind);
            ensure!(kind == Err(ErrorKind::ConnectionReset), "{ended:?}");
        }
        lab.network.remove(rule);
        Ok(())
    }
}
