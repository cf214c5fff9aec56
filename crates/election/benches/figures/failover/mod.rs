//! The time that a cluster is without a coordinator, on real clocks.

mod processes;
mod round_trip;
mod server;
mod threads;

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bellwether_election::{Config, Epoch, Quorum};
use rand::Rng;

use self::processes::Processes;
use self::round_trip::RoundTrip;
use self::threads::Threads;
use crate::table::{Table, ms, percentile};

pub(crate) use self::processes::{SERVE, serve};

/// The way in which the coordinator ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It leaves, with a handover.
    Leave,
    /// It ends at once.
    Crash,
    /// It is stopped, and its connections stay open.
    Silence,
}

/// The role of a server, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    Coordinator(Epoch),
    Follower(Epoch),
    Neither,
}

/// A server's new role, with its time on the machine's monotonic clock.
struct Report {
    server: usize,
    /// The start of the server that sent this report.
    life: u64,
    candidate: Candidate,
    at: Duration,
}

/// Servers that can be started and struck.
trait Cluster {
    fn start(&mut self, server: usize, life: u64) -> std::io::Result<()>;
    /// Injects a fault, and returns the time of its beginning.
    fn strike(&mut self, server: usize, fault: Fault) -> std::io::Result<Duration>;
    /// Ends the rest of a server after its fault.
    fn bury(&mut self, server: usize) -> std::io::Result<()>;
    fn reports(&self) -> &Receiver<Report>;
}

fn monotonic() -> std::io::Result<Duration> {
    Ok(nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?.into())
}

pub(crate) fn print() -> std::io::Result<()> {
    let head = [
        "transport, servers",
        "fault",
        "rounds",
        "p50",
        "p99",
        "max",
        "limit",
    ];
    let table = Table::begin("From the fault until another server is coordinator", &head);
    let memory = round_trip::memory()?;
    let tcp = round_trip::tcp()?;
    for (servers, quorum) in [(3, Quorum::None), (5, Quorum::Majority)] {
        let kind = if quorum == Quorum::Majority {
            " with a majority"
        } else {
            ""
        };
        let name = format!("memory, {servers} threads{kind}");
        print_faults(
            &table,
            &name,
            Threads::new(servers, quorum),
            servers,
            quorum,
            memory,
        )?;
        let name = format!("TCP, {servers} processes{kind}");
        print_faults(
            &table,
            &name,
            Processes::new(servers, quorum)?,
            servers,
            quorum,
            tcp,
        )?;
    }
    Ok(())
}

fn print_faults(
    table: &Table,
    name: &str,
    cluster: impl Cluster,
    servers: usize,
    quorum: Quorum,
    round_trip: RoundTrip,
) -> std::io::Result<()> {
    let config = Config::default();
    let time_limit = config.timeout + config.heartbeat * 2;
    let waits_for_promises = quorum == Quorum::Majority;
    let faults: &[(Fault, usize)] = if waits_for_promises {
        &[(Fault::Crash, 40), (Fault::Silence, 40)]
    } else {
        &[(Fault::Leave, 200), (Fault::Crash, 200), (Fault::Silence, 40)]
    };
    let mut rounds = Rounds::new(cluster, servers)?;
    for &(fault, count) in faults {
        let limit = if waits_for_promises || fault == Fault::Silence {
            format!("timeout + 2 heartbeats: {}", ms(time_limit))
        } else {
            let RoundTrip { p50, p99 } = round_trip;
            format!("round trip: {}, p99 {}", ms(p50), ms(p99))
        };
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(rounds.one(fault)?);
        }
        times.sort_unstable();
        table.row(&[
            name.to_owned(),
            format!("{fault:?}").to_lowercase(),
            count.to_string(),
            ms(percentile(&times, 50)),
            ms(percentile(&times, 99)),
            ms(percentile(&times, 100)),
            limit,
        ]);
    }
    Ok(())
}

/// Strikes one coordinator after another.
struct Rounds<C> {
    cluster: C,
    lives: Vec<u64>,
    candidates: Vec<Candidate>,
}

impl<C: Cluster> Rounds<C> {
    fn new(cluster: C, servers: usize) -> std::io::Result<Self> {
        let mut this = Self {
            cluster,
            lives: vec![0; servers],
            candidates: vec![Candidate::Neither; servers],
        };
        for server in 0..servers {
            this.cluster.start(server, 0)?;
        }
        Ok(this)
    }

    /// Returns the time from the fault until another server was coordinator.
    fn one(&mut self, fault: Fault) -> std::io::Result<Duration> {
        let (struck, epoch) = self.wait_for_rest()?;
        let from = self.cluster.strike(struck, fault)?;
        let took = loop {
            let report = self.next(Duration::from_secs(20))?.ok_or_else(|| {
                std::io::Error::other(format!("{fault:?}: nobody took over from server {struck}"))
            })?;
            if let Candidate::Coordinator(later) = report.candidate
                && report.server != struck
                && later > epoch
            {
                break report.at.saturating_sub(from);
            }
        };
        self.cluster.bury(struck)?;
        self.lives[struck] += 1;
        self.candidates[struck] = Candidate::Neither;
        self.cluster.start(struck, self.lives[struck])?;
        Ok(took)
    }

    /// Waits until all servers have followed one coordinator for some heartbeats.
    fn wait_for_rest(&mut self) -> std::io::Result<(usize, Epoch)> {
        loop {
            let rest = Duration::from_micros(rand::rng().random_range(300_000..400_000));
            if self.next(rest)?.is_some() {
                continue;
            }
            if let Some(agreed) = self.agreed() {
                return Ok(agreed);
            }
        }
    }

    fn agreed(&self) -> Option<(usize, Epoch)> {
        let mut coordinators = self
            .candidates
            .iter()
            .enumerate()
            .filter_map(|(server, candidate)| match candidate {
                Candidate::Coordinator(epoch) => Some((server, *epoch)),
                _ => None,
            });
        let (server, epoch) = coordinators.next()?;
        let follower = |(other, candidate): (usize, &Candidate)| {
            other == server || *candidate == Candidate::Follower(epoch)
        };
        (coordinators.next().is_none() && self.candidates.iter().enumerate().all(follower))
            .then_some((server, epoch))
    }

    fn next(&mut self, within: Duration) -> std::io::Result<Option<Report>> {
        match self.cluster.reports().recv_timeout(within) {
            Ok(report) => {
                if report.life == self.lives[report.server] {
                    self.candidates[report.server] = report.candidate;
                }
                Ok(Some(report))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(std::io::Error::other("all servers have ended")),
        }
    }
}
