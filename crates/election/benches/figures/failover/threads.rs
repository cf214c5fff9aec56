//! Servers that are threads with a runtime each, on the in-memory transport.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_election::memory::Network;
use bellwether_election::{Quorum, ServerId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::server::{ids, runtime, start};
use super::{Cluster, Fault, Report, monotonic};

pub(super) struct Threads {
    network: Network,
    servers: usize,
    quorum: Quorum,
    threads: Vec<Option<Thread>>,
    reports: Receiver<Report>,
    report: Sender<Report>,
}

struct Thread {
    faults: UnboundedSender<Fault>,
    /// Dropped to release a stopped thread.
    hold: Sender<()>,
    handle: JoinHandle<io::Result<()>>,
}

impl Threads {
    pub(super) fn new(servers: usize, quorum: Quorum) -> Self {
        let (report, reports) = channel();
        Self {
            network: Network::new(),
            servers,
            quorum,
            threads: (0..servers).map(|_| None).collect(),
            reports,
            report,
        }
    }
}

impl Cluster for Threads {
    fn start(&mut self, server: usize, life: u64) -> io::Result<()> {
        let ids = ids(self.servers)?;
        let (network, quorum, reports) = (self.network.clone(), self.quorum, self.report.clone());
        let (faults, commands) = unbounded_channel();
        let (hold, released) = channel();
        let handle = std::thread::spawn(move || {
            let report = move |candidate, at| {
                // An error means that the receiver no longer counts.
                let _ = reports.send(Report {
                    server,
                    life,
                    candidate,
                    at,
                });
            };
            let run = run(&ids[server], &ids, quorum, &network, report, commands, released);
            runtime()?.block_on(run)
        });
        self.threads[server] = Some(Thread { faults, hold, handle });
        Ok(())
    }

    fn strike(&mut self, server: usize, fault: Fault) -> io::Result<Duration> {
        let thread = self.threads[server].as_ref();
        let thread = thread.ok_or_else(|| io::Error::other("no such thread"))?;
        let at = monotonic()?;
        thread.faults.send(fault).map_err(io::Error::other)?;
        Ok(at)
    }

    fn bury(&mut self, server: usize) -> io::Result<()> {
        let Some(Thread { handle, hold, .. }) = self.threads[server].take() else {
            return Ok(());
        };
        drop(hold);
        handle.join().map_err(|_| io::Error::other("a server panicked"))?
    }

    fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }
}

async fn run(
    id: &ServerId,
    ids: &[ServerId],
    quorum: Quorum,
    network: &Network,
    report: impl FnMut(super::Candidate, Duration) + Send + 'static,
    mut commands: UnboundedReceiver<Fault>,
    released: Receiver<()>,
) -> io::Result<()> {
    let election = start(id, ids, quorum, network.join(id.clone()), report)?;
    match commands.recv().await {
        Some(Fault::Leave) => election.leave().await,
        // The whole runtime stops, until it is released and ends like a crash.
        Some(Fault::Silence) => {
            let _ = released.recv();
        }
        Some(Fault::Crash) | None => {}
    }
    Ok(())
}
