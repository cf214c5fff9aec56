use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bellwether_client::ServerList;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, watch};

use super::client::{Client, Role, Shared};
use super::keys::Keys;
use crate::history::{Told, Workload, Writer};

/// Number of duplicates that the second client of a pair may be behind before it misses one.
const BEHIND: usize = 4;

/// Options of the load.
#[derive(Clone, Debug)]
pub struct Options {
    /// Workloads of the clients, which are shared out among them evenly. Clients that send
    /// duplicates go in pairs.
    pub workloads: Vec<Workload>,
    /// Number of clients, at least enough for each workload to have one.
    pub clients: usize,
    /// Number of commands that all clients together begin in a second, if answers come soon enough.
    pub rate: f64,
    /// Seed of all random choices.
    pub seed: u64,
    /// Start of the run: times are microseconds since then.
    pub started: Instant,
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    running: mpsc::Receiver<()>,
    history: Writer,
}

impl Load {
    /// Makes clients that all have this list of servers. Each client must be [run](Client::run) on
    /// a host. Run neighbours in the list on different hosts, since two clients that send
    /// duplicates are neighbours.
    ///
    /// # Errors
    /// If an address is none, or there are too few clients.
    pub fn new(options: &Options, servers: &[String], history: &Writer) -> Result<(Self, Vec<Client>)> {
        let list = |first: usize| -> Result<ServerList> {
            let turned = servers.iter().cycle().skip(first).take(servers.len());
            let turned: Vec<&str> = turned.map(String::as_str).collect();
            turned.join(",").parse().context("the servers' addresses")
        };
        let workloads = shared_out(&options.workloads, options.clients);
        ensure!(
            options
                .workloads
                .iter()
                .all(|workload| workloads.contains(workload)),
            "{} clients are too few for {} workloads: each needs one, duplicates need two",
            options.clients,
            options.workloads.len()
        );
        ensure!(options.rate > 0.0, "a rate of {} is none", options.rate);
        #[allow(clippy::cast_precision_loss, reason = "nobody has that many clients")]
        let pace = Duration::from_secs_f64(workloads.len() as f64 / options.rate);
        let (stop, stopped) = watch::channel(false);
        let (alive, running) = mpsc::channel(1);
        let mut keys: Vec<(Workload, Arc<Keys>)> = Vec::new();
        let mut rng = SmallRng::seed_from_u64(options.seed);
        let mut duplicates = None;
        let mut clients = Vec::new();
        for (number, workload) in (0_u32..).zip(workloads) {
            let known = keys.iter().find(|(other, _)| *other == workload);
            let keys = if let Some((_, known)) = known {
                Arc::clone(known)
            } else {
                keys.push((workload, Arc::new(Keys::new(workload))));
                Arc::clone(&keys[keys.len() - 1].1)
            };
            let role = match (workload, duplicates.take()) {
                (Workload::Duplicates, None) => {
                    let (sender, receiver) = mpsc::channel(BEHIND);
                    duplicates = Some(receiver);
                    Role::Leads(sender)
                }
                (_, Some(receiver)) => Role::Repeats(receiver),
                (_, None) => Role::Alone,
            };
            // The two of a pair begin with different servers.
            let first = if matches!(role, Role::Repeats(_)) { 1 } else { 0 };
            let shared = Shared {
                number,
                workload,
                started: options.started,
                history: history.clone(),
                pace,
                stopped: stopped.clone(),
                _alive: alive.clone(),
            };
            clients.push(Client::new(shared, list(first)?, keys, role, rng.random()));
        }
        let history = history.clone();
        let load = Self {
            stop,
            running,
            history,
        };
        Ok((load, clients))
    }

    /// Lets every client finish its call in progress, and has the history on disk. This takes some
    /// seconds if no server answers. Clients that were never run, or ended early, are not waited
    /// for once they are dropped.
    ///
    /// # Errors
    /// If the history could not be written.
    pub async fn stop(mut self) -> Result<Told> {
        let _ = self.stop.send(true);
        while self.running.recv().await.is_some() {}
        self.history.finish()
    }
}

/// Returns the workload of each client.
fn shared_out(workloads: &[Workload], clients: usize) -> Vec<Workload> {
    let mut given = Vec::new();
    // Some workloads may not fit any more while others do.
    for workload in workloads.iter().cycle().take(clients * workloads.len()) {
        let needed = if *workload == Workload::Duplicates { 2 } else { 1 };
        if given.len() + needed <= clients {
            given.extend(std::iter::repeat_n(*workload, needed));
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_go_in_pairs() {
        use Workload::{Append, Duplicates, Set};
        assert_eq!(
            shared_out(&[Append, Duplicates, Set], 6),
            [Append, Duplicates, Duplicates, Set, Append, Set]
        );
        assert_eq!(shared_out(&[Duplicates], 3), [Duplicates, Duplicates]);
        assert_eq!(shared_out(&[Append, Duplicates], 2), [Append, Append]);
    }
}
