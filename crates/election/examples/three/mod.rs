//! The common part of both programs. Without arguments a program starts three processes of itself
//! and kills the coordinator's. With arguments it is one of them.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use bellwether_election::{Config, Election, LocalArbiter, Member, Number, Role, ServerId, Transport};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Only a guard: no step takes nearly as long.
const TIME_LIMIT: Duration = Duration::from_secs(60);

type Failure = Box<dyn Error + Send + Sync>;

/// Runs the program. `bind` makes the transport of a server, given the addresses of all.
pub(crate) async fn main<T: Transport>(
    bind: impl AsyncFnOnce(ServerId, BTreeMap<ServerId, SocketAddr>) -> io::Result<T>,
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [] => direct().await,
        [id, addresses @ ..] => serve(id, addresses, bind).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one server: `ID ID=ADDRESS...`. Prints a line for each role it gets, until it is killed.
async fn serve<T: Transport>(
    id: &str,
    addresses: &[String],
    bind: impl AsyncFnOnce(ServerId, BTreeMap<ServerId, SocketAddr>) -> io::Result<T>,
) -> Result<(), Failure> {
    let id: ServerId = id.parse()?;
    let addresses = parse_addresses(addresses)?;
    let members: Vec<ServerId> = addresses.keys().cloned().collect();
    let transport = bind(id.clone(), addresses).await?;
    let me = Member::new(id, Number::random());
    let election = Election::start(Config::default(), me, members, transport, LocalArbiter)?;
    let mut roles = election.role();
    loop {
        let role = roles.borrow_and_update().clone();
        let text = match &role {
            Role::Coordinator { epoch } => format!("coordinator in epoch {epoch}"),
            Role::Follower { coordinator } => format!("follower of {}", coordinator.rank.id),
            Role::Draining { epoch, .. } => {
                // There is no work here to be finished before another takes over.
                election.drained(*epoch);
                "handing over".into()
            }
            _ => "electing".into(),
        };
        // Fails, and so ends the server, when the reader has gone. `println` would panic.
        writeln!(io::stdout(), "{text}")?;
        roles.changed().await?;
    }
}

fn parse_addresses(arguments: &[String]) -> Result<BTreeMap<ServerId, SocketAddr>, Failure> {
    let pairs = arguments.iter().map(|argument| {
        let (id, address) = argument
            .split_once('=')
            .ok_or_else(|| format!("{argument:?} is not ID=ADDRESS"))?;
        Ok((id.parse()?, address.parse()?))
    });
    pairs.collect()
}

/// Three servers in processes of their own, killed when this is dropped.
struct Cluster {
    children: BTreeMap<String, Child>,
    /// The servers' lines, each with the server's id.
    lines: mpsc::UnboundedReceiver<(String, String)>,
    /// The last line of each server.
    roles: BTreeMap<String, String>,
}

async fn direct() -> Result<(), Failure> {
    let mut cluster = Cluster::start(["a", "b", "c"])?;
    let first = cluster.agreed().await?;
    println!("{first} is coordinator.");

    let killed = Instant::now();
    cluster.kill(&first).await?;
    println!("Killed the process of {first}.");
    let next = cluster.coordinator().await?;
    let took = killed.elapsed();
    println!(
        "{next} is coordinator {:.1} ms after.",
        took.as_secs_f64() * 1000.0
    );
    cluster.agreed().await?;
    println!("The third follows it.");
    Ok(())
}

impl Cluster {
    fn start(ids: [&str; 3]) -> Result<Self, Failure> {
        let addresses: Vec<String> = ids
            .iter()
            .zip(free_addresses()?)
            .map(|(id, address)| format!("{id}={address}"))
            .collect();
        let (lines_tx, lines) = mpsc::unbounded_channel();
        let mut children = BTreeMap::new();
        for id in ids {
            let mut child = Command::new(std::env::current_exe()?)
                .arg(id)
                .args(&addresses)
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            if let Some(output) = child.stdout.take() {
                let (id, lines) = (id.to_owned(), lines_tx.clone());
                tokio::spawn(async move {
                    let mut output = BufReader::new(output).lines();
                    while let Ok(Some(line)) = output.next_line().await {
                        let _ = lines.send((id.clone(), line));
                    }
                });
            }
            children.insert(id.to_owned(), child);
        }
        Ok(Self {
            children,
            lines,
            roles: BTreeMap::new(),
        })
    }

    async fn kill(&mut self, id: &str) -> Result<(), Failure> {
        if let Some(mut child) = self.children.remove(id) {
            child.kill().await?;
        }
        self.roles.remove(id);
        Ok(())
    }

    /// Waits until a server is coordinator.
    async fn coordinator(&mut self) -> Result<String, Failure> {
        self.wait_until(|_, _| true).await
    }

    /// Waits until a server is coordinator and all others follow it.
    async fn agreed(&mut self) -> Result<String, Failure> {
        self.wait_until(|cluster, coordinator| {
            let follows = format!("follower of {coordinator}");
            cluster
                .children
                .keys()
                .all(|id| id == coordinator || cluster.roles.get(id) == Some(&follows))
        })
        .await
    }

    async fn wait_until(&mut self, enough: impl Fn(&Self, &str) -> bool) -> Result<String, Failure> {
        loop {
            let leads = |(_, role): &(&String, &String)| role.starts_with("coordinator");
            let coordinator = self.roles.iter().find(leads).map(|(id, _)| id.clone());
            if let Some(coordinator) = coordinator.filter(|id| enough(self, id)) {
                return Ok(coordinator);
            }
            match timeout(TIME_LIMIT, self.lines.recv()).await {
                Ok(Some((id, role))) if self.children.contains_key(&id) => self.roles.insert(id, role),
                // The last words of the one that was killed.
                Ok(Some(_)) => None,
                _ => return Err(format!("no coordinator: {:?}", self.roles).into()),
            };
        }
    }
}

/// Returns three addresses that are free for UDP as well as TCP, unless another program takes them
/// before they are used.
fn free_addresses() -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    while found.len() < 3 {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        if let Ok(socket) = UdpSocket::bind(address) {
            found.push((address, listener, socket));
        }
    }
    Ok(found.into_iter().map(|(address, ..)| address).collect())
}
