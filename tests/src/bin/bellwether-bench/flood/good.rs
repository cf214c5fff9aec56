use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bellwether_protocol::{ClientFrame, Command, ServerFrame};
use bellwether_testkit::execute_within;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::kept_open::KeptOpen;
use crate::statistics::Percentiles;

/// Number of clients of each kind.
const CLIENTS: usize = 4;
/// Pause of each client after a command: the benchmark measures the waiting time, not the
/// throughput.
const REST: Duration = Duration::from_millis(20);
/// A one-shot that is not executed by then has failed.
const DEADLINE: Duration = Duration::from_secs(10);

const INSERT: &str = r#"{"insert":"good","documents":[{"text":"a good client's"}]}"#;

/// Clients that do nothing wrong: some on connections they keep open, some with a connection for
/// each command.
pub(crate) struct Good {
    waited: Arc<Mutex<Waited>>,
    _clients: JoinSet<()>,
}

/// Waiting times since the last question.
#[derive(Default)]
struct Waited {
    kept_open: Vec<Duration>,
    one_shots: Vec<Duration>,
    failed: u64,
}

/// Waiting times of good clients in a period.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Waits {
    pub(crate) kept_open: Percentiles,
    pub(crate) one_shots: Percentiles,
    pub(crate) executed: usize,
    pub(crate) failed: u64,
}

impl Good {
    /// Starts them, each on this server.
    pub(crate) fn start(port: u16, urls: &[String]) -> Self {
        let waited = Arc::<Mutex<Waited>>::default();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (told, urls) = (Arc::clone(&waited), urls.to_vec());
            clients.spawn(async move {
                loop {
                    let began = Instant::now();
                    let executed = matches!(execute_within(DEADLINE, &urls, INSERT).await, Ok(Ok(_)));
                    tell(&told, |waited| match executed {
                        true => waited.one_shots.push(began.elapsed()),
                        false => waited.failed += 1,
                    });
                    sleep(REST).await;
                }
            });
            let told = Arc::clone(&waited);
            clients.spawn(async move {
                loop {
                    // It ends with the first command that fails, and a new one is begun.
                    if let Err(error) = keep_open(port, &told).await {
                        eprintln!("A good client: {error:#}");
                        tell(&told, |waited| waited.failed += 1);
                        sleep(REST).await;
                    }
                }
            });
        }
        Self {
            waited,
            _clients: clients,
        }
    }

    /// Returns the number of commands executed since the last call of [`waits`](Self::waits).
    pub(crate) fn executed(&self) -> usize {
        let mut executed = 0;
        tell(&self.waited, |since| {
            executed = since.kept_open.len() + since.one_shots.len();
        });
        executed
    }

    /// Returns the waiting times since the last call.
    pub(crate) fn waits(&self) -> Waits {
        let mut waited = Waited::default();
        tell(&self.waited, |since| std::mem::swap(since, &mut waited));
        Waits {
            executed: waited.kept_open.len() + waited.one_shots.len(),
            kept_open: Percentiles::of(waited.kept_open),
            one_shots: Percentiles::of(waited.one_shots),
            failed: waited.failed,
        }
    }
}

async fn keep_open(port: u16, told: &Mutex<Waited>) -> Result<()> {
    let mut connection = KeptOpen::open(port).await?;
    loop {
        let command: Box<serde_json::value::RawValue> = serde_json::from_str(INSERT)?;
        let frame = ClientFrame::Command(Command {
            id: connection.new_id()?,
            deadline_ms: None,
            command: command.into(),
        });
        let began = Instant::now();
        let answer = connection.exchange(frame.to_json()).await?;
        match ServerFrame::parse(&answer).context("no frame")? {
            ServerFrame::Result(_) => tell(told, |waited| waited.kept_open.push(began.elapsed())),
            _ => anyhow::bail!("answered {answer}"),
        }
        sleep(REST).await;
    }
}

fn tell(waited: &Mutex<Waited>, what: impl FnOnce(&mut Waited)) {
    what(&mut waited.lock().unwrap_or_else(PoisonError::into_inner));
}
