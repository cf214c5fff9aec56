use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bellwether_protocol::{ClientFrame, Command, ServerFrame};
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::kept_open::KeptOpen;
use crate::statistics::Percentiles;

const CLIENTS: usize = 4;

/// Before a client looks for the coordinator again.
const PAUSE: Duration = Duration::from_millis(5);

/// Four clients that insert a document and find it, again and again. They end when this is dropped.
pub(super) struct Innocents {
    waited: Arc<Mutex<Waited>>,
    _clients: JoinSet<()>,
}

#[derive(Default)]
struct Waited {
    writes: Vec<Duration>,
    reads: Vec<Duration>,
    failed: u64,
}

/// Waiting times since the last question.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Waits {
    pub(super) writes: Percentiles,
    pub(super) reads: Percentiles,
    pub(super) failed: u64,
}

impl Innocents {
    /// Starts them on the servers with these ports.
    pub(super) fn start(ports: &[u16]) -> Self {
        let waited = Arc::<Mutex<Waited>>::default();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (waited, ports) = (Arc::clone(&waited), ports.to_vec());
            clients.spawn(async move {
                loop {
                    // It ends with a command that fails.
                    if let Ok(connection) = to_coordinator(&ports).await
                        && work(connection, client, &waited).await.is_err()
                    {
                        tell(&waited, |waited| waited.failed += 1);
                    }
                    sleep(PAUSE).await;
                }
            });
        }
        Self {
            waited,
            _clients: clients,
        }
    }

    /// Returns the waiting times since the last call.
    pub(super) fn waits(&self) -> Waits {
        let mut waited = Waited::default();
        tell(&self.waited, |since| std::mem::swap(since, &mut waited));
        Waits {
            writes: Percentiles::of(waited.writes),
            reads: Percentiles::of(waited.reads),
            failed: waited.failed,
        }
    }
}

/// Opens a connection to the server that is coordinator.
pub(super) async fn to_coordinator(ports: &[u16]) -> Result<KeptOpen> {
    for port in ports {
        if let Ok(connection) = KeptOpen::open(*port).await
            && connection.is_coordinators()
        {
            return Ok(connection);
        }
    }
    bail!("no server is coordinator")
}

/// Sends a command and returns the answer.
pub(super) async fn ask(
    connection: &mut KeptOpen,
    command: &str,
    deadline_ms: Option<u64>,
) -> Result<ServerFrame> {
    let command: Box<RawValue> = serde_json::from_str(command)?;
    let frame = ClientFrame::Command(Command {
        id: connection.new_id()?,
        deadline_ms,
        command: command.into(),
    });
    let answer = connection.exchange(frame.to_json()).await?;
    ServerFrame::parse(&answer).context("no frame")
}

async fn work(mut connection: KeptOpen, client: usize, waited: &Mutex<Waited>) -> Result<()> {
    for number in 0_u64.. {
        let key = format!("{}", rand::random::<u64>());
        let insert =
            format!(r#"{{"insert":"innocent_{client}","documents":[{{"_id":"{key}","number":{number}}}]}}"#);
        let took = executed(&mut connection, &insert).await?;
        tell(waited, |waited| waited.writes.push(took));
        let find = format!(r#"{{"find":"innocent_{client}","filter":{{"_id":"{key}"}}}}"#);
        let took = executed(&mut connection, &find).await?;
        tell(waited, |waited| waited.reads.push(took));
    }
    Ok(())
}

async fn executed(connection: &mut KeptOpen, command: &str) -> Result<Duration> {
    let began = Instant::now();
    match ask(connection, command, None).await? {
        ServerFrame::Result(_) => Ok(began.elapsed()),
        other => bail!("answered {other:?}"),
    }
}

fn tell(waited: &Mutex<Waited>, what: impl FnOnce(&mut Waited)) {
    what(&mut waited.lock().unwrap_or_else(PoisonError::into_inner));
}
