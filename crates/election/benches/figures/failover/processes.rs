//! Servers that are processes, on the example's transport over TCP: this program, started again.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bellwether_election::{Epoch, Quorum, ServerId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use super::server::{ids, runtime, start};
use super::{Candidate, Cluster, Fault, Report, monotonic};
use crate::tcp::TcpTransport;

/// The first argument of a process that must run [`serve`].
pub(crate) const SERVE: &str = "serve";

pub(super) struct Processes {
    quorum: Quorum,
    ports: Vec<u16>,
    children: Vec<Option<Child>>,
    reports: Receiver<Report>,
    report: Sender<Report>,
}

impl Processes {
    pub(super) fn new(servers: usize, quorum: Quorum) -> io::Result<Self> {
        let (report, reports) = channel();
        Ok(Self {
            quorum,
            ports: free_ports(servers)?,
            children: (0..servers).map(|_| None).collect(),
            reports,
            report,
        })
    }

    fn signal(&self, server: usize, signal: Signal) -> io::Result<()> {
        if let Some(child) = &self.children[server] {
            kill(Pid::from_raw(child.id().cast_signed()), signal)?;
        }
        Ok(())
    }
}

/// Ports that are free now, and most likely stay so.
pub(super) fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let sockets = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
    sockets
        .iter()
        .map(|socket| Ok(socket.local_addr()?.port()))
        .collect()
}

pub(super) fn addresses(ids: &[ServerId], ports: &[u16]) -> BTreeMap<ServerId, SocketAddr> {
    let address = |port: &u16| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
    ids.iter().cloned().zip(ports.iter().map(address)).collect()
}

impl Cluster for Processes {
    fn start(&mut self, server: usize, life: u64) -> io::Result<()> {
        let quorum = if self.quorum == Quorum::Majority {
            "majority"
        } else {
            "none"
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args([SERVE, quorum, &server.to_string()]);
        command.args(self.ports.iter().map(u16::to_string));
        // Its input is never written to; its end tells the server that this program is gone.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let reports = self.report.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((candidate, at)) = parse(&line) {
                    // An error means that the receiver no longer counts.
                    let _ = reports.send(Report {
                        server,
                        life,
                        candidate,
                        at,
                    });
                }
            }
        });
        self.children[server] = Some(child);
        Ok(())
    }

    fn strike(&mut self, server: usize, fault: Fault) -> io::Result<Duration> {
        let at = monotonic()?;
        self.signal(
            server,
            match fault {
                Fault::Leave => Signal::SIGTERM,
                Fault::Crash => Signal::SIGKILL,
                Fault::Silence => Signal::SIGSTOP,
            },
        )?;
        Ok(at)
    }

    fn bury(&mut self, server: usize) -> io::Result<()> {
        if let Some(mut child) = self.children[server].take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for server in 0..self.children.len() {
            // Nothing more can be done about one that cannot be ended.
            let _ = self.bury(server);
        }
    }
}

fn parse(line: &str) -> Option<(Candidate, Duration)> {
    let mut words = line.split_ascii_whitespace();
    let (what, epoch, nanos) = (words.next()?, words.next()?, words.next()?);
    let epoch = Epoch(epoch.parse().ok()?);
    let candidate = match what {
        "coordinator" => Candidate::Coordinator(epoch),
        "follower" => Candidate::Follower(epoch),
        _ => Candidate::Neither,
    };
    Some((candidate, Duration::from_nanos(nanos.parse().ok()?)))
}

/// Runs one server, in a process started by [`Processes`]. The words after [`SERVE`] are the
/// quorum, the number of the server and the ports of all servers.
pub(crate) fn serve(words: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("started by this program only");
    let (quorum, rest) = words.split_first().ok_or_else(wrong)?;
    let (server, ports) = rest.split_first().ok_or_else(wrong)?;
    let quorum = if quorum == "majority" {
        Quorum::Majority
    } else {
        Quorum::None
    };
    let server: usize = server.parse().map_err(io::Error::other)?;
    let ports = ports.iter().map(|port| port.parse().map_err(io::Error::other));
    let ports: Vec<u16> = ports.collect::<io::Result<_>>()?;
    let ids = ids(ports.len())?;
    let id = ids.get(server).ok_or_else(wrong)?;
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(1);
    });
    runtime()?.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let transport = TcpTransport::bind(id, addresses(&ids, &ports)).await?;
        let election = start(id, &ids, quorum, transport, tell)?;
        terminated.recv().await;
        election.leave().await;
        // The transport will soon have sent the messages that it has.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    })
}

fn tell(candidate: Candidate, at: Duration) {
    let (what, epoch) = match candidate {
        Candidate::Coordinator(epoch) => ("coordinator", epoch),
        Candidate::Follower(epoch) => ("follower", epoch),
        Candidate::Neither => ("neither", Epoch::ZERO),
    };
    // An error means that the reader has gone.
    let _ = writeln!(io::stdout(), "{what} {epoch} {}", at.as_nanos());
}
