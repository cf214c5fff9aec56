use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures_util::future::try_join_all;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::CLIENT_HOSTS;
use crate::history::Writer;
use crate::options::Options;
use crate::workload::{self, Client, Load};
use crate::world::World;

/// Time limit for the calls in progress at the end; far longer than any of their deadlines.
const LAST_CALL: Duration = Duration::from_secs(60);

/// The clients at work, on the threads of their hosts.
pub(super) struct Clients {
    load: Load,
    threads: Vec<JoinHandle<Result<Result<()>>>>,
}

impl Clients {
    pub(super) fn start(
        options: &Options,
        world: &World,
        seed: u64,
        started: Instant,
        history: &Writer,
    ) -> Result<Self> {
        let load_options = workload::Options {
            workloads: options.workloads(),
            clients: options.clients,
            rate: options.rate,
            seed,
            started,
        };
        let (load, clients) = Load::new(&load_options, &world.urls(), history)?;
        let mut hosts: Vec<Vec<Client>> = (0..CLIENT_HOSTS).map(|_| Vec::new()).collect();
        for (place, client) in clients.into_iter().enumerate() {
            hosts[place % CLIENT_HOSTS].push(client);
        }
        let threads = hosts.into_iter().enumerate().map(|(place, clients)| {
            world.clients_host(place).run(move || async move {
                try_join_all(clients.into_iter().map(Client::run)).await.map(drop)
            })
        });
        Ok(Self {
            load,
            threads: threads.collect(),
        })
    }

    /// Lets all clients finish their calls in progress.
    pub(super) async fn stop(self) -> Result<()> {
        timeout(LAST_CALL, self.load.stop())
            .await
            .context("clients do not end")??;
        for thread in self.threads {
            let ended = spawn_blocking(move || thread.join()).await?;
            ended
                .map_err(|_| anyhow!("a client's thread panicked"))??
                .context("a client")?;
        }
        Ok(())
    }
}
